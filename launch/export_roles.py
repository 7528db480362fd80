"""Learned roles as an ontology file that can be edited.

score-video --roles=ontology --ontology=FILE gives the probabilities of the role model.
"""

from absl import flags

from jaxvlm.command import cli
from jaxvlm.names import number_of

_ROLES = flags.DEFINE_string("roles", None, "Role model folder.", required=True)
_OUT = flags.DEFINE_string("out", None, "The YAML file to write.", required=True)


def main() -> None:
    from jaxvlm.video import role_export, role_model, role_sentences

    model = role_model.load_role_model(_ROLES.value)
    written = role_export.export_roles(model, _OUT.value)
    for event, sentence in role_sentences.event_sentences(model).items():
        cli.show(f"{event}: {sentence or 'nothing makes it'}")
    cli.show(
        f"{number_of(written.events, 'event')}, {number_of(written.strengths, 'strength')}, "
        f"{number_of(written.rules, 'rule')}: {written.path}"
    )


if __name__ == "__main__":
    cli.run(main)
