"""Frames of a video file by presentation time, and folders of JPEG frames written from them."""

import collections
import os
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from jaxvlm import outputs
from jaxvlm.data import containers, decoding, images, sampling, timetable
from jaxvlm.data.folders import files_below
from jaxvlm.data.sampling import CLOCK as CLOCK
from jaxvlm.data.timetable import Timetable
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure
from jaxvlm.names import free_name, number_of, printable, relative_id
from jaxvlm.progress import Progress, counted, ignore
from jaxvlm.terminal import shown

SUFFIXES = tuple(
    ".264 .265 .3g2 .3gp .asf .avi .dav .divx .f4v .flv .h264 .hevc .ivf .m2t .m2ts .m2v .m4v "
    ".mjpeg .mjpg .mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .obu .ogv .qt .ts .vob .webm .wmv "
    ".y4m".split()
)
JPEG_QUALITY = 95


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
    """[T] places of the frames that are on the screen at the sampling instants, not decreasing.

    See `sampling.sample`, which raises InputError for an fps that cannot be.
    """
    return sampling.sample(times, fps).frames


def to_stderr(line: str) -> None:
    """Tells a line to whoever runs the program."""
    print(shown(line), file=sys.stderr, flush=True)


def frames(
    path: str | os.PathLike,
    *,
    fps: float = 1.0,
    only: Collection[int] | None = None,
    say: Callable[[str], object] = to_stderr,
) -> Iterator[Frame]:
    """Yields what the video shows at 0, 1/fps, 2/fps … seconds, up to its last frame.

    Two passes: the container's packet times (no decoding), then one that decodes what is needed
    for the frames that are sampled. 0 is the container's start, as in `timetable.read`. What cannot
    be told from a good video: a damaged frame that the decoder patches over, one that no sampled
    frame needs, and one whose packet is gone from the container (it looks like a pause).

    Args:
      path: of the video.
      fps: sampling instants per second.
      only: the indices of the frames to yield; None: all.
      say: is told of gaps, which have no frames after `sampling.LONGEST_HOLD`, of a clock that is
        set back, and of a stream without times.

    Raises:
      InputError: no video, no frames, cut short, a bound that is passed (before the first frame is
        yielded), or a frame that cannot be decoded (after the frames before it, at the latest at
        the end).
    """
    path = Path(path)
    table = timetable.read_file(path)
    samples = sampling.sample(table.seconds, fps)
    if only is not None:
        kept = np.isin(samples.instants, list(only))
        samples = sampling.Samples(samples.instants[kept], samples.frames[kept])
    for note in (*table.notes, *_gap_notes(table.seconds)):
        say(f"{path}: {note}")
    wanted, k = np.unique(samples.frames), 0
    name = str(path)
    if decoding.needed_packets(table, wanted) is not None:
        with containers.open_file(path) as video:
            pictures = containers.pictures(video.stream)
            for place, picture in decoding.decode_some(video, table, wanted, path):
                image = pictures.rgb(picture, name)
                while k < len(samples.frames) and samples.frames[k] == place:
                    yield _frame(samples, k, fps, image)
                    k += 1
        if k == len(samples.frames):
            return
    # Where less than all was not enough, all tells what is wrong.
    decoded: list[int] = []
    interlaced = False
    with containers.open_file(path) as video:
        pictures = containers.pictures(video.stream)
        for place, picture in decoding.decode_all(video, table, path):
            decoded.append(place)
            interlaced |= picture.interlaced_frame
            if k == len(samples.frames) or samples.frames[k] > place:
                continue
            image = pictures.rgb(picture, name)
            while k < len(samples.frames) and samples.frames[k] <= place:
                yield _frame(samples, k, fps, image)
                k += 1
    _check_decoded(path, table, decoded, interlaced)
    if k == 0 < len(samples.frames):
        raise InputError(
            f"{path}: no sampled frame can be decoded; replace the file or encode it again"
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
            (folder / f"{frame.index:06d}.jpg").write_bytes(code.tobytes())
            rows.append((frame.index, frame.time_seconds, timecode(frame.time_seconds)))
        table = pd.DataFrame(rows, columns=["frame", "time_seconds", "timecode"])
        # Not files.write_csv: six significant digits would round the times of a long video.
        table.to_csv(folder / "index.csv", index=False, float_format="%.6f", lineterminator="\n")
    return FrameFolder(out_dir, len(rows), rows[-1][1])


def extract_folder(
    video: str | os.PathLike,
    out_dir: str | os.PathLike,
    *,
    fps: float = 1.0,
    on_progress: Progress = ignore,
) -> Extraction:
    """Extracts one video, or every video below a folder, each into ``out_dir/<id>``.

    A bad video is skipped and reported; what an earlier run wrote for it stays.

    Raises:
      InputError: nothing there, or two videos of one id (before anything is written).
    """
    done, failures = [], []
    found = video_ids(video, find_videos(video))
    for name, path in counted(found.items(), on_progress, "videos"):
        try:
            free_name(name, path)
            refuse_inside(name, path, found)
            done.append(extract_frames(path, Path(out_dir) / name, fps=fps))
        except ITEM_ERRORS as error:
            failures.append(item_failure(error, path))
    return Extraction(done, failures)


def find_videos(path: str | os.PathLike, *, say: Callable[[str], object] = to_stderr) -> list[Path]:
    """The video itself, or all videos in a folder and its sub-folders, in natural order.

    Videos are known by their suffix, in any case. Links to folders are followed, each folder is
    visited once. ``say`` is told of what is no video; hidden files and folders are passed over.

    Raises:
      InputError: the path is missing, the folder holds no video, or two have one id.
    """
    path = Path(path)
    if os.path.isfile(path):
        return [path]
    if not os.path.isdir(path):
        raise InputError(f"{path}: no such file or folder; check the path")
    found, others = [], collections.Counter()

    def tell(error: OSError) -> None:
        say(f"{error.filename}: cannot be listed ({error.strerror}); it is left out")

    for file in files_below(path, tell):
        if file.suffix.lower() in SUFFIXES:
            found.append(file)
        else:
            others[file.suffix.lower() or "no suffix"] += 1
    if not found:
        raise InputError(f"{path}: no video in this folder ({' '.join(SUFFIXES)}); check the path")
    found.sort(key=images.natural_key)
    first: dict[Path, Path] = {}
    for video in found:
        other = first.setdefault(video.with_suffix(""), video)
        if other is not video:
            raise InputError(f"{video}: has the same name as {other}; rename one of them")
    if others:
        kinds = ", ".join(f"{suffix} ({count})" for suffix, count in sorted(others.items()))
        say(f"{path}: left out, no video: {number_of(others.total(), 'file')}: {kinds}")
    return found


def video_ids(video: str | os.PathLike, found: list[Path]) -> dict[str, Path]:
    """The videos that `find_videos` found in ``video``, by their ids: the path below the folder,
    with / and without its suffix; of a single file its name without the suffix. Bytes that are no
    UTF-8 are spelled, because ids stand in tables."""
    root = Path(video)
    return {printable(relative_id(path.with_suffix(""), root)): path for path in found}


def refuse_inside(name: str, place: object, ids: Collection[str]) -> None:
    """Raises InputError if a video's folder would lie in another's, which is replaced whole."""
    parts = name.split("/")
    for above in ("/".join(parts[:n]) for n in range(1, len(parts))):
        if above in ids:
            raise InputError(
                f"{place}: its results would lie among those of the video {above!r}; rename one"
            )


def frame_times(path: str | os.PathLike) -> np.ndarray:
    """[n] presentation times in seconds of all frames of a video, sorted; nothing is decoded.

    0 is the container's start, see `timetable.read`, which raises InputError.
    """
    return timetable.read_file(Path(path)).seconds


def timecode(seconds: float) -> str:
    """Seconds as HH:MM:SS.mmm."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _frame(samples: sampling.Samples, k: int, fps: float, image: np.ndarray) -> Frame:
    instant = int(samples.instants[k])
    return Frame(instant, instant / fps, image)


def _gap_notes(times: np.ndarray) -> list[str]:
    notes, held = [], f"a frame is held for {sampling.LONGEST_HOLD:g} s"
    if times[0] > sampling.LONGEST_HOLD:
        notes.append(f"shows nothing before {timecode(times[0])}; {held}")
    if found := sampling.gaps(times):
        start, end = timecode(times[found[0]]), timecode(times[found[0] + 1])
        more = f", and {len(found) - 1} more such gaps" if len(found) > 1 else ""
        notes.append(f"shows nothing new from {start} to {end}{more}; {held}")
    return notes


def _check_decoded(path: Path, table: Timetable, decoded: list[int], interlaced: bool) -> None:
    """Raises InputError where frames are missing; the last one may be, where it shows nothing.

    Fewer pictures than packets is normal where packets hold nothing to show (VP8's alternate
    references, at almost the time of the next frame) or one field each, so a frame is lost only if
    no picture is within half a frame of its time. Nor are those lost that are shown before the
    first key frame but stored after it: they need what was before the file began.
    """
    times = table.seconds
    if len(decoded) >= len(times):
        return
    lost = times
    if decoded:
        shown = times[np.sort(np.array(decoded))]
        after = np.searchsorted(shown, times)
        nearest = np.abs(shown[np.clip([after - 1, after], 0, len(shown) - 1)] - times).min(axis=0)
        spacing = np.diff(shown if interlaced and len(shown) > 1 else times)
        is_lost = nearest > 0.51 * np.median(spacing)
        is_lost[-1] &= is_lost[-2]
        is_lost[: min(int(table.order.argmin()), min(decoded))] = False
        lost = times[is_lost]
    if lost.size:
        raise InputError(
            f"{path}: only {len(decoded)} of {len(times)} frames can be decoded, none at "
            f"{lost[0]:.2f} s; replace the file or encode it again"
        )
