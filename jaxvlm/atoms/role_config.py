"""The settings of role learning."""

import dataclasses
from typing import Literal

FORMS = ("product", "pairs", "specific")


@dataclasses.dataclass(frozen=True)
class RoleConfig:
    """How roles are learned. Hashable, so that it can be static under jit."""

    form: Literal["product", "pairs", "specific", "auto"] = "auto"
    """What two indirect atoms are worth together. "product": ρ_i ρ_j, the prototype's; "pairs": a
    strength of each pair's own; "specific": that, and counters that argue against one pair, or one
    direct atom, alone; "auto": "specific", or "product" where a sum of atoms says more of the
    labels, see `atoms.role_choice`."""
    epochs: int = 60
    """Passes over the videos."""
    batch_size: int = 16
    """Videos per step."""
    learning_rate: float = 3e-2
    """Of the first step; falls to 0 along a cosine."""
    topk: int = 10
    """Frames that count in a video's probability."""
    cooled: bool = False
    """Pooling by fewer frames in short videos, see `atoms.pool_video`."""
    temperature: float = 2.0
    """τ, by which the logits of the three evidences are divided."""
    start: Literal["linear", "equal"] = "linear"
    """Where the strengths start. "linear": from the weights of a linear model of the same labels; a
    rare direct atom that starts like all others is pulled to 0 before its counter is known.
    "equal": all alike but for noise."""
    rho_l1: float | None = None
    """Pull on the strengths; None: 3e-3, or 0 in reference mode."""
    calibration_pull: float = 3e-3
    """Pull of each atom's calibration towards the atom's own midpoint and spread. At 0 it fits the
    training videos better than the true roles do."""
    prior_weight: float | None = None
    """How much hand-written roles count against the labels, if there are any: a share w/(1 + w) of
    the start, and the pull of all parameters towards them (`atoms.written_roles`). None: as much as
    300 to 0.03 videos, as videos that are held out say. The prototype: 1e-3, of the direct
    strengths alone."""
    freeze_bias_epochs: int = 5
    """Epochs in which γ and b stand still."""
    counter: Literal["explicit", "absence"] = "explicit"
    """Evidence against: K of the counter atoms beside C, or C, no evidence for, alone."""
    signed: bool = True
    """Holds γ_direct, γ_indirect ≥ 0 and γ_counter, γ_explicit ≤ 0."""
    calibrate: bool = True
    """Reads presence as σ(s_c (p̄_c − m_c)), s and m learned."""
    rule_fits: int = 10
    """Repeated short trainings, of bootstrap samples of the videos, which say how often a rule
    comes back; a rule seen in under half of them is told as uncertain. 0: it is not asked."""
    reference: bool = False
    """The prototype's training: one video per step, in order, at a constant rate; its arithmetic
    and its start; its Adam, which counts no step of a frozen γ or b; |θ| instead of ρ under
    `rho_l1`. Overrides form, batch_size, temperature, counter, signed and calibrate."""


# Settings that choose between programs, or are numbers that one is given.
_OF_NO_PROGRAM = (
    *("form", "start", "prior_weight", "rule_fits"),
    *("epochs", "learning_rate", "freeze_bias_epochs", "rho_l1", "calibration_pull"),
)


def compiled_for(config: RoleConfig) -> RoleConfig:
    """The config with all at its default that changes no program of a training."""
    default = RoleConfig()
    same = {name: getattr(default, name) for name in _OF_NO_PROGRAM}
    return dataclasses.replace(config, **same)
