"""Which kinds of exports there are, and their files."""

from collections.abc import Sequence

from jaxvlm.errors import InputError

# What each kind writes into a video's folder, and what into the folder of all.
OF_VIDEO = {
    "edl": ("detections.edl",),
    "otio": ("detections.otio",),
    "chapters": ("chapters.vtt", "chapters.ffmetadata"),
}
TOP = {"activitynet": "activitynet.json", "csv": "timecodes.csv"}
KINDS = (*OF_VIDEO, *TOP)


def check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """The kinds, each once. Raises InputError for one that there is not."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InputError(f"--export={unknown[0]}: unknown; choose among {', '.join(KINDS)}")
    return tuple(dict.fromkeys(kinds))
