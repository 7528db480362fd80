"""How scores become detections that are compared with events."""

from typing import NamedTuple

from jaxvlm.errors import InputError


class DetectionRules(NamedTuple):
    """How a score becomes detections, and when one of these is an event's."""

    threshold: float = 0.5
    release: float | None = None
    merge_seconds: float = 1.0
    overlap: float = 0.1


# What each is, for whoever gives them.
RULES = {
    "threshold": "A detection starts at a score ≥ this, for the figures about detections.",
    "release": "It ends at a score below this; default: --threshold.",
    "merge_seconds": "Gaps up to this long do not end a detection.",
    "overlap": "A detection and an event belong together at this intersection over union; "
    "0: they touch.",
}


def check_rules(rules: DetectionRules) -> None:
    """Raises InputError for a rule out of range."""
    if rules.release is not None and rules.release > rules.threshold:
        raise InputError(
            f"--release={rules.release}: above --threshold={rules.threshold}; lower it"
        )
    if not 0 <= rules.overlap <= 1:
        raise InputError(f"--overlap={rules.overlap}: not between 0 and 1")
    if not rules.merge_seconds >= 0:
        raise InputError(f"--merge_seconds={rules.merge_seconds}: below 0")
