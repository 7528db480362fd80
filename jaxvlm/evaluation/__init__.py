"""Metrics, their intervals, baselines, rule recovery, and the published protocols."""

from typing import TYPE_CHECKING

from jaxvlm import lazily

if TYPE_CHECKING:
    from jaxvlm.evaluation.public import *  # noqa: F403

__getattr__, __dir__ = lazily.public(__name__)
