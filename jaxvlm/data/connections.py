"""One connection to a camera, a URL or a file that grows: opened safely, decoded frame by frame.

What is told has no secrets.

Cameras are opened by PyAV where they are files (V4L2), elsewhere by OpenCV, which knows their
numbers.
"""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from jaxvlm import bounds
from jaxvlm.data import containers
from jaxvlm.data.sources import shown_source, site
from jaxvlm.data.web import Web, without_credentials
from jaxvlm.errors import InputError

Timed = tuple[float, np.ndarray]  # presentation time in seconds, HxWx3 uint8 RGB

_TIMEOUT = bounds.SILENCE_SECONDS
# By scheme: the demuxers, and what FFmpeg may open with them. Those that could lead on, such as
# playlists, are left out: where they lead could not be checked.
_STREAMED = ("mpegts", "flv", "matroska", "mpjpeg", "h264", "hevc", "mov")
_PROTOCOLS = {
    "rtsp": (("rtsp",), ("rtp", "udp", "tcp")),
    "rtsps": (("rtsp",), ("rtp", "udp", "tcp", "tls")),
    "rtmp": (("flv",), ("rtmp", "tcp")),
    "rtmps": (("flv",), ("rtmps", "tls", "tcp")),
    "tcp": (_STREAMED, ("tcp",)),
    "tls": (_STREAMED, ("tls", "tcp")),
    "udp": (_STREAMED, ("udp",)),
    "rtp": (("rtp",), ("rtp", "udp")),
}


def pictures(source: str, allowed_hosts: Sequence[str] = ()) -> Iterator[Timed]:
    """Decoded frames of a camera or a URL.

    Raises InputError, in which no credential is, where it cannot be opened, is lost, leads to a
    host that is neither named nor allowed, or ends without having told how long it is.
    """
    name = shown_source(source)
    is_url = "://" in source
    if not is_url and sys.platform != "linux":
        yield from _opencv_camera(source)
        return
    with _open(source, allowed_hosts) as (container, web):
        stream = containers.video_stream(container, name)
        stream.codec_context.thread_type = "SLICE"  # several frames at once come later
        has_length = is_url and bool(container.duration or stream.frames)
        if web is not None and container.format.name != "hls":
            has_length |= web.has_end
        converter = containers.pictures(stream)
        previous, by_arrival = -math.inf, not is_url
        for frame in _live_pictures(container, stream, web, name):
            seconds = previous if frame.pts is None else float(frame.pts * stream.time_base)
            # Some streams come without times; for these it is the moment of arrival, too.
            by_arrival = by_arrival or seconds <= previous
            previous = seconds
            yield time.monotonic() if by_arrival else seconds, converter.rgb(frame, name)
    if not has_length:
        raise InputError(f"{name}: no more frames; check the source, or allow --reconnect")


def growing_pictures(path: Path, pause: Callable[[float], object]) -> Iterator[Timed]:
    """Decoded frames of a file from its start, and on as it is written: see `GrowingFile`.

    Raises InputError for a container that cannot be read from the front while it is written, such
    as mp4 without fragments, and for a file of which nothing can be decoded.
    """
    name = str(path)
    try:
        with containers.open_file(path, pause=pause) as (container, stream, file):
            stream.codec_context.thread_type = "SLICE"
            converter, seconds, decoded = containers.pictures(stream), 0.0, False
            for frame in _live_pictures(container, stream, None, name):
                decoded = True
                if frame.pts is not None:
                    seconds = float(frame.pts * stream.time_base)
                yield seconds, converter.rgb(frame, name)
            file.check(path)
        if not decoded:
            raise InputError(f"{path}: not one frame of it can be decoded; record it again")
    except containers.NotOpened:
        raise InputError(
            f"{path}: cannot be read while it is written; record as MPEG-TS, Matroska or "
            "fragmented mp4, or wait for its end"
        ) from None


def _live_pictures(
    container: InputContainer, stream: VideoStream, web: Web | None, name: str
) -> Iterator[VideoFrame]:
    packets = container.demux(stream)
    while True:
        try:
            if web is not None:
                web.start()
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            raise InputError(f"{name}: {_lost(error)}") from None
        if web is not None:
            web.check(name)
        if packet is None:
            return
        try:
            frames = stream.codec_context.decode(packet if packet.size else None)
        except av.error.FFmpegError:
            continue  # what is damaged on the way is not shown
        yield from (frame for frame in frames if not frame.is_corrupt)


@contextlib.contextmanager
def _open(source: str, allowed_hosts: Sequence[str]) -> Iterator[tuple[InputContainer, Web | None]]:
    name, scheme = shown_source(source), source.partition("://")[0].lower()
    web = None
    options: dict[str, Any] = {"timeout": (_TIMEOUT, _TIMEOUT), "metadata_errors": "replace"}
    if "://" not in source:
        device = f"/dev/video{source}" if source.isdecimal() else source
        cure = "check that it is connected and free"
        options |= {"file": device, "format": "v4l2", "options": {"protocol_whitelist": "file"}}
    elif scheme in ("http", "https"):
        cure = "check the address"
        url, credentials = without_credentials(source)
        web = Web(site(url, allowed_hosts), credentials, _TIMEOUT)
        own = containers.safe_options((*containers.FORMATS, "hls", "mpjpeg"), "http", "https")
        # Only what is opened anew passes through `Web`.
        own |= {"http_persistent": "0", "http_multiple": "0", "http_seekable": "0"}
        options |= {"file": url, "options": own, "io_open": web.open}
        web.start()
    elif scheme in _PROTOCOLS:
        cure = "check the address"
        formats, protocols = _PROTOCOLS[scheme]
        own = containers.safe_options(formats, *protocols)
        options |= {"file": source, "options": own | {"rtsp_transport": "tcp"}}
    else:
        known = ", ".join(("http", "https", *_PROTOCOLS))
        raise InputError(f"{name}: not a protocol that is opened; take one of {known}")
    try:
        try:
            container = av.open(**options)
        # Their text has the address with the password in it.
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if web is not None:
                web.check(name)
            raise InputError(f"{name}: cannot be opened ({_reason(error)}); {cure}") from None
        with container:
            if web is not None:
                web.check(name)
            yield container, web
    finally:
        if web is not None:
            web.close()


def _reason(error: Exception) -> str:
    if isinstance(error, av.error.ExitError):
        return f"no answer for {_TIMEOUT:g} s"
    if isinstance(error, av.error.FFmpegError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _lost(error: Exception) -> str:
    return f"lost ({_reason(error)}); check the source, or allow --reconnect"


def _opencv_camera(source: str) -> Iterator[Timed]:
    """A camera of a system for whose cameras PyAV would have to be told their names."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    finally:
        cv2.utils.logging.setLogLevel(level)
    try:
        if not capture.isOpened():
            raise InputError(f"{source}: cannot be opened; check that it is connected and free")
        while (read := capture.read())[0]:
            yield time.monotonic(), cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
    finally:
        capture.release()
    raise InputError(f"{source}: no more frames; check the source, or allow --reconnect")
