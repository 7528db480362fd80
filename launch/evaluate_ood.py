"""Every OOD method on my pictures: a table with intervals."""

from absl import flags

from jaxvlm import parallel
from jaxvlm.command import cli, encoder_flags
from jaxvlm.pages.evaluation_page import write_evaluation
from jaxvlm.pictures import evaluating
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.config import check
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.sets import read_set

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
_ENCODER = encoder_flags.define_encoder(label=True)
_PER_CLASS = flags.DEFINE_integer(
    "samples_per_class", None, "ID pictures per class; default: all.", lower_bound=1
)
_MAX_OOD = flags.DEFINE_integer(
    "max_ood_samples", None, "Pictures per OOD set; default: all.", lower_bound=1
)
_CHOOSE_ON = flags.DEFINE_enum(
    "choose_on", "validation", ["validation", "test"], "Where λ and variant are chosen."
)


def main() -> None:
    seed, out = _CONFIG.value.seed, _OUT_DIR.value
    encoder = _ENCODER(_CONFIG.value.batch_size)
    with cli.picture_progress() as on_progress:
        run = evaluating.run_evaluation(
            encoder,
            [read_set(s, samples_per_class=_PER_CLASS.value, seed=seed) for s in _ID.value],
            [read_set(s, max_images=_MAX_OOD.value, seed=seed) for s in _OOD.value],
            Words(_CLASSES.value, _NEGATIVES.value),
            check(_CONFIG.value, encoder.model),
            methods=_METHODS.value,
            choose_on=_CHOOSE_ON.value,
            on_progress=on_progress,
        )
    if parallel.is_writer():
        evaluating.write_run(out, run)
        write_evaluation(out, run, encoder.model.preprocessing)
    cli.say(run.encoding.sentence())
    for line in (*picture_tables.terminal_lines(run.evaluation), *run.labels.notes):
        cli.say(line)
    cli.say(f"page: {out}/report.html")
    cli.report_failures([*run.warnings, *run.failures])


if __name__ == "__main__":
    cli.run(main)
