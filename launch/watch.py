"""Events of a file, camera or URL while they happen.

A JSON line when one starts or ends.
"""

from absl import flags

from jaxvlm.command import cli, display, encoder_flags, given, ordinary_flags, role_flags
from jaxvlm.data import streams
from jaxvlm.names import number_of
from jaxvlm.video import ordinary_reading, ordinary_watching, scoring, watching

_SOURCE = flags.DEFINE_string(
    "source", None, "Video file, camera (0, /dev/video0) or URL.", required=True
)
_ROLES = role_flags.define_roles(captions=False, fps=True)
_ORDINARY = ordinary_flags.define_ordinary(live=True)
_ENCODER = encoder_flags.define_encoder(live=True)
_THRESHOLD = flags.DEFINE_float("threshold", 0.5, "An event starts at this probability.")
_RELEASE = flags.DEFINE_float("release", 0.4, "It ends below this one.")
_POLICY = flags.DEFINE_enum(
    "policy", None, streams.POLICIES, "When the source is faster; file: wait, live: drop oldest."
)
_QUEUE = flags.DEFINE_integer("queue", 16, "Frames that may wait.", lower_bound=1)
_OUT = flags.DEFINE_string("out", None, "Lines are appended to this file, not printed.")
_RECONNECT = flags.DEFINE_integer(
    "reconnect", 0, "Attempts in a row when a live source is lost.", lower_bound=0
)
_FOLLOW = flags.DEFINE_bool("follow", False, "Read a file on while it is written.")
_HOSTS = flags.DEFINE_list(
    "allowed_hosts", [], "Hosts, beside its own, that a URL's redirects and playlists may lead to."
)


def main() -> None:
    live = streams.is_live(_SOURCE.value)  # a file that is missing is told before the model loads
    role_flags.refuse_live()
    if not live:
        given.refuse(["reconnect", "allowed_hosts"], "--source is a file; leave it out")
    asked, model = _ROLES(), _ORDINARY.model()
    rules = watching.Rules(
        _THRESHOLD.value,
        _RELEASE.value,
        _POLICY.value,
        _QUEUE.value,
        _RECONNECT.value,
        tuple(_HOSTS.value),
        _FOLLOW.value,
    )
    with display.progress() as on_progress:
        encoder = _ENCODER(1, on_progress)  # frames come one at a time
        trust = {"force": asked.force, "warnings": asked.warnings}
        scorer = scoring.make_scorer(encoder, asked.roles, ordinary=model, **trust)
        if budget := _ORDINARY.budget(scorer):
            levels = budget.thresholds
            rules = rules._replace(
                threshold=levels, release=ordinary_reading.release_levels(levels)
            )
            cli.warn(budget.sentence())
        options = {"rules": rules, "out": _OUT.value, "learning": _ORDINARY.learning(scorer)}
        summary = watching.write_changes(scorer, _SOURCE.value, on_progress=on_progress, **options)
    if _OUT.value is not None:
        cli.show(f"{number_of(summary.frames, 'frame')}: {_OUT.value}")
        if options["learning"]:
            cli.show(ordinary_watching.learned_line(options["learning"]))


if __name__ == "__main__":
    cli.run(main)
