"""What happens in a video, when and why: tables and a page."""

from absl import flags

from jaxvlm import outputs, resources
from jaxvlm.command import cli, encoder_flags
from jaxvlm.pages.video_page import RoleBook, write_video_page
from jaxvlm.video import config, scoring
from jaxvlm.video.role_learning import roles_table

_CONFIG = cli.define_config(
    "config", "default.py", "Settings for --roles=ontology, and of batch_size"
)
_VIDEO = flags.DEFINE_string("video", None, "Video file or a folder of them.", required=True)
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets events.csv, segments.csv and report.html.", required=True
)
_ROLES = flags.DEFINE_string(
    "roles",
    str(resources.path("checkpoints/roles")),
    "Role model folder, or ontology: the roles written in --ontology.",
)
_ONTOLOGY = flags.DEFINE_string(
    "ontology",
    str(resources.path("configs/ontology/world_roles.yaml")),
    "Read with --roles=ontology: events, atoms, roles, strengths.",
)
_ENCODER = encoder_flags.define_encoder(store=False)
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
    outputs.require_places(_OUT_DIR.value, "report.html")
    encoder = _ENCODER(config.check(_CONFIG.value).batch_size)
    roles = scoring.read_roles(_ROLES.value, _ONTOLOGY.value, _CONFIG.value)
    result = scoring.score_videos(
        _VIDEO.value,
        _OUT_DIR.value,
        scoring.make_scorer(encoder, roles),
        intervals_csv=_INTERVALS.value,
        threshold=_THRESHOLD.value,
        progress=cli.is_interactive(),
    )
    page = f"{_OUT_DIR.value}/report.html"
    book = RoleBook(roles.events, roles.atoms, roles_table(roles))
    write_video_page(page, result.videos, book, threshold=_THRESHOLD.value, notices=result.warnings)
    warnings = [f"warning: {warning}" for warning in result.warnings]
    for line in (*warnings, *result.notes, *result.sentences()):
        cli.show(line)
    cli.show(f"{len(result.videos)} videos: {page}")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
