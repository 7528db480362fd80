"""The prototype's form of the atoms system, to compare with."""

from jaxvlm.video.config import AtomsSettings


def get_config() -> AtomsSettings:
    """Cosine presence, unnormalised segments, roles without counter atoms or calibration."""
    config = AtomsSettings()
    config.presence.kind = "cosine"
    config.presence.renormalize = False
    config.segments.normalize = False
    config.segments.survival_floor = 1e-6
    config.roles.reference = True
    return config
