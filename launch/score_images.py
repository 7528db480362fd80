"""How far out of distribution each picture is, and why."""

from absl import flags

from jaxvlm import outputs, parallel
from jaxvlm.command import cli, encoder_flags
from jaxvlm.pages.evaluation_page import write_folder
from jaxvlm.pictures import scoring
from jaxvlm.pictures.config import check
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.sets import read_set

_CONFIG = cli.define_config("config", "ood/default.py", "Settings")
_IMAGES = flags.DEFINE_string(
    "images", None, "Pictures: folder, LIST[@ROOT], tar or folder of tars.", required=True
)
_CLASSES = flags.DEFINE_string("class_names", None, "The ID classes, one a line.", required=True)
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets scores.csv and report.html.", required=True)
_NEGATIVES = flags.DEFINE_string(
    "negatives",
    None,
    "A word list (.txt, .pkl) or a folder of mine-negatives, NegAlign or NegRefine; "
    "default: the world's words.",
)
_ID = flags.DEFINE_string(
    "id_dir", None, "Pictures known to be in-distribution: scores come as shares of these too."
)
_ENCODER = encoder_flags.define_encoder(label=True)
_SHOWN = flags.DEFINE_integer("shown", 10, "Lines printed, farthest out first.", lower_bound=0)


def main() -> None:
    out = _OUT_DIR.value
    outputs.require_places(out, "scores.csv", "run.json", "report.html")
    encoder = _ENCODER(_CONFIG.value.batch_size)
    with cli.picture_progress() as on_progress:
        result = scoring.score_folder(
            encoder,
            read_set(_IMAGES.value),
            Words(_CLASSES.value, _NEGATIVES.value),
            check(_CONFIG.value, encoder.model),
            id_set=None if _ID.value is None else read_set(_ID.value),
            on_progress=on_progress,
        )
    if parallel.is_writer():
        scoring.write_scores(out, result)
        write_folder(out, result, encoder.model.preprocessing)
    cli.say(*(f"warning: {warning}" for warning in result.warnings))
    for row in result.table.head(_SHOWN.value).itertuples():
        cli.say(f"{row.path}: {row.why}")
    cli.say(result.encoding.sentence())
    cli.say(f"{len(result.table)} pictures: {out}/scores.csv, {out}/report.html")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
