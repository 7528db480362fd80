"""The settings of an OOD evaluation: mutable, so that flags can set them."""

import dataclasses
import math
from typing import Any

from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import CONVENTIONS
from jaxvlm.ood.alignment import check_variant
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.config import check as check_negalign

# NegAlignConfig is frozen, because compiled code depends on it; this is the same, open to flags.
NegAlignSettings = dataclasses.make_dataclass(
    "NegAlignSettings",
    [
        (f.name, f.type, dataclasses.field(default=f.default))
        for f in dataclasses.fields(NegAlignConfig)
    ],
)


@dataclasses.dataclass
class OodConfig:
    """An evaluation, or the scoring of a folder."""

    negalign: Any = dataclasses.field(default_factory=NegAlignSettings)
    templates: tuple[str, ...] = ("a photo of a {}", "a close-up photo of a {}")
    split_percentile: float = 45.0  # the published split; 0: by negalign.neg_split_tau
    lambdas: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # tried on validation
    validation_fraction: float = 0.2  # of every set, for λ and variant; the rest is tested
    num_resamples: int = 1000  # of the bootstrap
    convention: str = "id_positive"  # of FPR@95; or "openood"
    batch_size: int = 0  # pictures per device and step; 0: measured, see clip.batch_size
    # The store also keeps the input of the map's blocks (0.6 MB a picture at ViT-B/16): another
    # class list or another map then needs no forward pass either, only the last blocks.
    store_hidden: bool = False
    seed: int = 0  # of groups, of the validation split and of the bootstrap


def check(config: OodConfig) -> tuple[OodConfig, NegAlignConfig]:
    """The config and its checked NegAlign part. Raises InputError for a value out of range."""
    if not 0 < config.validation_fraction < 1:
        raise InputError(
            f"validation_fraction {config.validation_fraction}: nothing to choose on or nothing "
            "to test on; give a number between 0 and 1"
        )
    if not config.templates or not config.lambdas:
        raise InputError("templates, lambdas: empty; give at least one of each")
    for field, least in (("batch_size", 0), ("num_resamples", 1)):
        if getattr(config, field) < least:
            raise InputError(f"{field} {getattr(config, field)}: give at least {least}")
    if not all(math.isfinite(weight) for weight in config.lambdas):
        raise InputError(f"lambdas {tuple(config.lambdas)}: one is not finite; give numbers")
    if config.seed < 0:
        raise InputError(f"seed {config.seed}: give 0 or more")
    if config.convention not in CONVENTIONS:
        raise InputError(
            f"convention {config.convention!r}: unknown; use one of {', '.join(CONVENTIONS)}"
        )
    negalign = check_negalign(config.negalign)
    # In full, because scores are found by it.
    variant = check_variant(negalign.p_align_variant)
    return config, dataclasses.replace(negalign, p_align_variant=variant)
