"""Atoms in frames and segments, for train-role-learning.

Folders of frames, or features, to presence, boundaries and segment presence."""

from absl import flags

from jaxvlm import resources
from jaxvlm.command import cli, display, encoder_flags, feature_flags, given, unused
from jaxvlm.names import number_of

_CONFIG = cli.define_config("config", "default.py", "Settings")
_FRAMES_ROOT = flags.DEFINE_string("frames_root", None, "One folder of frames per video.")
_FEATURES = feature_flags.define_features()
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets manifest.csv and a run folder per video.", required=True
)
_LABELS_CSV = flags.DEFINE_string("labels_csv", None, "video_id and one 0/1 column per event.")
_ONTOLOGY = flags.DEFINE_string(
    "ontology", str(resources.path("configs/ontology/world.yaml")), "Events and atoms."
)
_ENCODER = encoder_flags.define_encoder()
_QWEN_JSON = flags.DEFINE_string("qwen_json", None, "Captions of the frames.")
_DRY_CAPTION = flags.DEFINE_bool("dry_caption", False, "Only write OUT/captions.json, to fill in.")
# The prototype's names for fields of the config.
flags.DEFINE_integer("window", None, "W, frames.")
flags.DEFINE_string(
    "delta", None, "δ: a number (of the prototype's summed change), auto or learned."
)
flags.DEFINE_string("kappa", None, "κ, likewise.")
flags.DEFINE_float("lambda_atoms", None, "Of captions that name it.")
flags.DEFINE_float("lambda_resemble", None, "Of resembling ones.")


def main() -> None:
    from jaxvlm.data import images
    from jaxvlm.ontology import captions
    from jaxvlm.video import config, feature_runs, pipeline

    of_features = feature_flags.asked("frames_root")
    unused.in_run_pipeline()
    values = config.with_prototype_boundary(given.field_values(), given.fields())
    settings = config.check(cli.override(_CONFIG.value, values))
    unused.in_config(config.idle(settings))
    if _DRY_CAPTION.value:
        path = f"{_OUT_DIR.value}/captions.json"
        captions.write_dry_captions(path, images.list_frames(_FRAMES_ROOT.value))
        cli.show(f"captions to fill in: {path}")
        return
    options = {"ontology_file": _ONTOLOGY.value, "labels_csv": _LABELS_CSV.value}
    with display.progress() as on_progress:
        options |= {"config": settings, "on_progress": on_progress}
        if of_features:
            texts = _FEATURES.texts(settings.presence.kind, on_progress)
            result = feature_runs.run_features(
                _FEATURES.source(), _OUT_DIR.value, texts=texts, **options
            )
        else:
            encoder = _ENCODER(settings.batch_size, on_progress)
            options |= {"encoder": encoder, "qwen_json": _QWEN_JSON.value}
            result = pipeline.run_pipeline(_FRAMES_ROOT.value, _OUT_DIR.value, **options)
    cli.say(*result.sentences())
    cli.say(f"{number_of(len(result.done), 'video')}: {result.manifest}")
    if result.coverage:
        cli.say(captions.describe(result.coverage))
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
