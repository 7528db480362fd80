"""What watch says against trusting its lines."""

import numpy as np
import pytest

from jaxvlm.data import videos
from jaxvlm.data.videos import Frame
from jaxvlm.video.watched import JUDGED
from jaxvlm.video.watching import Rules
from tests.video import test_watching
from tests.video.test_watching import FPS, watched

learned, video = test_watching.learned, test_watching.video  # fixtures


def stripes(count):
    """Patterns that the rendered world does not have."""
    x, y = np.meshgrid(np.arange(96), np.arange(96))
    for n in range(count):
        pattern = ((x * (n % 5 + 1) + y * (n % 3)) // 7) % 2
        colors = np.random.default_rng(n).integers(0, 256, (2, 3), np.uint8)
        yield Frame(n, float(n), colors[pattern])


@pytest.mark.parametrize("count", [20, JUDGED + 20])
def test_frames_unlike_the_encoders_own_are_told_once(learned, count):
    lines, summary = watched(learned, stripes(count), Rules(2.0, 0.0))
    (line,) = lines
    assert line["state"] == "warning" and summary.frames == count
    assert line["warning"].startswith("these frames are unlike the pictures that the encoder was")


def test_what_is_known_of_the_texts_is_told_at_once(learned, video):
    rows = np.repeat(learned.bank.atoms[:1], len(learned.bank.atoms), axis=0)
    alike = learned._replace(bank=learned.bank._replace(atoms=rows), warnings=("of another",))
    lines, _ = watched(alike, videos.frames(video, fps=FPS), Rules(2.0, 0.0))
    first, second = [line["warning"] for line in lines]
    assert first == "of another" and "this encoder does not know their words" in second
