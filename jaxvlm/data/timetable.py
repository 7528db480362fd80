"""When the frames of a video are shown, read from its packets without decoding them."""

import array
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.packet import Packet

from jaxvlm.data import containers
from jaxvlm.data.containers import NotOpened, Video
from jaxvlm.errors import InputError
from jaxvlm.names import number_of

BACKWARD = 1.0  # seconds; a clock that steps back by more has been set anew
_NO_ORDER = {"avi"}  # stores the order of decoding alone; FFmpeg's presentation times are guesses
_CUT_ANYWHERE = {"mpegts", "mpeg", "flv", "h264", "hevc", "mpegvideo", "dhav"}
# Decoding may start at any key frame. Of H.264 only an IDR picture is one: what containers call a
# key frame may be the start of a gradual refresh.
_INTRA = {"mjpeg", "prores", "dnxhd", "huffyuv", "ffvhuff", "rawvideo", "png", "dvvideo"}
_SKIPPABLE = _INTRA | {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9"}
_SKIPPABLE |= {"libdav1d", "av1"}


class Timetable(NamedTuple):
    """The n frames of a video in the order they are shown, and its packets as they are stored.

    seconds: [n], increasing; 0 is the container's start. ticks: [n] int64, the same in units of
    the stream, with steps back of its clock taken out; None without times. decoding_times: ticks
    are those of decoding, and say the order alone. order: [n] the place of each frame's packet
    among all packets. starts: places at which decoding may begin, None where only the first will
    do. shifts: (place, ticks) from which packet on how much is added to the times. first: the place
    of the first packet that can be decoded. notes: what is worth telling of it.
    """

    seconds: np.ndarray
    ticks: np.ndarray | None
    decoding_times: bool
    order: np.ndarray
    starts: np.ndarray | None
    shifts: tuple[tuple[int, int], ...]
    first: int
    notes: tuple[str, ...]


class _Packets(NamedTuple):
    """[m] per packet, as stored: times in ticks (`_NONE` without), and what the flags say."""

    pts: np.ndarray
    dts: np.ndarray
    key: np.ndarray
    start: np.ndarray
    discarded: np.ndarray


_NONE = -(1 << 63)


def packets(video: Video, path: Path) -> Iterator[Packet]:
    """The packets of the video stream that hold something. Raises InputError: see `read`."""
    place = 0
    try:
        for packet in video.container.demux(video.stream):
            if packet.size:
                yield packet
                place += 1
                if place > containers.MAX_PACKETS:
                    raise InputError(
                        f"{path}: more than the bound of {containers.MAX_PACKETS:,} frames; cut it"
                    )
    except (av.error.FFmpegError, OSError) as error:
        video.file.check(path)
        cause = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f"{path}: cannot be read beyond frame {place} ({cause}); copy it again"
        ) from None
    video.file.check(path)


def read(video: Video, path: Path) -> Timetable:
    """Reads all packets of a freshly opened video.

    0 is where the container starts: the earlier one of the first frame and the sound's start,
    which is not before zero (less is an encoder's priming). Where the clock steps back by more
    than `BACKWARD`, the frames go on one frame after those before. A stream without times has its
    nominal rate.

    Raises:
      InputError: cut short (its index tells of more than the file holds), encrypted, no frame, no
        times and no rate, or more than `containers.MAX_PACKETS`.
    """
    read_packets = _read_packets(video, path)
    check_whole(video, path, int((~read_packets.discarded).sum()))
    if not len(read_packets.pts):
        raise InputError(f"{path}: a video of zero frames; replace the file or remove it")
    notes: list[str] = []
    first = _first_decodable(video, read_packets)
    if first:
        notes.append(f"starts with {number_of(first, 'frame')} in need of missing ones, left out")
    base = video.stream.time_base
    own, shifts, by_order = _presentation(video, read_packets)
    shown = ~read_packets.discarded
    shown[:first] = False
    if first and not by_order:
        shown[first:] &= own[first:] >= own[first]  # leading pictures need what is missing, too
    order = np.flatnonzero(shown)
    if not len(order):
        raise InputError(f"{path}: a video of zero frames; replace the file or remove it")
    if shifts:
        notes.append(
            f"its clock is set back {number_of(len(shifts), 'time')}; the frames follow one another"
        )
    if (own[order] == _NONE).any():
        rate = video.stream.guessed_rate or video.stream.average_rate
        if not rate:
            raise InputError(f"{path}: holds neither times nor a frame rate; put it into an mp4")
        notes.append(f"holds no times; its nominal {float(rate):g} frames per second are taken")
        seconds = np.arange(len(order)) * float(1 / Fraction(rate))
        return Timetable(seconds, None, True, order, None, (), first, tuple(notes))
    order = order[np.argsort(own[order], kind="stable")]
    ticks = own[order]
    origin = _origin(video, int(ticks[0])) / base
    whole = int(origin)  # subtracted before a time is rounded to a double
    seconds = (ticks - whole) * base.numerator / base.denominator - float((origin - whole) * base)
    starts = np.flatnonzero(read_packets.start)
    starts = starts[starts >= first]
    certain = not by_order and (np.diff(ticks) > 0).all()
    if not certain or video.stream.codec_context.name not in _SKIPPABLE or first not in starts:
        starts = None
    return Timetable(seconds, ticks, by_order, order, starts, shifts, first, tuple(notes))


def read_file(path: Path) -> Timetable:
    """Opens a file and reads its timetable; nothing is decoded.

    Raises InputError: see `containers.open_file` and `read`.
    """
    try:
        with containers.open_file(path) as video:
            return read(video, path)
    except NotOpened:
        if cut_short(path):
            raise InputError(
                f"{path}: cut short, none of its frames can be read; copy it again"
            ) from None
        raise


