"""Captions of frames by a vision-language model: ask, keep every answer, write one file."""

from typing import TYPE_CHECKING

from jaxvlm import lazily

if TYPE_CHECKING:
    from jaxvlm.captioning.public import *  # noqa: F403

__getattr__, __dir__ = lazily.public(__name__)
