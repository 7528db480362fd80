"""A short clip from JPEG pictures."""

import os
from collections.abc import Sequence
from fractions import Fraction

import av
import cv2
import numpy as np

from jaxvlm.alarms.pictures import Picture

_BASE = Fraction(1, 1000)  # of presentation times, which are as uneven as a camera's
_RATE = 25  # what the container says; players go by the times


def write_clip(path: str | os.PathLike, pictures: Sequence[Picture]) -> None:
    """Writes an mp4 (H.264, 4:2:0) that shows each picture until the next one; of the first one's
    size, the last one for as long as the one before.

    Raises ValueError without pictures.
    """
    if not pictures:
        raise ValueError("write_clip: no pictures")
    first = _decoded(pictures[0])
    height, width = (side - side % 2 or 2 for side in first.shape[:2])
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = _BASE
        stream.codec_context.thread_count = 1  # cameras need the others
        start, previous = pictures[0].seconds, -1
        shown = [*pictures, pictures[-1]._replace(seconds=_last_end(pictures))]
        for picture in shown:
            image = cv2.resize(_decoded(picture), (width, height), interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            previous = max(previous + 1, round((picture.seconds - start) / _BASE))
            frame.pts, frame.time_base = previous, _BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _last_end(pictures: Sequence[Picture]) -> float:
    last = pictures[-1].seconds
    return last + (last - pictures[-2].seconds if len(pictures) > 1 else 1.0)


def _decoded(picture: Picture) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
