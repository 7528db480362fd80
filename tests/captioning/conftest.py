"""Small frames, and no proxy between a test and its own server."""

import cv2
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def make_frames(tmp_path):
    """``make_frames({"video": 3})`` writes folders of frames, each of them another picture."""

    def make(counts, root="frames", size=(24, 32)):
        rng = np.random.default_rng(0)
        for video, count in counts.items():
            folder = tmp_path / root / video
            folder.mkdir(parents=True, exist_ok=True)
            for k in range(count):
                image = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3))
                image = image.repeat(8, 0).repeat(8, 1).astype(np.uint8)
                cv2.imwrite(str(folder / f"{k:06d}.png"), image)
        return tmp_path / root

    return make
