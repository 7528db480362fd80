"""Containers opened so that a file reads nothing but itself, and the bounds of what is decoded.

FFmpeg gets an open file object, never a name: a colon, a percent sign or bytes that are no UTF-8
mean nothing to it, and a demuxer that asks for another file is refused.
"""

import contextlib
import errno
import io
import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from jaxvlm import bounds
from jaxvlm.errors import InputError

# FFmpeg's demuxers of single files. Playlists (concat, hls, sdp), patterns of file names (image2)
# and generators (lavfi) are not among them.
FORMATS = tuple(
    "asf av1 avi dhav flv gif h264 hevc ivf m4v matroska mjpeg mov mpeg mpegts mpegvideo mxf "
    "nut obu ogg vc1 yuv4mpegpipe".split()
)
MAX_PIXELS = bounds.VIDEO_PIXELS
MAX_PACKETS = bounds.VIDEO_PACKETS
MAX_FRAMES = bounds.VIDEO_FRAMES

_READ_SIZE = 1 << 18  # bytes that FFmpeg asks for at a time
_POLL = 0.1  # seconds between two looks at a file that may grow
_PLAYLISTS = {b"#EXTM3U": "an m3u8", b"ffconcat": "a concat", b"v=0": "an SDP", b"<MPD": "a DASH"}
_WIDEST = 4  # a pixel's sides; what says more is wrong
_HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)


class Video(NamedTuple):
    """An open container, the video stream in it that a player shows, and the file."""

    container: InputContainer
    stream: VideoStream
    file: "SafeFile | GrowingFile"


class SafeFile:
    """What FFmpeg reads from. An error ends the file and is kept: raised here it would be lost."""

    def __init__(self, file: io.FileIO):
        self.file, self.name, self.error = file, str(file.name), None

    def read(self, size: int) -> bytes:
        try:
            return self.file.read(size)
        except OSError as error:
            self.error = error
            return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self.file.seek(offset, whence)
        except (OSError, ValueError):  # before the start of the file, or beyond all files
            return -1

    def tell(self) -> int:
        return self.file.tell()

    def check(self, path: Path) -> None:
        """Raises InputError if reading has failed."""
        if self.error is not None:
            reason = self.error.strerror or "error of the disk"
            raise InputError(f"{path}: cannot be read ({reason}); copy it again")


class GrowingFile:
    """A file that is still written, to FFmpeg a pipe: what is read at its end waits for more.

    pause: waits that many seconds; a true result means: stop. A file that has not grown for
    `bounds.SILENCE_SECONDS` is over.
    """

    def __init__(self, file: io.FileIO, pause: Callable[[float], object]):
        self.safe, self.pause, self.is_over = SafeFile(file), pause, False

    def read(self, size: int) -> bytes:
        waited = 0.0
        while not (data := self.safe.read(size)) and self.safe.error is None:
            # FFmpeg asks again behind the end.
            self.is_over |= waited >= bounds.SILENCE_SECONDS
            if self.is_over or self.pause(_POLL):
                break
            waited += _POLL
        return data

    def check(self, path: Path) -> None:
        """See `SafeFile`."""
        self.safe.check(path)


class NotOpened(InputError):
    """The container cannot be opened at all."""


