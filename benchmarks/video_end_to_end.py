"""Seconds of video that are scored in a second, the stages apart, and what each waits for.

    python -m benchmarks.video_end_to_end --video_seconds=60 --out=FILE.json

A rendered scene is scaled up and moved under grain, 25 frames a second of H.264, and scored as
`score-video` does it, pictures of what was found included. In every round the whole way is timed as
it is, with frames decoded by the thread that encodes (as it was before there was one for them), and
each stage alone; and frames up to a device that takes as long for a batch as decoding does, and no
core, which a machine without an accelerator has to imagine. Of the whole way: the share of the time
in which each part has nothing to do.
"""

import argparse
import collections
import contextlib
import functools
import itertools
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import av
import cv2
import jax
import numpy as np

from benchmarks import measuring, vit
from jaxvlm import clip, files
from jaxvlm.clip import preprocessing, stream
from jaxvlm.data import videos
from jaxvlm.resources import path as shipped
from jaxvlm.video import scoring
from jaxvlm.video.frame_presence import score_frames
from jaxvlm.video.role_model import load_role_model
from jaxvlm.world import videos as world

SIZES = {"1080p": (1920, 1080), "320p": (568, 320)}
RATE, GROUP = 25, 2  # frames a second; seconds from key frame to key frame
_STILL = 6  # frames that show one rendered picture, which is 4 a second


class Shares(NamedTuple):
    """Of one run's seconds: in which the decoder waits for room, resizing and the device for
    frames, and the device has not begun or is done."""

    decoder: float
    resizing: float
    device: float


def write_film(path: Path, size: tuple[int, int], seconds: int) -> None:
    """Rendered pictures, scaled and shifted, with grain that moves, so that the bit rate is a
    camera's."""
    width, height = size
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 12, (height, width, 1), np.uint8)
    drawn = (
        image
        for number in itertools.count()
        for _, image, _ in world.render_video(world.world_video(0, "test", number))
    )
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "g": str(GROUP * RATE), "bf": "3"}
        video = container.add_stream("libx264", rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for i in range(seconds * RATE):
            if i % _STILL == 0:
                scaled = (width + 64, height)
                shown = cv2.resize(next(drawn), scaled, interpolation=cv2.INTER_CUBIC) // 8 * 7
            image = shown[:, i % 64 : i % 64 + width] + np.roll(grain, 7 * i, axis=1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))


