"""Folders of frames to presence, boundaries and segment presence, ready for role training."""

from absl import flags
from ml_collections import config_flags

from jaxvlm import cli, clip, resources
from jaxvlm.atoms import captions, config, ontology, pipeline
from jaxvlm.data import images

_CONFIG = config_flags.DEFINE_config_file(
    "config", str(resources.path("configs/default.py")), "Settings; --config.FIELD=VALUE sets one."
)
_FRAMES_ROOT = flags.DEFINE_string(
    "frames_root", None, "One folder of frames per video.", required=True
)
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets manifest.csv and a run folder per video.", required=True
)
_LABELS_CSV = flags.DEFINE_string("labels_csv", None, "video_id and one 0/1 column per event.")
_ONTOLOGY = flags.DEFINE_string(
    "ontology",
    str(resources.path("configs/ontology/world.yaml")),
    "Events and atoms (YAML or JSON).",
)
_CLIP = flags.DEFINE_string(
    "clip", str(resources.path("checkpoints/clip")), "CLIP folder or hub id."
)
_QWEN_JSON = flags.DEFINE_string("qwen_json", None, "Captions of the frames.")
_DRY_CAPTION = flags.DEFINE_bool(
    "dry_caption", False, "Only write a caption file without captions to OUT/captions.json."
)
_WINDOW = flags.DEFINE_integer("window", None, "W, frames.")
_DELTA = flags.DEFINE_string("delta", None, "δ: a number, auto or learned.")
_KAPPA = flags.DEFINE_string("kappa", None, "κ: a number, auto or learned.")
_LAMBDA_ATOMS = flags.DEFINE_float("lambda_atoms", None, "Weight of captions that name an atom.")
_LAMBDA_RESEMBLE = flags.DEFINE_float(
    "lambda_resemble", None, "Weight of captions that resemble an atom."
)


def main() -> None:
    settings = config.check(
        cli.override(
            _CONFIG.value,
            {
                "segments.window": _WINDOW.value,
                "boundary.delta": _DELTA.value,
                "boundary.kappa": _KAPPA.value,
                "presence.lambda_atoms": _LAMBDA_ATOMS.value,
                "presence.lambda_resemble": _LAMBDA_RESEMBLE.value,
            },
        )
    )
    if _DRY_CAPTION.value:
        folders = images.list_video_folders(_FRAMES_ROOT.value).folders
        path = f"{_OUT_DIR.value}/captions.json"
        captions.write_dry_captions(path, [p for f in folders for p in images.list_images(f)])
        print(f"captions to fill in: {path}")
        return
    result = pipeline.run_pipeline(
        _FRAMES_ROOT.value,
        _OUT_DIR.value,
        model=clip.load(_CLIP.value),
        ontology=ontology.load_ontology(_ONTOLOGY.value),
        ontology_file=_ONTOLOGY.value,
        config=settings,
        labels_csv=_LABELS_CSV.value,
        qwen_json=_QWEN_JSON.value,
        progress=cli.is_interactive(),
    )
    print(f"{len(result.done)} videos: {result.manifest}")
    if result.coverage:
        print(captions.describe(result.coverage))
    cli.report_failures(result.failures)


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
