"""Zero-shot out-of-distribution detection with negative labels."""

from typing import TYPE_CHECKING

from jaxvlm import lazily

if TYPE_CHECKING:
    from jaxvlm.ood.public import *  # noqa: F403

__getattr__, __dir__ = lazily.public(__name__)
