"""What `jaxvlm.captioning` gives to others, see `jaxvlm.lazily`."""

from jaxvlm.captioning.request import MAX_PIXELS, Answer, Ask, Request, build_prompt
from jaxvlm.captioning.run import CaptionResult, caption_frames, describe

__all__ = [
    "MAX_PIXELS",
    "Answer",
    "Ask",
    "CaptionResult",
    "Request",
    "build_prompt",
    "caption_frames",
    "describe",
]