@contextlib.contextmanager
def open_file(
    path: str | os.PathLike, *, pause: Callable[[float], object] | None = None
) -> Iterator[Video]:
    """Opens a video file, with ``pause`` one that is still written: see `GrowingFile`.

    Raises:
      InputError: no such file, nothing that may be opened, no video in it, a codec that there is
        no decoder for, encrypted, or frames of more than `MAX_PIXELS`.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; check the path")
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    with file:
        safe = SafeFile(file)
        head = safe.read(64).lstrip()
        safe.seek(0)
        if pause is not None:
            safe = GrowingFile(file, pause)
        for start, kind in _PLAYLISTS.items():
            if head.startswith(start):
                raise InputError(f"{path}: {kind} playlist, no video; give the videos it names")
        try:
            container = av.open(
                safe,
                options=safe_options(FORMATS, "file"),
                io_open=_refused,
                buffer_size=_READ_SIZE,
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            safe.check(path)
            raise NotOpened(f"{path}: {_cause(error)}") from None
        with container:
            yield Video(container, video_stream(container, str(path)), safe)


def safe_options(formats: tuple[str, ...], *protocols: str) -> dict[str, str]:
    """FFmpeg's options that allow these demuxers and protocols and nothing else."""
    return {
        "format_whitelist": ",".join(formats),
        "protocol_whitelist": ",".join(protocols),
        "enable_drefs": "0",  # mov: no tracks in other files
        "use_absolute_path": "0",
        "max_pixels": str(MAX_PIXELS),
    }


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream to decode, ready; every other one is skipped. Raises InputError: `open_file`."""
    found = [s for s in container.streams if s.type == "video"]
    shown = [s for s in found if not s.disposition & Disposition.attached_pic]
    if not shown:
        if found:
            raise InputError(f"{name}: sound with a cover picture, no video; remove it")
        raise InputError(f"{name}: no video in it, only {_kinds(container)}; remove it")
    best = container.streams.best("video")
    stream = best if best in shown else shown[0]
    context = stream.codec_context
    if context is None:
        raise InputError(
            f"{name}: its codec ({_codec(container)}) cannot be decoded; encode it again as H.264"
        )
    check_size(context.width, context.height, name)
    context.thread_type = "AUTO"
    context.options = {"max_pixels": str(MAX_PIXELS)}
    for other in container.streams:
        other.discard = Discard.default if other is stream else Discard.all
    return stream


def check_size(width: int, height: int, name: str) -> None:
    """Raises InputError for a frame of more than `MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name}: frames of {width} × {height} pixels, more than the bound of "
            f"{MAX_PIXELS:,}; make it smaller"
        )


def pictures(stream: VideoStream) -> "Pictures":
    """A converter of a stream's frames; one per video, because it keeps what it has prepared."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not Fraction(1, _WIDEST) <= aspect <= _WIDEST:
        aspect = Fraction(1)
    return Pictures(VideoReformatter(), aspect)


class Pictures(NamedTuple):
    """Decoded frames as HxWx3 uint8 sRGB, turned and with square pixels as the container says."""

    reformatter: VideoReformatter
    aspect: Fraction  # of a pixel, its width over its height

    def rgb(self, frame: VideoFrame, name: str) -> np.ndarray:
        """[H, W, 3] as a player shows it.

        Matrix and range are the tagged ones. Without a tag the matrix is BT.709 from 1280 columns
        or 577 lines on and BT.601 below, as in mpv, the range is limited. PQ and HLG become sRGB
        with their reference white as white; what is brighter is cut. Pixels that are not square
        become so by another width W.

        Raises InputError where swscale cannot convert it, or the frame is too large.
        """
        width = max(round(frame.width * self.aspect), 1)
        check_size(width, frame.height, name)
        options: dict[str, Any] = {"width": width}
        if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb:
            large = frame.width >= 1280 or frame.height > 576
            options["src_colorspace"] = Colorspace.ITU709 if large else Colorspace.ITU601
        if frame.color_trc in _HDR:
            options["dst_color_trc"] = ColorTrc.IEC61966_2_1
            options["dst_color_primaries"] = ColorPrimaries.BT709
        try:
            converted = self.reformatter.reformat(frame, format="rgb24", threads=1, **options)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise InputError(
                f"{name}: {frame.format.name} pictures cannot be converted to RGB "
                f"({_reason(error)}); encode it again"
            ) from None
        return _turned(converted.to_ndarray(), frame)


_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED


def _turned(image: np.ndarray, frame: VideoFrame) -> np.ndarray:
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    # ISO 14496-12 §6.2.2: a point (x, y) is shown at (a·x + c·y, b·x + d·y), in 16.16 fixed point.
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if a == d == 0 and b and c:  # a quarter turn: columns become lines
        image = image.transpose(1, 0, 2)
        a, d = c, b
    if a < 0:
        image = image[:, ::-1]
    if d < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def _refused(url: str, flags: int, options: dict[str, str]) -> None:
    raise PermissionError(f"{url}: not opened, a file reads itself alone")


def _cause(error: Exception) -> str:
    if isinstance(error, av.error.InvalidDataError | av.error.EOFError) or (
        getattr(error, "errno", None) == errno.EINVAL  # not on the list
    ):
        return "no video that can be opened; replace the file or remove it"
    return f"cannot be opened ({_reason(error)}); replace the file or remove it"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _kinds(container: InputContainer) -> str:
    kinds = sorted({{"audio": "sound"}.get(s.type, s.type) for s in container.streams})
    return " and ".join(kinds) or "nothing"


def _codec(container: InputContainer) -> str:
    """What FFmpeg says of a codec that it has no decoder for: "name", or "none (tag / number)"."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        text = container.dumps_format()
    finally:
        av.logging.set_level(level)
    found = re.search(r"Video: (\w+)(?: \((\w+))?", text)
    if found is None or found.groups() == ("none", None):
        return "unknown"
    return found[1] if found[1] != "none" else found[2]
