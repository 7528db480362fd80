"""Flags of `watch`: which cameras, and what starts and ends an event."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from jaxvlm.command import cli, given
from jaxvlm.command.ordinary_flags import AskedOrdinary
from jaxvlm.command.role_flags import AskedRoles
from jaxvlm.data import sources, waiting
from jaxvlm.errors import InputError

if TYPE_CHECKING:
    from jaxvlm import clip
    from jaxvlm.alarms.rules import Rules
    from jaxvlm.video import scoring
    from jaxvlm.video.camera_list import Entry
    from jaxvlm.video.watch_program import Asked

_BOTH = "--cameras names the sources; leave one of them out"


def define_rules() -> Callable[[], Rules]:
    """Flags of `alarms.rules.Rules`, and the function that reads them."""
    threshold = flags.DEFINE_float("threshold", 0.5, "An event starts at this probability.")
    release = flags.DEFINE_float("release", 0.4, "It ends below this one.")
    least = flags.DEFINE_float(
        "min_seconds", 0.0, "It has to last so long to be told.", lower_bound=0
    )
    calm = flags.DEFINE_float(
        "release_seconds", 0.0, "It has to stay below --release so long to end.", lower_bound=0
    )
    cool = flags.DEFINE_float(
        "cooldown_seconds", 0.0, "After its end it does not start again so long.", lower_bound=0
    )
    policy = flags.DEFINE_enum(
        "policy",
        None,
        waiting.POLICIES,
        "When the source is faster; file: wait, live: drop oldest.",
    )
    queue = flags.DEFINE_integer("queue", 16, "Frames of a camera that may wait.", lower_bound=1)
    reconnect = flags.DEFINE_integer(
        "reconnect",
        0,
        "Attempts in a row when a live source is lost; those of --cameras are tried without end.",
        lower_bound=0,
    )
    follow = flags.DEFINE_bool("follow", False, "Read a file on while it is written.")
    hosts = flags.DEFINE_list(
        "allowed_hosts",
        [],
        "Hosts, beside its own, that a URL's redirects and playlists may lead to.",
    )

    def rules() -> Rules:
        from jaxvlm.alarms.rules import Rules

        many = given.is_given("cameras")
        return Rules(
            threshold.value,
            release.value,
            policy.value,
            queue.value,
            None if many else reconnect.value,
            tuple(hosts.value),
            follow.value,
            least.value,
            calm.value,
            cool.value,
        )

    return rules


class Cameras(NamedTuple):
    """What ``--source`` or ``--cameras`` says. check: before the model is loaded. read: may be
    called again, and reads the files again."""

    check: Callable[[], None]
    read: Callable[[clip.Encoder, Callable[..., AskedRoles], Rules], list[Asked]]


def define_cameras(ordinary: AskedOrdinary) -> Cameras:
    """``--source`` and ``--cameras``. ordinary: the flags of what a camera ordinarily shows."""
    source = flags.DEFINE_string("source", None, "Video file, camera (0, /dev/video0) or URL.")
    listed = flags.DEFINE_string(
        "cameras", None, "YAML list of cameras, watched together, in place of --source."
    )

    def check() -> None:
        if (source.value is None) == (listed.value is None):
            raise InputError(
                "--source: which video, camera or URL? or --cameras=LIST.yaml for many"
                if source.value is None
                else f"--source: {_BOTH}"
            )
        if source.value is None:
            given.refuse(["reconnect"], "those of --cameras are tried without end; leave it out")
            given.refuse(["ordinary", "learn_ordinary"], "a camera of --cameras has its own there")
            from jaxvlm.video import camera_list

            camera_list.read_cameras(listed.value)
        elif sources.file_of(source.value) is not None:
            given.refuse(["reconnect", "allowed_hosts"], "--source is a file; leave it out")

    def read(encoder: clip.Encoder, roles: Callable[..., AskedRoles], rules: Rules) -> list[Asked]:
        from jaxvlm.video import camera_list, scoring
        from jaxvlm.video.watch_program import Asked

        def scorer(asked: AskedRoles, folder: str | None = None) -> scoring.Scorer:
            trust = {"force": asked.force, "warnings": asked.warnings}
            return scoring.make_scorer(
                encoder, asked.roles, ordinary=ordinary.model(folder), **trust
            )

        if source.value is not None:
            own = scorer(roles())
            limits = _within_budget(ordinary, own, rules)
            return [Asked(None, source.value, own, limits, ordinary.learning(own))]
        made: dict[tuple, scoring.Scorer] = {}
        found = []
        for entry in camera_list.read_cameras(listed.value):
            key = entry.roles, entry.ontology, entry.fps, entry.ordinary
            with _told_of(entry):
                if key not in made:
                    asked = roles(entry.roles, entry.ontology, entry.fps)
                    made[key] = scorer(asked, entry.ordinary)
                limits = _within_budget(ordinary, made[key], rules)
            own = camera_list.rules_of(entry, limits)
            found.append(Asked(entry.name, entry.source, made[key], own))
        return found

    return Cameras(check, read)


def _within_budget(ordinary: AskedOrdinary, scorer: scoring.Scorer, rules: Rules) -> Rules:
    """The rules with the thresholds that keep the asked rate of false alarms, where one is."""
    budget = ordinary.budget(scorer)
    if budget is None:
        return rules
    from jaxvlm.video.ordinary_reading import release_levels

    cli.warn(budget.sentence())
    levels = {"threshold": budget.thresholds, "release": release_levels(budget.thresholds)}
    tables = {
        name: dict(zip(scorer.signals, of.tolist(), strict=True)) for name, of in levels.items()
    }
    return rules._replace(**tables)


@contextlib.contextmanager
def _told_of(entry: Entry) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{entry.place}: {error}") from None
