"""Frames of a video file by presentation time, and folders of JPEG frames written from them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from jaxvlm import outputs
from jaxvlm.data import images
from jaxvlm.errors import InputError

SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
JPEG_QUALITY = 95
MISSES = 32  # failed reads in a row that mean the end
CLOCK = 1e-3  # seconds; Matroska rounds presentation times to milliseconds


class Frame(NamedTuple):
    """What a video shows at one sampling instant: HxWx3 uint8 RGB at ``index / fps`` seconds."""

    index: int
    time_seconds: float
    image: np.ndarray


class FrameFolder(NamedTuple):
    """A folder of JPEG frames, how many there are, and the instant of the last one."""

    folder: Path
    frames: int
    last_seconds: float


class Extraction(NamedTuple):
    """The folders written, and one line for every video that was skipped."""

    done: list[FrameFolder]
    failures: list[str]


def sample_times(times: np.ndarray, fps: float) -> np.ndarray:
    """Which frame is on the screen at each sampling instant.

    index_k = max{i : times_i ≤ k/fps}, for k = 0 … ⌊fps·times_last⌋; the first frame stands in
    for an instant before it.

    Args:
      times: [n] presentation times in seconds, increasing, any spacing.
      fps: sampling instants per second. Above the video's own rate frames repeat.

    Returns:
      [T] indices into ``times``, not decreasing; empty for no frames.

    Raises:
      InputError: fps is not a positive number.
    """
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"--fps: must be a positive number, got {fps}; 1 is the usual choice")
    times = np.asarray(times, np.float64)
    if times.size == 0:
        return np.zeros(0, np.int64)
    instants = np.arange(int(np.floor((times[-1] + CLOCK) * fps)) + 1) / fps
    return np.maximum(np.searchsorted(times, instants + CLOCK, side="right") - 1, 0)


def frames(path: str | os.PathLike, *, fps: float = 1.0) -> Iterator[Frame]:
    """Yields what the video shows at 0, 1/fps, 2/fps … seconds, up to its last frame.

    Two passes: the container's packet times (no decoding, milliseconds), then one decoding pass
    that converts only the frames that are sampled. Variable frame rates and trimmed mp4 files
    are therefore exact. What cannot be told from a good video: a damaged frame that the decoder
    patches over, and one whose packet is gone from the container (it looks like a pause).

    Raises:
      InputError: no video, no frames, cut short (before the first frame is yielded), or a frame
        that cannot be decoded (after the frames before it, at the latest at the end).
    """
    path = Path(path)
    times = _packet_times(path)
    wanted = sample_times(times, fps)
    with _capture(path) as capture:
        decoded: list[float] = []
        k = misses = 0
        # A damaged frame fails one grab, sometimes before good frames that are still in the
        # decoder's threads, so one failure is neither the end nor the place of the damage.
        while len(decoded) < len(times) and misses < MISSES:
            if not capture.grab():
                misses += 1
                continue
            misses = 0
            decoded.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            shown = np.searchsorted(times, decoded[-1] + CLOCK, side="right") - 1
            if k == len(wanted) or wanted[k] > shown:
                continue
            ok, bgr = capture.retrieve()
            if not ok:
                decoded.pop()
                continue
            image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            while k < len(wanted) and wanted[k] <= shown:
                yield Frame(k, k / fps, image)
                k += 1
    lost = _lost_times(times, np.asarray(decoded))
    if lost.size:
        raise InputError(
            f"{path}: only {len(decoded)} of {len(times)} frames can be decoded, none at "
            f"{lost[0]:.2f} s; replace the file or encode it again"
        )


def extract_frames(
    video: str | os.PathLike, out_dir: str | os.PathLike, *, fps: float = 1.0
) -> FrameFolder:
    """Writes the sampled frames as ``000000.jpg`` … and ``index.csv`` into the folder ``out_dir``.

    ``index.csv`` has one row per frame: frame, time_seconds (k/fps), timecode (HH:MM:SS.mmm). The
    folder appears whole; frames written there before are replaced, any other folder is not.

    Raises:
      InputError: see ``frames``; or ``out_dir`` holds something that is not extracted frames.
    """
    out_dir = Path(out_dir)
    rows = []
    with outputs.output_path(out_dir, kind="extracted frames") as folder:
        folder.mkdir()
        for frame in frames(video, fps=fps):
            bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
            _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            code.tofile(folder / f"{frame.index:06d}.jpg")
            rows.append((frame.index, frame.time_seconds, timecode(frame.time_seconds)))
        table = pd.DataFrame(rows, columns=["frame", "time_seconds", "timecode"])
        # Not files.write_csv: six significant digits would round the times of a long video.
        table.to_csv(folder / "index.csv", index=False, float_format="%.6f", lineterminator="\n")
    return FrameFolder(out_dir, len(rows), rows[-1][1])


def extract_folder(
    video: str | os.PathLike, out_dir: str | os.PathLike, *, fps: float = 1.0
) -> Extraction:
    """Extracts one video, or every video below a folder, each into ``out_dir/<stem>``.

    A bad video is skipped and reported; what an earlier run wrote for it stays.

    Raises:
      InputError: nothing there, or two videos of one name (before anything is written).
    """
    done, failures = [], []
    for path in tqdm(find_videos(video), unit="video", disable=None):
        try:
            done.append(extract_frames(path, Path(out_dir) / path.stem, fps=fps))
        except InputError as error:
            failures.append(str(error))
    return Extraction(done, failures)


def find_videos(path: str | os.PathLike) -> list[Path]:
    """The video itself, or all videos in a folder and its sub-folders, in natural order.

    Raises:
      InputError: the path is missing, the folder holds no video, or two have one stem.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder; check the path")
    found = [
        p
        for p in path.rglob("*")
        if p.suffix.lower() in SUFFIXES
        and p.is_file()
        and not any(part.startswith(".") for part in p.relative_to(path).parts)
    ]
    if not found:
        raise InputError(f"{path}: no video in this folder ({' '.join(SUFFIXES)}); check the path")
    found.sort(key=images.natural_key)
    first: dict[str, Path] = {}
    for video in found:
        other = first.setdefault(video.stem, video)
        if other is not video:
            raise InputError(f"{video}: has the same name as {other}; rename one of them")
    return found


