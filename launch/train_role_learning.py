"""Roles of atoms, learned from video-level labels.

Reads the manifest of run-pipeline, writes a role model and tables.
"""

from absl import flags

from jaxvlm.command import cli, display, given, unused
from jaxvlm.video import config

_CONFIG = cli.define_config("config", "default.py", "Settings")
_MANIFEST_CSV = flags.DEFINE_string("manifest_csv", None, "What run-pipeline wrote.", required=True)
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets model/, roles.csv, split.csv and figures.csv.", required=True
)
_ONTOLOGY = flags.DEFINE_string(
    "ontology", None, "Events and atoms; default: the one beside the manifest."
)
flags.DEFINE_integer("epochs", None, "Passes over the videos.", lower_bound=1)
flags.DEFINE_integer("topk", None, "Frames that make a video's probability.", lower_bound=1)
flags.DEFINE_integer("freeze_bias_epochs", None, "Epochs with γ and b frozen.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Of the start and the order of videos.")
_HOLDOUT = flags.DEFINE_float(
    "holdout",
    None,
    f"Share of the videos that is measured on and not trained on; default: {config.HOLDOUT}.",
)
_FOLDS = flags.DEFINE_integer(
    "folds", 0, "Measures by as many trainings, instead of --holdout, and then trains on all."
)
_ALL_BASELINES = flags.DEFINE_bool(
    "all_baselines", False, "Also measures the baselines with products and with hidden units."
)
_DEVICES = cli.define_devices()


def main() -> None:
    from jaxvlm.video import held_out, role_learning, role_sentences

    unused.in_train_role_learning()
    values = given.field_values()
    holdout = held_out.check_holdout(_HOLDOUT.value, _FOLDS.value, _ALL_BASELINES.value)
    mesh = _DEVICES()
    settings = config.check(cli.override(_CONFIG.value, values))
    unused.in_config(config.idle(settings))
    with display.progress() as on_progress:
        model, measured = role_learning.train_manifest(
            _MANIFEST_CSV.value,
            _OUT_DIR.value,
            settings,
            ontology_file=_ONTOLOGY.value,
            seed=_SEED.value,
            holdout=holdout,
            mesh=mesh,
            on_progress=on_progress,
        )
    for event, sentence in role_sentences.event_sentences(model).items():
        cli.say(f"{event}: {sentence or 'nothing makes it'}")
    cli.say(*(f"warning: {kind.sentence()}" for kind in model.one_kind))
    cli.say(*held_out.summary_lines(measured))
    cli.say(f"role model: {_OUT_DIR.value}/model")


if __name__ == "__main__":
    cli.run(main)