def _read_packets(video: Video, path: Path) -> _Packets:
    is_start = _start_test(video)
    pts, dts, flags = array.array("q"), array.array("q"), bytearray()
    for packet in packets(video, path):
        if not flags and packet.has_sidedata("encryption_info"):
            raise InputError(f"{path}: encrypted (Common Encryption); decrypt it first")
        pts.append(_NONE if packet.pts is None else packet.pts)
        dts.append(_NONE if packet.dts is None else packet.dts)
        key = packet.is_keyframe
        flags.append(key | (key and is_start(packet)) << 1 | packet.is_discard << 2)
    bits = np.frombuffer(bytes(flags), np.uint8)
    return _Packets(
        np.array(pts, np.int64),
        np.array(dts, np.int64),
        *((bits & bit).astype(bool) for bit in (1, 2, 4)),
    )


def _presentation(
    video: Video, table: _Packets
) -> tuple[np.ndarray, tuple[tuple[int, int], ...], bool]:
    """[m] ticks with steps back taken out, the shifts, and whether order alone counts."""
    pts, dts = table.pts, table.dts
    by_order = video.container.format.name in _NO_ORDER and not (pts == dts).all()
    own = np.where((pts == _NONE) | by_order, dts, pts)
    if (own == _NONE).any():
        return np.full(len(own), _NONE), (), True
    base = video.stream.time_base
    clock = np.where(dts == _NONE, own, dts)
    back = np.flatnonzero(np.diff(clock) < -BACKWARD / base) + 1
    shifts = []
    if len(back):
        own = own.copy()
        step = max(int(np.median(np.diff(clock))), 1)
        for place in back.tolist():
            shift = int(own[:place].max()) + step - int(own[place])
            total = shift + (shifts[-1][1] if shifts else 0)
            own[place:] += shift
            shifts.append((place, total))
    return own, tuple(shifts), by_order


def _origin(video: Video, first: int) -> Fraction:
    starts = [first * video.stream.time_base]
    for stream in video.container.streams:
        if stream.type == "audio" and stream.start_time is not None:
            starts.append(max(stream.start_time * stream.time_base, Fraction(0)))
    return min(starts)


def _first_decodable(video: Video, table: _Packets) -> int:
    """A recording that was cut out of a stream starts between two key frames."""
    keys = np.flatnonzero(table.key)
    return int(keys[0]) if len(keys) and video.container.format.name in _CUT_ANYWHERE else 0


def _start_test(video: Video):
    context = video.stream.codec_context
    if context.name != "h264":
        return lambda packet: True
    extra = context.extradata or b""
    length = (extra[4] & 3) + 1 if extra[:1] == b"\x01" and len(extra) > 4 else 0

    def is_idr(packet: Packet) -> bool:
        data = bytes(packet)
        if not length:  # start codes (ISO 14496-10 annex B)
            return any(part[:1] and part[0] & 31 == 5 for part in data.split(b"\x00\x00\x01")[1:])
        at = 0
        while at + length < len(data):
            if data[at + length] & 31 == 5:
                return True
            at += length + int.from_bytes(data[at : at + length], "big")
        return False

    return is_idr


def check_whole(video: Video, path: Path, found: int) -> None:
    """Raises InputError where the container's index tells of bytes that the file does not hold.

    mp4 has the place of every frame; what lies behind its last box is not looked at. AVI and
    Matroska tell their size; a recorder that wrote into a pipe did not know it.
    """
    size = path.stat().st_size
    announced = video.stream.frames
    if not announced and video.container.duration and video.stream.average_rate:  # Matroska
        announced = round(video.container.duration * video.stream.average_rate / av.time_base)
    kind = video.container.format.name
    short = False
    if kind.startswith("mov"):
        short = any(entry.pos + entry.size > size for entry in video.stream.index_entries)
    elif kind in ("avi", "matroska,webm"):
        short = cut_short(path)
    if short:
        of = f" of {announced}" if announced > found else ""
        raise InputError(f"{path}: cut short, only {found}{of} frames are there; copy it again")


def cut_short(path: Path) -> bool:
    """Whether the container announces more bytes than the file holds (mp4, AVI, Matroska).

    Sizes: ISO 14496-12 §4.2 (boxes), RIFF chunks, RFC 8794 §6 (variable-length integers).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            length = int.from_bytes(head[4:8], "little")
            # Written to a pipe: none, or the largest. Some writers count the header too.
            return length < 0xFFFFFF00 and 8 + length > size + 16
        if head[:4] == b"\x1aE\xdf\xa3":
            return _matroska_end(file) > size
        if head[4:8] in _BOXES:
            return _boxes_end(file, size) > size
    return False


_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"moof", b"sidx", b"styp")


def _boxes_end(file: io.BufferedReader, size: int) -> int:
    """Where the last box ends; what is no box lies behind it."""
    end = 0
    while end < size:
        file.seek(end)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        length = int.from_bytes(head[8:16], "big") if length == 1 else length
        if head[4:8] not in _BOXES or length < 8:
            break
        end += length
    return end


def _matroska_end(file: io.BufferedReader) -> int:
    end = 0
    for _ in range(2):  # the EBML header, then the segment that holds everything
        file.seek(end + 4)
        head = file.read(9)
        length = 9 - head[0].bit_length() if head and head[0] else 9
        if length > 8 or len(head) < length:
            break
        value = int.from_bytes(head[:length], "big") & ~(1 << 7 * length)
        if value == (1 << 7 * length) - 1:
            return 0  # a live recording: its size is unknown
        end += 4 + length + value
    return end
