"""What a camera ordinarily shows: the zero of its alarms."""

from absl import flags

from jaxvlm.command import cli, display, encoder_flags, feature_flags, given, role_flags
from jaxvlm.errors import InputError

_VIDEO = flags.DEFINE_string("video", None, "Ordinary footage: a video file or a folder of them.")
_FRAMES_ROOT = flags.DEFINE_string(
    "frames_root", None, "Ordinary footage: a folder of frames per video, of extract-frames."
)
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets the model.", required=True)
_ORDINARY = flags.DEFINE_string("ordinary", None, "A model to go on with.")
_NAME = flags.DEFINE_string("camera", "camera", "What the camera is called.")
_STARTS = flags.DEFINE_string(
    "starts_at", None, "Time of day of the first frame, 06:30; videos follow each other."
)
_FEATURES = feature_flags.define_features()
_ROLES = role_flags.define_roles(captions=False)
_ENCODER = encoder_flags.define_encoder()


def main() -> None:
    from jaxvlm.video import feature_runs, ordinary_sources, scoring
    from jaxvlm.video.ordinary_model import load_ordinary

    of_features = feature_flags.asked("video", "frames_root")
    old = None
    if _ORDINARY.value is not None:
        given.refuse(["camera"], "the model of --ordinary has a name; leave it out")
        old = load_ordinary(_ORDINARY.value)
    starts = None if _STARTS.value is None else _second_of_day(_STARTS.value)
    asked = _ROLES()
    trust = {"force": asked.force, "warnings": asked.warnings}
    options = {"name": _NAME.value, "starts_at": starts}
    with display.progress() as options["on_progress"]:
        if of_features:
            texts = _FEATURES.texts(asked.roles.config.presence.kind, options["on_progress"])
            scorer, _ = feature_runs.make_scorer(texts, asked.roles, **trust)
            source, learn = _FEATURES.source(), ordinary_sources.learn_features
        else:
            encoder = _ENCODER(asked.roles.config.batch_size, options["on_progress"])
            scorer = scoring.make_scorer(encoder, asked.roles, **trust)
            source, learn = _VIDEO.value, ordinary_sources.learn_videos
            if source is None:
                source, learn = _FRAMES_ROOT.value, ordinary_sources.learn_folders
        learned = learn(scorer, source, old, **options)
    ordinary_sources.write_learned(_OUT_DIR.value, learned)
    for line in (*(f"warning: {w}" for w in scorer.warnings), *learned.model.sentences()):
        cli.show(line)
    cli.show(f"model: {_OUT_DIR.value}")
    cli.report_failures(learned.failures)


def _second_of_day(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60:
        return 3600 * int(hours) + 60 * int(minutes)
    raise InputError(f"--starts_at={text}: give hours and minutes, such as 06:30")


if __name__ == "__main__":
    cli.run(main)
