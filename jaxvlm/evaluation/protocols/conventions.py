"""How published evaluations of video anomaly detectors differ, as named options."""

from typing import NamedTuple

from jaxvlm.errors import InputError
from jaxvlm.evaluation.detection_rules import DetectionRules, check_rules

VIDEO_FPS = {"ucf_crime": 30.0, "xd_violence": 24.0}  # of the published videos
# Every convention, its values and what they mean; the first value is the default.
CHOICES = {
    "interval_ends": {
        "exclusive": "frames start to end − 1, from 0 (XDVioDet, VadCLIP)",
        "inclusive": "frames start to end, from 0",
        "one_based": "frames start − 1 to end − 1: both ends belong to it, the first frame is 1 "
        "(Sultani's MATLAB evaluation)",
    },
    "tail": {
        "drop": "frames after the last whole snippet are left out (VadCLIP)",
        "drop_minus_one": "the last frame, then those after the last whole snippet are left out "
        "(XDVioDet, whose optical flow has one frame less)",
        "pad": "normal frames fill the last snippet up",
        "keep": "every frame counts (Sultani)",
    },
    "score_unit": {
        "auto": "row if the scores are of features, else time if they have time_seconds, else "
        "frame or snippet, whichever fits the frame counts",
        "frame": "a score per frame",
        "snippet": "a score per snippet, repeated for its frames",
        "row": "a score per row of features, repeated for the frames that it is of, as run.json "
        "of score-video says",
        "even": "scores spread evenly over the video (32 segments, Sultani)",
        "time": "scores at time_seconds",
    },
    "time_sampling": {
        "hold": "a frame has the last score at or before it",
        "nearest": "a frame has the score nearest in time",
        "linear": "between two scores a straight line",
    },
    "padding": {
        "hold": "frames after the last score have that score (Sultani)",
        "zero": "frames after the last score have score 0",
        "truncate": "frames after the last score are left out",
    },
    "ap_definition": {
        "average_precision": "Σ (R_n − R_{n−1}) P_n, no interpolation (scikit-learn, VadCLIP)",
        "trapezoid": "trapezoids under the precision-recall curve (XDVioDet, RTFM)",
    },
    "class_negatives": {
        "normal": "normal frames of the class's videos and of normal videos",
        "own": "normal frames of the class's videos",
        "all": "all frames without the class, other anomalies included",
    },
}


class Conventions(NamedTuple):
    """How published evaluations differ; the values are those of `CHOICES`."""

    interval_ends: str = "exclusive"
    tail: str = "drop"
    score_unit: str = "auto"
    time_sampling: str = "hold"
    padding: str = "hold"
    ap_definition: str = "average_precision"
    class_negatives: str = "normal"
    snippet_frames: int = 16
    tolerance_frames: int = 32  # by which scores may be longer or shorter than their video
    rules: DetectionRules = DetectionRules()
    postprocess: str = ""  # of `steps.STEPS`, in order

    def record(self) -> dict[str, object]:
        """What differs between published evaluations, for ``metrics.json``."""
        return {k: v for k, v in self._asdict().items() if k not in ("rules", "postprocess")}


def check_conventions(conventions: Conventions) -> None:
    """Raises InputError for a value that is none of `CHOICES`, or a number out of range."""
    for field, choices in CHOICES.items():
        value = getattr(conventions, field)
        if value not in choices:
            raise InputError(f"{field} {value!r}: unknown; use one of {', '.join(choices)}")
    if conventions.snippet_frames < 1 or conventions.tolerance_frames < 0:
        raise InputError("snippet_frames must be at least 1, tolerance_frames at least 0")
    check_rules(conventions.rules)


def snippet_frames(frames: int, conventions: Conventions) -> int:
    """The number of frames that count of a video with so many; see ``CHOICES["tail"]``."""
    size = conventions.snippet_frames
    return {
        "drop": frames // size * size,
        "drop_minus_one": (frames - 1) // size * size,
        "pad": -(-frames // size) * size,
        "keep": frames,
    }[conventions.tail]
