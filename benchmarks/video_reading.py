"""Sampled frames of a 1080p video: the project's reader against decoding every frame with OpenCV.

    python -m benchmarks.video_reading --seconds=40 --group=2

Both read one generated H.264 file (25 frames a second, a key frame every ``group`` seconds, three
B-frames) and are called in turn, so that the machine's noise meets both.
"""

import argparse
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks import measuring
from jaxvlm.data import videos

SIZE, RATE = (1920, 1080), 25


def write(path: Path, seconds: int, group: float) -> None:
    """A street-like picture with grain that moves, so that the bit rate is a camera's."""
    rng = np.random.default_rng(0)
    wide = cv2.resize(
        rng.integers(0, 256, (68, 136, 3), np.uint8), (2176, 1088), interpolation=cv2.INTER_CUBIC
    )
    grain = rng.integers(0, 12, (1088, 2176, 1), np.uint8)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "g": str(round(group * RATE)), "bf": "3"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(seconds * RATE):
            shift = 3 * i % 256
            image = wide[4 : 4 + SIZE[1], shift : shift + SIZE[0]] // 2
            image = image + np.roll(grain, 7 * i, axis=1)[: SIZE[1], : SIZE[0]]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def opencv_frames(path: Path, fps: float) -> Iterator[np.ndarray]:
    """Every packet's time first, then every frame decoded, the sampled ones converted."""
    times = []
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    capture.release()
    wanted = set(videos.sample_times(np.sort(times), fps).tolist())
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    place = 0
    while capture.grab():
        if place in wanted:
            yield cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
        place += 1
    capture.release()


def count_ours(path: Path, fps: float) -> int:
    return sum(1 for _ in videos.frames(path, fps=fps))


def count_opencv(path: Path, fps: float) -> int:
    return sum(1 for _ in opencv_frames(path, fps))


def measure(path: Path, rates: list[float], seconds: float) -> list[str]:
    """A line per sampling rate: medians, and the median ratio of one round."""
    lines = []
    for fps in rates:
        cases = {
            "ours": (functools.partial(count_ours, path), (fps,)),
            "opencv": (functools.partial(count_opencv, path), (fps,)),
        }
        times = measuring.interleaved(cases, seconds)
        ratio = np.median(times["opencv"] / times["ours"])
        lines.append(
            f"fps {fps:g}: {np.median(times['ours']):.2f} s against "
            f"{np.median(times['opencv']):.2f} s, {ratio:.1f} times faster "
            f"({len(times['ours'])} rounds)"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=40, help="of video")
    parser.add_argument("--group", type=float, default=2.0, help="seconds from key frame to next")
    parser.add_argument("--fps", type=float, nargs="+", default=[0.2, 1.0, 25.0])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "street.mp4"
        write(path, arguments.seconds, arguments.group)
        rate = path.stat().st_size * 8e-6 / arguments.seconds
        print(f"{arguments.seconds} s of 1080p at {rate:.1f} Mbit/s", flush=True)
        for line in measure(path, arguments.fps, 20.0):
            print(line, flush=True)


if __name__ == "__main__":
    main()
