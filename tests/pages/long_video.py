"""A video of half an hour with thirteen events and 232 detections, made up."""

import numpy as np

from jaxvlm.atoms.reasons import Reason
from jaxvlm.video.detections import Detection
from jaxvlm.video.result import Finding, ScoredVideo, Thumbnail

EVENTS = (
    "abuse", "arrest", "arson", "assault", "burglary", "explosion", "fighting", "road accident",
    "robbery", "shooting", "shoplifting", "stealing", "vandalism",
)  # fmt: skip
ATOMS = tuple(
    f"{what} {where}"
    for what in ("person kicking", "broken shop window", "smoke plume", "people running away")
    for where in ("at night", "indoors", "in a car park")
)
SECONDS, DETECTIONS, SEGMENT = 1800, 232, 45


def long_video(name="city/camera_17/2026-03-01_night_shift_part_2.mp4", *, count=DETECTIONS):
    """P of each event is 0.9 to 1 while it is detected, else at most 0.3; a detection may overlap
    those of other events, never one of its own."""
    rng = np.random.default_rng(0)
    probability = 0.3 * rng.random((SECONDS, len(EVENTS)))
    free = np.ones((SECONDS, len(EVENTS)), bool)
    detections = []
    while len(detections) < count:
        length, event = int(rng.integers(2, 20)), int(rng.integers(len(EVENTS)))
        start = int(rng.integers(1, SECONDS - length - 2))
        if not free[start - 1 : start + length + 2, event].all():
            continue
        free[start : start + length + 1, event] = False
        probability[start : start + length, event] = 0.9 + 0.1 * rng.random(length)
        peak = start + int(probability[start : start + length, event].argmax())
        detections.append(
            Detection(EVENTS[event], start, start + length, peak, float(start),
                      float(start + length), float(probability[peak, event]))
        )  # fmt: skip
    detections.sort(key=lambda d: (d.start_frame, EVENTS.index(d.event)))
    image = np.zeros((90, 160, 3), np.uint8)
    image[:] = np.linspace(40, 200, 160).astype(np.uint8)[None, :, None]
    findings = []
    for i, detection in enumerate(detections):
        atoms = [ATOMS[(i + k) % len(ATOMS)] for k in range(3)]
        reasons = (
            Reason((atoms[0],), "direct", 3.0),
            Reason((atoms[1], atoms[2]), "indirect", 1.5),
            Reason(("film crew",), "counter", -1.0),
        )
        seconds = (detection.start_seconds, float(detection.peak_frame))
        findings.append(Finding(detection, reasons, tuple(Thumbnail(s, image) for s in seconds)))
    boundary = np.zeros(SECONDS)
    boundary[::SEGMENT] = 0.9
    presence = rng.random((SECONDS, len(ATOMS) + 1))
    return ScoredVideo(name, np.arange(float(SECONDS)), probability, boundary, presence,
                       findings=tuple(findings))  # fmt: skip
