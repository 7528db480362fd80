"""How far out of distribution each picture is, and why.

Or which pictures match given texts, if any do.
"""

from absl import flags

from jaxvlm import outputs
from jaxvlm.command import cli, display, encoder_flags, given, picture_flags
from jaxvlm.pictures.deciding import KEEP_ID

_CONFIG = cli.define_config("config", "ood/default.py", "Settings")
_IMAGES = picture_flags.define_images()
_QUERIES = picture_flags.define_queries()
_WORDS = picture_flags.define_words()
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets tables and report.html.", required=True)
_METHOD = flags.DEFINE_string(
    "method", None, "What scores: a key of jaxvlm.ood.METHODS, or negalign."
)
_KEEP_ID = flags.DEFINE_float(
    "keep_id", None, f"Share of these that is called in; default: {KEEP_ID}."
)
_ENCODER = encoder_flags.define_encoder(label=True)
_SAVE = flags.DEFINE_bool("save_embeddings", False, "Writes OUT/embeddings too, to start from.")
_SHOWN = flags.DEFINE_integer("shown", 10, "Lines printed, farthest first.", lower_bound=0)


def main() -> None:
    from jaxvlm import parallel
    from jaxvlm.pages.folder_page import write_folder
    from jaxvlm.pages.query_page import look_for
    from jaxvlm.pictures import scoring
    from jaxvlm.pictures.embedded import config_for, shown_as
    from jaxvlm.pictures.labels import Words
    from jaxvlm.pictures.sets import read_one
    from jaxvlm.pictures.unused import refuse_unused

    out, words, fields = _OUT_DIR.value, Words(*_WORDS()), given.fields()
    embedded, queries = _IMAGES.embedded(), _QUERIES()
    outputs.require_places(out, "scores.csv", "run.json", "report.html")
    images, known = _IMAGES.values(embedded)
    picture_flags.refuse_idle(known, _KEEP_ID.value, _METHOD.value, fields)
    values = cli.override(_CONFIG.value, {"method": _METHOD.value})
    with display.progress() as on_progress:
        encoder = picture_flags.encoder_for(_ENCODER, _CONFIG, embedded, words, on_progress)
        pictures = read_one(images, embedded)
        if queries is not None:
            run = look_for(encoder, pictures, queries, words, values, out, on_progress=on_progress)
        else:
            config = config_for(values, encoder, words, embedded=embedded)
            use = {"stored": bool(encoder and encoder.store_dir), "embedded": embedded}
            refuse_unused(fields, config, words, **use)
            run = scoring.score_folder(
                encoder,
                pictures,
                words,
                config,
                id_set=read_one(known, embedded),
                keep_id=KEEP_ID if _KEEP_ID.value is None else _KEEP_ID.value,
                on_progress=on_progress,
            )
            if parallel.is_writer():
                scoring.write_scores(out, run, embeddings=_SAVE.value)
                write_folder(out, run, shown_as(encoder), on_progress=on_progress)
    cli.say(*(f"warning: {warning}" for warning in run.warnings), *run.lines(_SHOWN.value, out))
    cli.report_failures(run.failures)


if __name__ == "__main__":
    cli.run(main)
