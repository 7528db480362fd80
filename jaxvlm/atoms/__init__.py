"""Explainable, weakly supervised video anomaly detection from textual atoms."""

from typing import TYPE_CHECKING

from jaxvlm import lazily

if TYPE_CHECKING:
    from jaxvlm.atoms.public import *  # noqa: F403

__getattr__, __dir__ = lazily.public(__name__)
