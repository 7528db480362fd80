"""The settings of an OOD evaluation: frozen, and as OodSettings open to flags."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from jaxvlm import names, settings
from jaxvlm.errors import InputError
from jaxvlm.ood.choices import check_variant
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.words.prompts import PROMPT_SETS, PromptSet, prompt_set, same_for_all

if TYPE_CHECKING:
    from jaxvlm.clip import ClipModel

NEGALIGN = "negalign"  # the method that is a base and a P_align
BASELINE = "neglabel"  # which is in every comparison
CHOOSE_ON = ("other_sets", "same_sets", "test")  # see `comparison.evaluate`


@dataclasses.dataclass(frozen=True)
class OodConfig:
    """An evaluation, or the scoring of a folder."""

    negalign: NegAlignConfig = NegAlignConfig(num_groups=10)
    """Ten groups, not the published 100 of `NegAlignConfig`; see docs/results.md."""
    method: str = "neglabel"
    """What pictures are ordered and told apart by: a key of `ood.METHODS`, or "negalign" for
    S_final = S* + λ·P_align."""
    prompts: str = "templates"
    """Of classes and negatives: "templates", the next line's for all, or a publication's own
    (neglabel, csp, negrefine, negalign; see `words.prompts`)."""
    templates: tuple[str, ...] = ("a photo of a {}", "a close-up photo of a {}")
    """For "templates"."""
    split_percentile: float = 45.0
    """Of the words, each side's share of object and background; 45 is the published split; 0: by
    negalign.neg_split_tau."""
    lambdas: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    """λ that are tried on validation."""
    validation_fraction: float = 0.2
    """Of every set, to choose λ and variant on; the rest is tested."""
    num_resamples: int = 1000
    """Resamples of the bootstrap."""
    convention: str = "id_positive"
    """Of FPR@95 and AUPR, see `metrics_ood.ood_metrics`; "closest_recall" to compare with the
    tables of NegLabel, MCM, GL-MCM, CSP and NegRefine, "openood" with OpenOOD's."""
    batch_size: int = 0
    """Pictures per device and step; 0: measured, see clip.batch_size."""
    store_hidden: bool = False
    """The store also keeps the input of the map's blocks (0.6 MB a picture at ViT-B/16): another
    class list or another map then needs no forward pass either, only the last blocks."""
    seed: int = 0
    """Of groups, of the validation split and of the bootstrap."""

    @property
    def prompt_set(self) -> PromptSet:
        """The prompts that the settings name."""
        if self.prompts == "templates":
            return same_for_all(self.templates)
        return prompt_set(self.prompts)


# What configs/ give and flags change.
OodSettings = settings.open_to_flags(OodConfig)


def check_method(method: str, option: str = "method") -> None:
    """Raises InputError for a method that there is not, and names the nearest one."""
    from jaxvlm.ood.methods import METHODS
    from jaxvlm.ood.referenced import REFERENCED
    from jaxvlm.ood.versions import ON_REQUEST

    known = (*METHODS, *REFERENCED, *ON_REQUEST, NEGALIGN)
    if method not in known:
        raise InputError(
            f"{option} {method!r}: unknown{names.nearest(method, known)}; use one of "
            + ", ".join(known)
        )


def check(values: Any, model: ClipModel | None) -> OodConfig:
    """The frozen config of open settings, ready for a model; None: for embeddings without one.

    Its NegAlign part names the variant in full, because scores are found by it, and has the
    model's own logit scale where it said 0. Raises InputError for a value out of range.
    """
    # The settings themselves are read by flags and `--help`, without what computes.
    from jaxvlm.evaluation.metrics_ood import CONVENTIONS
    from jaxvlm.ood.detector import with_logit_scale
    from jaxvlm.ood.referenced import REFERENCED
    from jaxvlm.ood.versions import ON_REQUEST

    config = settings.freeze(OodConfig, values)
    if not 0 < config.validation_fraction < 1:
        raise InputError(
            f"validation_fraction {config.validation_fraction}: nothing to choose on or nothing "
            "to test on; give a number between 0 and 1"
        )
    if not config.templates or not config.lambdas:
        raise InputError("templates, lambdas: empty; give at least one of each")
    if config.prompts not in ("templates", *PROMPT_SETS):
        raise InputError(
            f"prompts {config.prompts!r}: unknown; use templates or one of {', '.join(PROMPT_SETS)}"
        )
    settings.check_batch_size("batch_size", config.batch_size, least=0)
    if config.num_resamples < 1:
        raise InputError(f"num_resamples {config.num_resamples}: give at least 1")
    if config.seed < 0:
        raise InputError(f"seed {config.seed}: give 0 or more")
    if config.convention not in CONVENTIONS:
        raise InputError(
            f"convention {config.convention!r}: unknown; use one of {', '.join(CONVENTIONS)}"
        )
    check_method(config.method)
    if config.method in REFERENCED:
        raise InputError(
            f"method {config.method!r}: looks at ID pictures, which evaluate-ood holds out; to "
            "score a folder take another, such as neglabel"
        )
    if config.method in ON_REQUEST:
        raise InputError(
            f"method {config.method!r}: encodes 13 versions of every picture, which evaluate-ood "
            f"does with --methods={config.method}; to score a folder take another, such as mcm"
        )
    variant = check_variant(config.negalign.p_align_variant)
    negalign = dataclasses.replace(config.negalign, p_align_variant=variant)
    if model is None and not negalign.logit_scale:
        raise InputError(
            "negalign.logit_scale 0: stands for the model's own, and there is none; give it, 100 "
            "for the published CLIPs"
        )
    if model is not None:
        negalign = with_logit_scale(negalign, model)
    return dataclasses.replace(config, negalign=negalign)
