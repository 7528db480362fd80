"""Every OOD method on my pictures: a table with intervals."""

from absl import flags

from jaxvlm import outputs
from jaxvlm.command import cli, display, encoder_flags, given, picture_flags, stream_flags
from jaxvlm.pictures.config import CHOOSE_ON

_CONFIG = cli.define_config("config", "ood/default.py", "Settings")
_SETS = picture_flags.define_sets()
_TRAIN = flags.DEFINE_string(
    "id_train", None, "ID pictures for kNN, Mahalanobis, InterNeg; default: some of the ID sets."
)
_STREAM = stream_flags.define_streams()
_WORDS = picture_flags.define_words()
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets tables, plots and the page.", required=True)
_METHODS = flags.DEFINE_list("methods", ["all"], "Of jaxvlm.ood.METHODS; all: without cover.")
_ENCODER = encoder_flags.define_encoder(label=True)
_PER_CLASS = flags.DEFINE_integer("samples_per_class", None, "ID pictures per class; default: all.",
                                  lower_bound=1)  # fmt: skip
_MAX_OOD = flags.DEFINE_integer("max_ood_samples", None, "At most, per OOD set.", lower_bound=1)
_SAVE = flags.DEFINE_bool("save_embeddings", False, "Writes OUT/embeddings too, to start from.")
_CHOOSE_ON = flags.DEFINE_enum(
    "choose_on", "other_sets", CHOOSE_ON, "Whose pictures λ and variant are chosen on."
)


def main() -> None:
    from jaxvlm import parallel
    from jaxvlm.pages.evaluation_page import write_evaluation
    from jaxvlm.pictures import evaluating, tables
    from jaxvlm.pictures.comparison import with_given
    from jaxvlm.pictures.embedded import config_for, shown_as
    from jaxvlm.pictures.labels import Words
    from jaxvlm.pictures.sets import read_one, read_sides
    from jaxvlm.pictures.streams import StreamSettings
    from jaxvlm.pictures.unused import refuse_unused

    seed, out, stream = _CONFIG.value.seed, _OUT_DIR.value, _STREAM(StreamSettings)
    outputs.require_places(out, *evaluating.WRITTEN, "report.html")
    embedded, words, fields = _SETS.embedded(), Words(*_WORDS()), given.fields()
    sampling = _PER_CLASS.value, _MAX_OOD.value, seed
    with display.progress() as on_progress:
        encoder = picture_flags.encoder_for(_ENCODER, _CONFIG, embedded, words, on_progress)
        config = config_for(_CONFIG.value, encoder, words, embedded=embedded)
        use = {"stored": bool(encoder and encoder.store_dir), "embedded": embedded}
        refuse_unused(fields, config, words, methods=_METHODS.value, **use)
        *sides, shifted = read_sides(_SETS.values(embedded), embedded, *sampling)
        train = read_one(_TRAIN.value, embedded)
        run = evaluating.run_evaluation(
            encoder,
            *sides,
            words,
            config,
            methods=with_given(_METHODS.value, fields),
            beside=evaluating.Beside(_CHOOSE_ON.value, train, stream, shifted),
            on_progress=on_progress,
        )
        if parallel.is_writer():
            evaluating.write_run(out, run, embeddings=_SAVE.value)
            write_evaluation(out, run, shown_as(encoder), on_progress=on_progress)
    lines = [*tables.terminal_lines(run.evaluation), *tables.stream_lines(run.streams)]
    cli.say(*(f"warning: {doubt}" for doubt in run.doubts), run.encoded, *lines)
    cli.say(*run.labels.read, *run.labels.notes, f"page: {out}/report.html")
    cli.report_failures([*run.warnings, *run.failures])


if __name__ == "__main__":
    cli.run(main)
