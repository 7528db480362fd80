"""How far out of distribution each picture is, and why."""

from absl import flags

from jaxvlm import parallel
from jaxvlm.command import cli, encoder_flags
from jaxvlm.pages.evaluation_page import write_folder
from jaxvlm.pictures import evaluating, scoring

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
_CLIP = encoder_flags.define_clip()
_DEVICES = cli.define_devices(label=True)
_STORE = encoder_flags.define_store()
_CACHE = encoder_flags.define_cache()
_SHOWN = flags.DEFINE_integer("shown", 10, "Lines printed, farthest out first.", lower_bound=0)


def main() -> None:
    mesh, model = _DEVICES(), _CLIP()
    result = scoring.score_folder(
        model,
        evaluating.read_set(_IMAGES.value),
        _CLASSES.value,
        _NEGATIVES.value,
        _OUT_DIR.value,
        _CONFIG.value,
        id_set=None if _ID.value is None else evaluating.read_set(_ID.value),
        mesh=mesh,
        store_dir=_STORE.value,
        cache_dir=_CACHE.value or None,
        progress=cli.is_interactive(),
    )
    if parallel.is_writer():
        write_folder(_OUT_DIR.value, result, model.preprocessing)
    for row in result.table.head(_SHOWN.value).itertuples():
        cli.say(f"{row.path}: {row.why}")
    cli.say(result.encoding.sentence())
    out = _OUT_DIR.value
    cli.say(f"{len(result.table)} pictures: {out}/scores.csv, {out}/report.html")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
