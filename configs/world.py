"""For the embedded encoder, whose patches are aligned with text."""

from jaxvlm.video.config import AtomsSettings


def get_config() -> AtomsSettings:
    """Presence from patches, and boundaries as the embedded roles were trained with."""
    config = AtomsSettings()
    config.presence.kind = "local"
    config.boundary.divergence = "sum"
    config.boundary.delta = "0.6"
    config.boundary.kappa = "8.0"
    return config
