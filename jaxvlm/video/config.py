"""The settings of the atoms system: mutable, so that flags can set them."""

import dataclasses
from typing import Any

from jaxvlm.atoms.training import RoleConfig
from jaxvlm.errors import InputError

# RoleConfig is frozen, because compiled code depends on it; this is the same, open to flags.
RoleSettings = dataclasses.make_dataclass(
    "RoleSettings",
    [
        (f.name, f.type, dataclasses.field(default=f.default))
        for f in dataclasses.fields(RoleConfig)
    ],
)


@dataclasses.dataclass
class PresenceConfig:
    """How present an atom is on a frame."""

    kind: str = "contrast"  # "cosine" is the prototype's; "local" looks at patches
    patches: int = 3  # how many patches have to show an atom, for "local"
    reference: str = "log_mean_exp"  # of the neutral prompts, for "contrast"; or "max"
    renormalize: bool = True  # the mean over templates to unit length; the prototype: False
    lambda_atoms: float = 0.25  # weight of a caption that names the atom
    lambda_resemble: float = 0.1  # weight of a caption that resembles it
    guard: float = 0.18  # captions lift only presences from here on
    resemble_threshold: float = 0.85  # text-embedding cosine from which a phrase resembles


@dataclasses.dataclass
class BoundaryConfig:
    """b = σ(κ(d − δ)). Text, because a value is a number, "auto" or "learned"."""

    delta: str = "0.6"
    kappa: str = "8.0"


@dataclasses.dataclass
class SegmentConfig:
    """p̄ over the segment that a frame belongs to."""

    window: int = 20
    weighting: str = "running_mean"  # or "point", "recurrent"
    normalize: bool = True  # the prototype: False
    survival_floor: float = 0.0  # smallest 1 − b; the prototype: 1e-6


@dataclasses.dataclass
class AtomsConfig:
    """Frames to p̄ to roles."""

    fps: float = 1.0  # frames per second taken from a video
    batch_size: int = 0  # images per device and step; 0: measured, see clip.batch_size
    presence: PresenceConfig = dataclasses.field(default_factory=PresenceConfig)
    boundary: BoundaryConfig = dataclasses.field(default_factory=BoundaryConfig)
    segments: SegmentConfig = dataclasses.field(default_factory=SegmentConfig)
    roles: RoleSettings = dataclasses.field(default_factory=RoleSettings)


def role_config(config: AtomsConfig) -> RoleConfig:
    """The frozen settings of role training."""
    return RoleConfig(**dataclasses.asdict(config.roles))


def check(config: AtomsConfig) -> AtomsConfig:
    """Returns the config. Raises InputError with the field's name for a value that cannot be."""
    allowed = {
        "presence.kind": (config.presence.kind, ("contrast", "cosine", "local")),
        "presence.reference": (config.presence.reference, ("log_mean_exp", "max")),
        "segments.weighting": (config.segments.weighting, ("running_mean", "point", "recurrent")),
    }
    for field, (value, choices) in allowed.items():
        if value not in choices:
            raise InputError(f"config {field}={value}: unknown; use {' or '.join(choices)}")
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


def from_dict(value: dict[str, Any]) -> AtomsConfig:
    """The inverse of ``dataclasses.asdict``."""
    return check(
        AtomsConfig(
            fps=value["fps"],
            batch_size=value["batch_size"],
            presence=PresenceConfig(**value["presence"]),
            boundary=BoundaryConfig(**value["boundary"]),
            segments=SegmentConfig(**value["segments"]),
            roles=RoleSettings(**value["roles"]),
        )
    )
