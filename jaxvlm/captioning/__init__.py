"""Captions of frames by a vision-language model: ask, keep every answer, write one file."""

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
