"""Every OOD method on my pictures: a table with intervals.

In-distribution pictures against others.
"""

from absl import flags

from jaxvlm import parallel
from jaxvlm.command import cli, encoder_flags
from jaxvlm.pages.evaluation_page import write_evaluation
from jaxvlm.pictures import evaluating
from jaxvlm.pictures import tables as picture_tables

_CONFIG = cli.define_config("config", "ood/default.py", "Settings")
_ID = flags.DEFINE_list(
    "id_dir",
    None,
    "In-distribution sets: [NAME=][PRESET:]FOLDER, LIST[@ROOT], a tar or a folder of tars.",
    required=True,
)
_OOD = flags.DEFINE_list("ood_dirs", None, "The others, likewise.", required=True)
_CLASSES = flags.DEFINE_string("class_names", None, "The ID classes, one a line.", required=True)
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets tables, plots and the page.", required=True)
_NEGATIVES = flags.DEFINE_string(
    "negatives",
    None,
    "A word list (.txt, .pkl) or a folder of mine-negatives, NegAlign or NegRefine; "
    "default: the world's words.",
)
_METHODS = flags.DEFINE_list("methods", ["all"], "Which to compare; see jaxvlm.ood.METHODS.")
_CLIP = encoder_flags.define_clip()
_DEVICES = cli.define_devices(label=True)
_STORE = encoder_flags.define_store()
_PER_CLASS = flags.DEFINE_integer(
    "samples_per_class", None, "ID pictures per class; default: all.", lower_bound=1
)
_MAX_OOD = flags.DEFINE_integer(
    "max_ood_samples", None, "Pictures per OOD set; default: all.", lower_bound=1
)
_CHOOSE_ON = flags.DEFINE_enum(
    "choose_on", "validation", ["validation", "test"], "Where λ and variant are chosen."
)
_CACHE = encoder_flags.define_cache()


def main() -> None:
    mesh, seed, model = _DEVICES(), _CONFIG.value.seed, _CLIP()
    run = evaluating.run_evaluation(
        model,
        [evaluating.read_set(s, samples_per_class=_PER_CLASS.value, seed=seed) for s in _ID.value],
        [evaluating.read_set(s, max_images=_MAX_OOD.value, seed=seed) for s in _OOD.value],
        _CLASSES.value,
        _NEGATIVES.value,
        _OUT_DIR.value,
        _CONFIG.value,
        methods=_METHODS.value,
        choose_on=_CHOOSE_ON.value,
        mesh=mesh,
        store_dir=_STORE.value,
        cache_dir=_CACHE.value or None,
        progress=cli.is_interactive(),
        say=cli.say,
    )
    if parallel.is_writer():
        write_evaluation(_OUT_DIR.value, run, model.preprocessing)
    for line in picture_tables.terminal_lines(run.evaluation):
        cli.say(line)
    cli.say(f"page: {_OUT_DIR.value}/report.html")
    cli.report_failures([*run.warnings, *run.failures])


if __name__ == "__main__":
    cli.run(main)
