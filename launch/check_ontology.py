"""All that is wrong in an ontology file, a line each.

And a table of what is in it.
"""

import sys

from absl import flags

from jaxvlm import resources
from jaxvlm.command import cli

_ONTOLOGY = flags.DEFINE_string("ontology", None, "YAML or JSON file.", required=True)
_CLIP = flags.DEFINE_string(
    "clip",
    str(resources.path("checkpoints/clip")),
    "CLIP folder or hub id: whose tokens are counted, and which says what is similar.",
)
_SIMILAR = flags.DEFINE_float(
    "similar",
    0.95,
    "Cosine from which two atoms are warned of.",
    lower_bound=0.0,
    upper_bound=1.0,
)


def main() -> None:
    from jaxvlm import clip
    from jaxvlm.ontology import check as ontology_check
    from jaxvlm.ontology import ontology
    from jaxvlm.video import role_file

    reading = ontology.read_ontology(_ONTOLOGY.value)
    model = clip.load(_CLIP.value)
    check = ontology_check.check_ontology(reading, model, similar=_SIMILAR.value)
    for problem in check.problems:
        line = "" if problem.line is None else f":{problem.line}"
        kind = "error" if problem.is_error else "warning"
        cli.show(f"{_ONTOLOGY.value}{line}: {kind}: {problem.text}")
    cli.show_table(ontology_check.summary_table(check.ontology).to_string(index=False))
    tokens = model.config.text_config.max_position_embeddings
    cli.show(f"{_ONTOLOGY.value}: {ontology_check.describe(check, tokens)}")
    role_file.check_trained(_ONTOLOGY.value, check.ontology)
    if check.has_errors:
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
