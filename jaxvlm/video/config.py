"""The settings of the atoms system: frozen, and as AtomsSettings open to flags."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any, Literal

from jaxvlm import settings
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.errors import InputError

# What flags say where a config has no field for it.
HOLDOUT = 0.25  # of the videos, that roles are measured on and not trained on
FRAMES_PER_ROW, FEATURE_FPS = 16, 30.0  # of features: VadCLIP's snippets, UCF-Crime's videos
LOGIT_SCALE = 100.0  # of OpenAI's CLIPs and most others


@dataclasses.dataclass(frozen=True)
class PresenceConfig:
    """How present an atom is on a frame."""

    kind: Literal["contrast", "cosine", "local", "sparse"] = "contrast"
    """Against neutral prompts; "cosine" is the prototype's; "local" looks at patches; "sparse" is
    a part of a sum of few texts."""
    patches: int = 3
    """How many patches have to show an atom, for "local"."""
    reference: Literal["log_mean_exp", "max"] = "max"
    """ν, how "contrast" takes the neutral prompts together."""
    penalty: float = 0.1
    """λ of "sparse", the correlation that a text needs to count."""
    center: bool = False
    """For "sparse": images less the mean of the encoder's familiar ones, texts less theirs."""
    renormalize: bool = True
    """The mean over templates is made unit; the prototype: False."""
    lambda_atoms: float = 0.25
    """Weight of a caption that names the atom."""
    lambda_resemble: float = 0.1
    """Weight of a caption that resembles it."""
    guard: float = 0.18
    """Captions lift only presences from here on."""
    resemble_threshold: float = 0.85
    """Text-embedding cosine from which a phrase resembles."""


@dataclasses.dataclass(frozen=True)
class BoundaryConfig:
    """b = σ(κ(d − δ)). Text, because a value is a number, "auto" or "learned"."""

    delta: str = "0.02"
    """δ, the change at which b is 1/2; the prototype: 0.6."""
    kappa: str = "auto"
    """κ, how steeply b rises there, "auto": 4.8/δ; the prototype: 8.0."""
    divergence: Literal["mean", "sum"] = "mean"
    """d, squared changes of presence over the atoms; the prototype: "sum"."""


@dataclasses.dataclass(frozen=True)
class SegmentConfig:
    """p̄ over the segment that a frame belongs to."""

    window: int = 20
    """W, frames back that count."""
    weighting: Literal["running_mean", "point", "recurrent"] = "running_mean"
    """See `atoms.segment_presence`; "recurrent" has no window."""
    normalize: bool = True
    """p̄ is divided by Σπ and stays in [0, 1]; the prototype: False."""
    survival_floor: float = 0.0
    """Smallest 1 − b; the prototype: 1e-6."""


@dataclasses.dataclass(frozen=True)
class AtomsConfig:
    """Frames to p̄ to roles."""

    fps: float = 1.0
    """Frames per second taken from a video."""
    batch_size: int = 0
    """Images per device and step; 0: measured, see clip.batch_size."""
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
    config = settings.freeze(AtomsConfig, _with_divergence(values))
    positive = {
        "fps": config.fps,
        "presence.penalty": config.presence.penalty,
        "segments.window": config.segments.window,
        "presence.patches": config.presence.patches,
    }
    for field, value in positive.items():
        if not value > 0:
            raise InputError(f"config {field}={value}: must be above 0; correct it")
    settings.check_batch_size("batch_size", config.batch_size, least=0)
    settings.check_batch_size("roles.batch_size", config.roles.batch_size, least=1)
    for field in ("lambda_atoms", "lambda_resemble", "guard"):
        if not 0 <= getattr(config.presence, field) <= 1:
            raise InputError(f"config presence.{field}: must lie in [0, 1]; correct it")
    threshold("boundary.delta", config.boundary.delta)
    threshold("boundary.kappa", config.boundary.kappa)
    return config


def with_prototype_boundary(
    values: Mapping[str, Any], given: Collection[str] = ()
) -> dict[str, Any]:
    """Dotted fields of flags, of which ``delta`` and ``kappa`` have the prototype's names and so
    its meaning: a number is of the summed change, and the one that is not given is the prototype's.

    given: fields that the user set by ``--config.``; ``boundary.divergence`` among them decides.
    """
    numbers = {"boundary.delta": "0.6", "boundary.kappa": "8.0"}
    told = [values.get(field) for field in numbers]
    if "boundary.divergence" in given or all(v in (None, "auto", "learned") for v in told):
        return dict(values)
    missing = {f: v for f, v in numbers.items() if values.get(f) is None and f not in given}
    return {**values, "boundary.divergence": "sum", **missing}


def _with_divergence(values: Any) -> Any:
    """JSON of before there was a choice names a boundary without its divergence: the sum."""
    boundary = values.get("boundary") if isinstance(values, Mapping) else None
    if not isinstance(boundary, Mapping) or "divergence" in boundary:
        return values
    return {**values, "boundary": {"divergence": "sum", **boundary}}


def boundary_start(config: BoundaryConfig) -> tuple[float | str, float | str]:
    """δ and κ to compute with; "learned" begins at the numbers of the divergence's default."""
    delta, kappa = (threshold(f"boundary.{k}", getattr(config, k)) for k in ("delta", "kappa"))
    first = ("0.6", "8.0") if config.divergence == "sum" else (BoundaryConfig.delta, "auto")
    delta, kappa = (
        threshold("boundary", own) if given == "learned" else given
        for given, own in zip((delta, kappa), first, strict=True)
    )
    return delta, kappa


def segment_bound(segments: SegmentConfig) -> float:
    """What p̄ can reach: 1, or without normalisation one for each frame of the window."""
    if segments.normalize:
        return 1.0
    return math.inf if segments.weighting == "recurrent" else float(segments.window)


def idle(config: AtomsConfig) -> dict[str, str]:
    """The fields, by dotted names, that do nothing beside the others, and which one decides."""
    found = {}
    if config.presence.kind != "local":
        found["presence.patches"] = f"presence.kind={config.presence.kind} looks at no patches"
    if config.presence.kind != "contrast":
        found["presence.reference"] = f"presence.kind={config.presence.kind} has no ν"
    if config.presence.kind != "sparse":
        for field in ("penalty", "center"):
            found[f"presence.{field}"] = f"presence.kind={config.presence.kind} has no sparse code"
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
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return number
    except ValueError:
        raise InputError(
            f"config {field}={value}: neither a number nor auto nor learned; correct it"
        ) from None
