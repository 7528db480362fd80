"""How far out of distribution each picture is, and why."""

from absl import flags

from jaxvlm import outputs, parallel
from jaxvlm.command import cli, display, encoder_flags, given, picture_flags
from jaxvlm.names import number_of
from jaxvlm.pages.folder_page import write_folder
from jaxvlm.pictures import scoring
from jaxvlm.pictures.config import check
from jaxvlm.pictures.deciding import KEEP_ID
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.sets import read_set
from jaxvlm.pictures.tables import told
from jaxvlm.pictures.unused import refuse_unused

_CONFIG = cli.define_config("config", "ood/default.py", "Settings")
_IMAGES = flags.DEFINE_string(
    "images", None, "Pictures: folder, LIST[@ROOT], tar or folder of tars.", required=True
)
_WORDS = picture_flags.define_words()
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets scores.csv and report.html.", required=True)
_METHOD = flags.DEFINE_string(
    "method", None, "What scores: a key of jaxvlm.ood.METHODS, or negalign."
)
_ID = flags.DEFINE_string(
    "id_dir", None, "Pictures known to be in-distribution, by which others are called in or out."
)
_KEEP_ID = flags.DEFINE_float(
    "keep_id", None, f"Share of these that is called in; default: {KEEP_ID}."
)
_ENCODER = encoder_flags.define_encoder(label=True)
_SHOWN = flags.DEFINE_integer("shown", 10, "Lines printed, farthest out first.", lower_bound=0)


def main() -> None:
    out, words, fields = _OUT_DIR.value, Words(*_WORDS()), given.fields()
    outputs.require_places(out, "scores.csv", "run.json", "report.html")
    if _KEEP_ID.value is not None and _ID.value is None:
        cli.refuse("--keep_id: has no effect without ID pictures; give them as --id_dir")
    if _METHOD.value is not None and "method" in fields:
        cli.refuse(f"--config.method: has no effect, because --method={_METHOD.value} decides")
    with display.progress() as on_progress:
        encoder = _ENCODER(_CONFIG.value.batch_size, on_progress)
        config = check(cli.override(_CONFIG.value, {"method": _METHOD.value}), encoder.model)
        refuse_unused(fields, config, words, stored=encoder.store_dir is not None)
        result = scoring.score_folder(
            encoder,
            read_set(_IMAGES.value),
            words,
            config,
            id_set=None if _ID.value is None else read_set(_ID.value),
            keep_id=KEEP_ID if _KEEP_ID.value is None else _KEEP_ID.value,
            on_progress=on_progress,
        )
        if parallel.is_writer():
            scoring.write_scores(out, result)
            own = encoder.model.preprocessing
            write_folder(out, result, own, notices=result.warnings, on_progress=on_progress)
    cli.say(*(f"warning: {warning}" for warning in result.warnings))
    cli.say(*(told(row) for row in result.table.head(_SHOWN.value).to_dict("records")))
    how = f"scored with {result.title}; {result.encoding.sentence()}"
    cli.say(*result.labels.read, how, result.rule)
    cli.say(f"{number_of(len(result.table), 'picture')}: {out}/scores.csv, {out}/report.html")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
