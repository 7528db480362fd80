"""The prototype's form of the atoms system, to compare with."""

from jaxvlm.video.config import AtomsSettings


def get_config() -> AtomsSettings:
    """Cosine presence, boundaries of the summed change, unnormalised segments, and roles without
    counter atoms or calibration."""
    config = AtomsSettings()
    config.presence.kind = "cosine"
    config.presence.renormalize = False
    config.boundary.divergence = "sum"
    config.boundary.delta = "0.6"
    config.boundary.kappa = "8.0"
    config.segments.normalize = False
    config.segments.survival_floor = 1e-6
    config.roles.reference = True
    return config