def frame_times(path: str | os.PathLike) -> np.ndarray:
    """[n] presentation times in seconds of all frames of a video, sorted; nothing is decoded.

    Raises InputError if it is no video, is cut short or has no frames.
    """
    return _packet_times(Path(path))


def timecode(seconds: float) -> str:
    """Seconds as HH:MM:SS.mmm."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _packet_times(path: Path) -> np.ndarray:
    """[n] presentation times in seconds of all frames that the container holds, sorted."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    announced = 0
    times = []
    with _capture(path, cv2.CAP_PROP_FORMAT, -1) as capture:  # -1: packets, not pictures
        if capture.isOpened():
            announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            while capture.grab():
                times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        elif _cut_short(path):
            raise InputError(f"{path}: cut short, none of its frames can be read; copy it again")
        else:
            raise InputError(f"{path}: no video that can be opened; replace the file or remove it")
    # The announced count alone proves nothing: Matroska estimates it, mp4 counts trimmed frames,
    # AVI counts repeated frames that are not stored.
    if _cut_short(path):
        raise InputError(
            f"{path}: cut short, only {len(times)} of {announced} frames are there; copy it again"
        )
    if not times:
        raise InputError(f"{path}: a video of zero frames; replace the file or remove it")
    return np.sort(np.asarray(times))


def _lost_times(times: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Times of the frames that the decoder never gave, the last one excepted.

    Fewer pictures than packets is normal where packets hold nothing to show (VP8's alternate
    references, at almost the time of the next frame; a trailing empty frame), so a frame is lost
    only if no picture is within half a frame of its time.
    """
    if len(decoded) >= len(times):
        return times[:0]
    if len(decoded) == 0:
        return times
    after = np.searchsorted(decoded, times)
    neighbours = decoded[np.clip([after - 1, after], 0, len(decoded) - 1)]
    nearest = np.abs(neighbours - times).min(axis=0)
    lost = nearest > np.median(np.diff(times)) / 2
    lost[-1] &= lost[-2]
    return times[lost]


def _cut_short(path: Path) -> bool:
    """Whether the container announces more bytes than the file holds (mp4, AVI, Matroska).

    Sizes: ISO 14496-12 §4.2 (boxes), RIFF chunks, RFC 8794 §6 (variable-length integers).
    """
    size = path.stat().st_size
    with path.open("rb") as file:

        def integer(count: int, order: str = "big") -> int:
            return int.from_bytes(file.read(count), order)

        head = file.read(12)
        file.seek(0)
        if head[:4] == b"RIFF":
            file.seek(4)
            return 8 + integer(4, "little") > size + 16  # some writers count the header too
        if head[:4] == b"\x1aE\xdf\xa3":
            end = 0
            for _ in range(2):  # the EBML header, then the segment that holds everything
                file.seek(end + 4)
                first = integer(1)
                length = 9 - first.bit_length()
                value = (first << 8 * (length - 1) | integer(length - 1)) & ~(1 << 7 * length)
                if value == (1 << 7 * length) - 1:
                    return False  # a live recording: its size is unknown
                end += 4 + length + value
            return end > size
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            end = 0
            while end < size:
                file.seek(end)
                length, _kind = integer(4), file.read(4)
                length = integer(8) if length == 1 else length
                if length < 8:
                    return length != 0  # 0: the last box, up to the end of the file
                end += length
            return end > size
    return False


@contextlib.contextmanager
def _capture(path: Path, *properties: int) -> Iterator[cv2.VideoCapture]:
    # We say in one line what OpenCV and FFmpeg would write to stderr in many.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when the first video is opened
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, list(properties))
    finally:
        cv2.utils.logging.setLogLevel(level)
    try:
        yield capture
    finally:
        capture.release()
