"""Seconds as the timecodes of editors: SMPTE ST 12-1 at a video's own frame rate."""

import math
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from jaxvlm.data import containers
from jaxvlm.errors import InputError

# Rates whose 1000/1001 is a rate, too, and whether their timecode then drops frames.
_NTSC = {24: False, 30: True, 48: False, 60: True}
_NEAR = Fraction(1, 5000)  # a measured rate is one that it differs from by less than this part
_HIGHEST = 120
USUAL = Fraction(25)  # of what has no rate that a timecode counts in


class Rate(NamedTuple):
    """Frames per second, how many of them a timecode counts as a second, and whether it drops."""

    per_second: Fraction
    base: int
    drop: bool


class Clock(NamedTuple):
    """A video's rate, and how many frames it has at that rate; None where that is not known."""

    rate: Rate
    frames: int | None = None


def rate_of(fps: float | Fraction) -> Rate:
    """The rate that timecodes count in: a whole number of frames per second up to 120, or 1000/1001
    of 24, 30, 48 or 60, of which 30 and 60 drop frames; 25 for any other.

    Raises ValueError for fps that is not above 0.
    """
    if not 0 < fps < math.inf:
        raise ValueError(f"fps={fps}: give a number above 0")
    fps = Fraction(fps)
    known = [Rate(Fraction(base), base, False) for base in range(1, _HIGHEST + 1)]
    known += [Rate(Fraction(1000 * n, 1001), n, drop) for n, drop in _NTSC.items()]
    best = min(known, key=lambda rate: abs(rate.per_second - fps))
    near = abs(best.per_second - fps) <= _NEAR * best.per_second
    return best if near else Rate(USUAL, int(USUAL), False)


def frame_at(seconds: float, rate: Rate) -> int:
    """The frame that starts nearest to a time."""
    return math.floor(Fraction(seconds) * rate.per_second + Fraction(1, 2))


def timecode(frame: int, rate: Rate) -> str:
    """hh:mm:ss:ff of a frame counted from 0, or hh:mm:ss;ff where frames are dropped.

    Dropping leaves out no frame: at 29.97 frames a second the numbers ;00 and ;01 are skipped at
    each minute that is not a tenth one (at 59.94 ;00 to ;03), so that an hour of timecode lasts
    3599.9964 s. After 24 hours it begins again.
    """
    base, dropped = rate.base, rate.base // 15 if rate.drop else 0
    ten_minutes = 600 * base - 9 * dropped
    tens, rest = divmod(frame % (144 * ten_minutes), ten_minutes)
    # Minutes that have begun since the last tenth one; the first of ten is a whole one.
    minutes = max(0, (rest - dropped) // (60 * base - dropped))
    seconds, number = divmod(tens * 600 * base + rest + dropped * minutes, base)
    hours, seconds = divmod(seconds, 3600)
    separator = ";" if rate.drop else ":"
    return f"{hours:02d}:{seconds // 60:02d}:{seconds % 60:02d}{separator}{number:02d}"


def clock_of(path: Path | None, fps: float | None = None) -> Clock:
    """The clock of a video file; without one, that of a rate, and without one 25 a second."""
    if path is None:
        return Clock(rate_of(fps or USUAL))
    try:
        with containers.open_file(path) as video:
            stream, container = video.stream, video.container
            found = stream.average_rate or stream.guessed_rate
            rate = rate_of(found) if found else rate_of(USUAL)
            seconds = None if not container.duration else Fraction(container.duration, 1_000_000)
    except InputError:  # it was read before; what went wrong since ends no run
        return Clock(rate_of(fps or USUAL))
    return Clock(rate, None if seconds is None else max(1, frame_at(float(seconds), rate)))