def make_scorer(name: str, batch_size: int) -> scoring.Scorer:
    """The embedded role model with the embedded encoder, or with random weights of a shape: then
    its texts are as random, which costs the same."""
    roles = load_role_model(shipped("checkpoints/roles"))
    embedded = clip.make_encoder(clip.load(shipped("checkpoints/clip")), batch_size=batch_size)
    scorer = scoring.make_scorer(embedded, roles)
    if name == "embedded":
        return scorer
    model = vit.vision_model(vit.SHAPES[name])
    rng, width = np.random.default_rng(0), model.config.projection_dim

    def rows(count: int) -> np.ndarray:
        found = rng.normal(size=(count, width)).astype(np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    bank = scorer.bank._replace(
        atoms=rows(len(roles.atoms)), neutral=rows(len(scorer.bank.neutral))
    )
    return scorer._replace(encoder=clip.make_encoder(model, batch_size=batch_size), bank=bank)


def drawn_in_turn(items: Any, prepare: Any, workers: int, ahead: int) -> Iterator[np.ndarray]:
    """As `stream._prepared` was: a frame is decoded where it is asked for, between two batches."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: collections.deque[Any] = collections.deque()
        for item in items:
            waiting.append(pool.submit(prepare, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextlib.contextmanager
def decoded_in_turn() -> Iterator[None]:
    """Frames are decoded by the thread that gives batches to the device."""
    with mock.patch.object(stream, "_prepared", drawn_in_turn):
        yield


def score(scorer: scoring.Scorer, path: Path) -> None:
    """The whole way, without the tables and the page."""
    scoring.score_video(scorer, path)


def score_in_turn(scorer: scoring.Scorer, path: Path) -> None:
    with decoded_in_turn():
        score(scorer, path)


def decode(path: Path, fps: float) -> int:
    return sum(1 for _ in videos.frames(path, fps=fps))


def resize(model: clip.ClipModel, images: list[np.ndarray]) -> None:
    """By one thread; the stream has one for each core."""
    for image in images:
        preprocessing.crop(model, image)


def encode(scorer: scoring.Scorer, crops: list[np.ndarray]) -> None:
    """Forward passes and presence of pictures that are of the encoder's size."""
    score_frames(scorer.encoder, scorer.bank, iter(crops), scorer.roles.config)


class Accelerator:
    """A device of another kind, which takes its time and no core: work is done in its order."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.ready_at = seconds, 0.0  # of a batch; when all that was given is done

    def encode(self, model: clip.ClipModel, pixels: Any) -> "Computed":
        self.ready_at = max(time.perf_counter(), self.ready_at) + self.seconds
        return Computed(self.ready_at, len(pixels))

    def wait(self) -> None:
        """As presence does, which is computed of a batch when the next one has been given."""
        time.sleep(max(0.0, self.ready_at - time.perf_counter()))


class Computed(NamedTuple):
    """An array that is there at a time: as much of jax.Array as the stream looks at."""

    ready_at: float
    rows: int


def see_beside(model: clip.ClipModel, path: Path, fps: float, batch: int, seconds: float) -> None:
    """Frames through the stream to an `Accelerator`."""
    device = Accelerator(seconds)

    def finished(values: Computed) -> float:
        time.sleep(max(0.0, values.ready_at - time.perf_counter()))
        return time.perf_counter()

    def collect(indices: list[int], values: Computed) -> Iterator[stream.EncodedBatch]:
        finished(values)
        yield stream.EncodedBatch(np.asarray(indices), values)

    images = (frame.image for frame in videos.frames(path, fps=fps))
    encoder = clip.make_encoder(model, batch_size=batch)
    with (
        mock.patch.object(stream, "_finishing_time", finished),
        mock.patch.object(stream, "_collect", collect),
    ):
        for _ in clip.encode_batches(encoder, images, failures=[], encode=device.encode):
            device.wait()


def see_beside_in_turn(*arguments: Any) -> None:
    with decoded_in_turn():
        see_beside(*arguments)


def shares(scorer: scoring.Scorer, path: Path) -> Shares:
    """What each part waits for in one run, as a share of the seconds of its stream."""
    decoding, cropping = [0.0], [0.0]
    real_frames, real_crop = videos.frames, preprocessing.read_crop

    def frames(*args: Any, **options: Any) -> Iterator[videos.Frame]:
        source = real_frames(*args, **options)
        while True:
            start = time.perf_counter()
            frame = next(source, None)
            decoding[0] += time.perf_counter() - start
            if frame is None:
                return
            yield frame

    def crop(model: clip.ClipModel, item: Any) -> np.ndarray:
        start = time.perf_counter()
        found = real_crop(model, item)
        cropping[0] += time.perf_counter() - start
        return found

    before = clip.EncodingStatistics(**vars(scorer.encoder.statistics))
    with (
        mock.patch.object(videos, "frames", frames),
        mock.patch.object(preprocessing, "read_crop", crop),
    ):
        scoring.see_video(scorer, path)
    taken = scorer.encoder.statistics.since(before)
    busy = [1 - min(1.0, seconds / taken.seconds) for seconds in (decoding[0], cropping[0])]
    return Shares(*busy, taken.device_idle_seconds / taken.seconds)


def measure(scorer: scoring.Scorer, path: Path, video_seconds: int, seconds: float) -> dict:
    """Seconds of video per second: medians over rounds; ratios are of one round each."""
    model, fps = scorer.encoder.model, scorer.roles.config.fps
    images = [frame.image for frame in videos.frames(path, fps=fps)]
    crops = [preprocessing.crop(model, image) for image in images]
    cases = {
        "whole": (functools.partial(score, scorer), (path,)),
        "whole_in_turn": (functools.partial(score_in_turn, scorer), (path,)),
        "decode": (decode, (path, fps)),
        "resize": (functools.partial(resize, model), (images,)),
        "encode": (functools.partial(encode, scorer), (crops,)),
    }
    start = time.perf_counter()
    decode(path, fps)
    batch = scorer.encoder.batch_size
    of_batch = (time.perf_counter() - start) / len(images) * batch
    beside = (model, path, fps, batch, of_batch)
    cases |= {"accelerator": (see_beside, beside)}
    cases |= {"accelerator_in_turn": (see_beside_in_turn, beside)}
    times = measuring.interleaved(cases, seconds)
    waited = [shares(scorer, path) for _ in range(3)]
    with decoded_in_turn():
        waited_in_turn = [shares(scorer, path) for _ in range(3)]
    return {
        "frames": len(images),
        "rounds": len(times["whole"]),
        "video_seconds_per_second": {
            name: float(video_seconds / np.median(taken)) for name, taken in times.items()
        },
        "gain": float(np.median(times["whole_in_turn"] / times["whole"])),
        "gain_beside_an_accelerator": float(
            np.median(times["accelerator_in_turn"] / times["accelerator"])
        ),
        "share_of_decoding_alone": float(np.median(times["decode"] / times["whole"])),
        "waited": Shares(*np.median(waited, axis=0))._asdict(),
        "waited_in_turn": Shares(*np.median(waited_in_turn, axis=0))._asdict(),
    }


def line(name: str, found: dict) -> str:
    """What was measured, for a person."""
    rates = ", ".join(f"{k} {v:.1f}" for k, v in found["video_seconds_per_second"].items())
    waits = ", ".join(f"{k} {100 * v:.0f} %" for k, v in found["waited"].items())
    before = ", ".join(f"{k} {100 * v:.0f} %" for k, v in found["waited_in_turn"].items())
    return (
        f"{name}: seconds of video a second: {rates} ({found['rounds']} rounds); decoding ahead "
        f"{found['gain']:.2f} times faster, beside an accelerator as fast as decoding "
        f"{found['gain_beside_an_accelerator']:.2f}; waits: {waits} (in turn: {before})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video_seconds", type=int, default=60)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    encoders = ["embedded", *vit.SHAPES]
    parser.add_argument("--encoders", nargs="+", default=["embedded"], choices=encoders)
    parser.add_argument("--frames_a_batch", type=int, default=8)
    parser.add_argument("--measuring_seconds", type=float, default=60.0, help="for each of them")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"device": measuring.device_name(), "jax": jax.__version__}
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            path = Path(folder) / f"{size}.mp4"
            write_film(path, SIZES[size], arguments.video_seconds)
            rate = path.stat().st_size * 8e-6 / arguments.video_seconds
            print(f"{arguments.video_seconds} s of {size} at {rate:.1f} Mbit/s", flush=True)
            for name in arguments.encoders:
                scorer = make_scorer(name, arguments.frames_a_batch)
                found = measure(scorer, path, arguments.video_seconds, arguments.measuring_seconds)
                result[f"{size}, {name}"] = found | {"mbit_per_second": rate}
                print(line(f"{size}, {name}", found), flush=True)
    if arguments.out is not None:
        files.write_json(arguments.out, result)


if __name__ == "__main__":
    main()
