"""How far out of distribution each picture is, and why."""

from absl import flags

from jaxvlm import outputs
from jaxvlm.command import cli, display, encoder_flags, given, picture_flags
from jaxvlm.names import number_of
from jaxvlm.pictures.deciding import KEEP_ID

_CONFIG = cli.define_config("config", "ood/default.py", "Settings")
_IMAGES = picture_flags.define_images()
_WORDS = picture_flags.define_words()
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets scores.csv and report.html.", required=True)
_METHOD = flags.DEFINE_string(
    "method", None, "What scores: a key of jaxvlm.ood.METHODS, or negalign."
)
_KEEP_ID = flags.DEFINE_float(
    "keep_id", None, f"Share of these that is called in; default: {KEEP_ID}."
)
_ENCODER = encoder_flags.define_encoder(label=True)
_SAVE = flags.DEFINE_bool("save_embeddings", False, "Writes OUT/embeddings too, to start from.")
_SHOWN = flags.DEFINE_integer("shown", 10, "Lines printed, farthest out first.", lower_bound=0)


def main() -> None:
    from jaxvlm import parallel
    from jaxvlm.pages.folder_page import write_folder
    from jaxvlm.pictures import scoring
    from jaxvlm.pictures.embedded import config_for, shown_as
    from jaxvlm.pictures.labels import Words
    from jaxvlm.pictures.sets import read_one
    from jaxvlm.pictures.tables import told
    from jaxvlm.pictures.unused import refuse_unused

    out, words, fields = _OUT_DIR.value, Words(*_WORDS()), given.fields()
    outputs.require_places(out, "scores.csv", "run.json", "report.html")
    embedded = _IMAGES.embedded()
    images, known = _IMAGES.values(embedded)
    if _KEEP_ID.value and not known:
        cli.refuse("--keep_id: has no effect without ID pictures; give them as --id_dir")
    if _METHOD.value is not None and "method" in fields:
        cli.refuse(f"--config.method: has no effect, because --method={_METHOD.value} decides")
    values = cli.override(_CONFIG.value, {"method": _METHOD.value})
    with display.progress() as on_progress:
        encoder = picture_flags.encoder_for(_ENCODER, _CONFIG, embedded, words, on_progress)
        config = config_for(values, encoder, words, embedded=embedded)
        use = {"stored": bool(encoder and encoder.store_dir), "embedded": embedded}
        refuse_unused(fields, config, words, **use)
        result = scoring.score_folder(
            encoder,
            read_one(images, embedded),
            words,
            config,
            id_set=read_one(known, embedded),
            keep_id=KEEP_ID if _KEEP_ID.value is None else _KEEP_ID.value,
            on_progress=on_progress,
        )
        if parallel.is_writer():
            scoring.write_scores(out, result, embeddings=_SAVE.value)
            write_folder(out, result, shown_as(encoder), on_progress=on_progress)
    cli.say(*(f"warning: {warning}" for warning in result.warnings))
    cli.say(*(told(row) for row in result.table.head(_SHOWN.value).to_dict("records")))
    how = f"scored with {result.title}; {result.encoded}"
    cli.say(*result.labels.read, how, result.rule)
    cli.say(f"{number_of(len(result.table), 'picture')}: {out}/scores.csv, {out}/report.html")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
