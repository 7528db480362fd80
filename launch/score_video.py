"""What happens in a video, when and why: tables and a page."""

from absl import flags

from jaxvlm import outputs
from jaxvlm.command import cli, display, encoder_flags, role_flags
from jaxvlm.errors import InputError
from jaxvlm.names import number_of
from jaxvlm.ontology import captions
from jaxvlm.pages.video_page import role_book, write_video_page
from jaxvlm.video import scored_folder, scoring

_VIDEO = flags.DEFINE_string("video", None, "Video file or a folder of them.")
_RESCORE = flags.DEFINE_string(
    "rescore", None, "An earlier --out_dir, instead of --video: its frames, nothing is encoded."
)
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets report.html, detections.csv and a folder per video.", required=True
)
_ROLES = role_flags.define_roles(captions=True)
_ENCODER = encoder_flags.define_encoder()
_INTERVALS = flags.DEFINE_string(
    "intervals_csv", None, "True intervals to show: video_id,event,start_seconds,end_seconds."
)
_THRESHOLD = flags.DEFINE_float(
    "threshold",
    0.5,
    "Probability from which an event is reported.",
    lower_bound=0.0,
    upper_bound=1.0,
)


def main() -> None:
    if (_VIDEO.value is None) == (_RESCORE.value is None):
        raise InputError("flags: give either --video or --rescore")
    if _RESCORE.value is not None:
        role_flags.refuse_without_video()
    outputs.require_places(_OUT_DIR.value, *scored_folder.TOP)
    asked, again = _ROLES(), _RESCORE.value is not None
    score = scored_folder.rescore_videos if again else scored_folder.score_videos
    with display.progress() as on_progress:
        encoder = _ENCODER(asked.roles.config.batch_size, on_progress)
        scorer = scoring.make_scorer(
            encoder, asked.roles, force=asked.force, warnings=asked.warnings
        )
        result = score(
            _VIDEO.value or _RESCORE.value,
            _OUT_DIR.value,
            scorer,
            intervals_csv=_INTERVALS.value,
            threshold=_THRESHOLD.value,
            qwen_json=asked.qwen_json,
            on_progress=on_progress,
        )
    page = f"{_OUT_DIR.value}/report.html"
    book = role_book(asked.roles)
    write_video_page(page, result.videos, book, threshold=_THRESHOLD.value, notices=result.warnings)
    seen = "no picture encoded" if again else encoder.statistics.sentence()
    lines = [*result.notes, *result.sentences(_THRESHOLD.value), seen]
    lines += [captions.describe(result.coverage)] if result.coverage else []
    for line in (*(f"warning: {warning}" for warning in result.warnings), *lines):
        cli.show(line)
    cli.show(f"{number_of(len(result.videos), 'video')}: {page}")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
