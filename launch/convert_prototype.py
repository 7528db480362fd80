"""The Anomaly-Atoms prototype's files to ours, and back.

Its .pt files become run folders and a role model.
"""

from absl import flags

from jaxvlm import outputs, runs
from jaxvlm.command import cli
from jaxvlm.names import number_of

_CONFIG = cli.define_config("config", "reference.py", "How the prototype's runs were made")
_SOURCE = flags.DEFINE_string(
    "source",
    None,
    "Folder with manifest.csv, run folders or role_learner_multi.pt (or that file); with "
    "--to=prototype run-pipeline's out_dir or a role model.",
    required=True,
)
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets the converted folder.", required=True)
_TO = flags.DEFINE_enum("to", "jaxvlm", ["jaxvlm", "prototype"], "Which form to write.")
_ONTOLOGY = flags.DEFINE_string(
    "ontology",
    None,
    "Events and atoms of the runs: a YAML or JSON file, or the prototype's src/atoms/ontology.py.",
)


def main() -> None:
    from jaxvlm.prototypes import folders as prototype_folders
    from jaxvlm.video.config import check

    outputs.require_places(_OUT_DIR.value, "run.json")
    if _TO.value == "prototype":
        result = prototype_folders.to_prototype(_SOURCE.value, _OUT_DIR.value)
    else:
        result = prototype_folders.from_prototype(
            _SOURCE.value, _OUT_DIR.value, check(_CONFIG.value), ontology_file=_ONTOLOGY.value
        )
    runs.write_record(_OUT_DIR.value)
    if result.manifest is not None:
        cli.show(f"{number_of(len(result.done), 'run')}: {result.manifest}")
    if result.roles is not None:
        cli.show(f"roles: {result.roles}")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
