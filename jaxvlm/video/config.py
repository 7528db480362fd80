"""The settings of the atoms system: frozen, and as AtomsSettings open to flags."""

import dataclasses
from typing import Any, Literal

from jaxvlm import settings
from jaxvlm.atoms.training import RoleConfig
from jaxvlm.errors import InputError


@dataclasses.dataclass(frozen=True)
class PresenceConfig:
    """How present an atom is on a frame."""

    # "cosine" is the prototype's; "local" looks at patches.
    kind: Literal["contrast", "cosine", "local"] = "contrast"
    patches: int = 3  # how many patches have to show an atom, for "local"
    # Of the neutral prompts, for "contrast".
    reference: Literal["log_mean_exp", "max"] = "log_mean_exp"
    renormalize: bool = True  # the mean over templates to unit length; the prototype: False
    lambda_atoms: float = 0.25  # weight of a caption that names the atom
    lambda_resemble: float = 0.1  # weight of a caption that resembles it
    guard: float = 0.18  # captions lift only presences from here on
    resemble_threshold: float = 0.85  # text-embedding cosine from which a phrase resembles


@dataclasses.dataclass(frozen=True)
class BoundaryConfig:
    """b = σ(κ(d − δ)). Text, because a value is a number, "auto" or "learned"."""

    delta: str = "0.6"
    kappa: str = "8.0"


@dataclasses.dataclass(frozen=True)
class SegmentConfig:
    """p̄ over the segment that a frame belongs to."""

    window: int = 20
    weighting: Literal["running_mean", "point", "recurrent"] = "running_mean"
    normalize: bool = True  # the prototype: False
    survival_floor: float = 0.0  # smallest 1 − b; the prototype: 1e-6


@dataclasses.dataclass(frozen=True)
class AtomsConfig:
    """Frames to p̄ to roles."""

    fps: float = 1.0  # frames per second taken from a video
    batch_size: int = 0  # images per device and step; 0: measured, see clip.batch_size
    presence: PresenceConfig = PresenceConfig()
    boundary: BoundaryConfig = BoundaryConfig()
    segments: SegmentConfig = SegmentConfig()
    roles: RoleConfig = RoleConfig()


# What configs/ give and flags change.
AtomsSettings = settings.open_to_flags(AtomsConfig)


def check(values: Any) -> AtomsConfig:
    """The frozen config of open settings, or of the JSON that ``dataclasses.asdict`` made of it.

    Raises InputError with the field's name for a value that cannot be.
    """
    config = settings.freeze(AtomsConfig, values)
    positive = {
        "fps": config.fps,
        "segments.window": config.segments.window,
        "presence.patches": config.presence.patches,
    }
    for field, value in positive.items():
        if not value > 0:
            raise InputError(f"config {field}={value}: must be above 0; correct it")
    if config.batch_size < 0:
        raise InputError(f"config batch_size={config.batch_size}: negative; 0 is the measured one")
    for field in ("lambda_atoms", "lambda_resemble", "guard"):
        if not 0 <= getattr(config.presence, field) <= 1:
            raise InputError(f"config presence.{field}: must lie in [0, 1]; correct it")
    threshold("boundary.delta", config.boundary.delta)
    threshold("boundary.kappa", config.boundary.kappa)
    return config


def idle(config: AtomsConfig) -> dict[str, str]:
    """The fields, by dotted names, that do nothing beside the others, and which one decides."""
    found = {}
    if config.presence.kind != "local":
        found["presence.patches"] = f"presence.kind={config.presence.kind} looks at no patches"
    if config.presence.kind != "contrast":
        found["presence.reference"] = f"presence.kind={config.presence.kind} has no neutral prompts"
    if config.segments.weighting == "recurrent":
        found["segments.window"] = "segments.weighting=recurrent has no window"
    if config.roles.reference:
        found["roles.temperature"] = "roles.reference has the prototype's temperature"
    return found


def threshold(field: str, value: str) -> float | str:
    """ "0.6" -> 0.6; "auto" and "learned" stay."""
    if value in ("auto", "learned"):
        return value
    try:
        return float(value)
    except ValueError:
        raise InputError(
            f"config {field}={value}: neither a number nor auto nor learned; correct it"
        ) from None
