"""For the embedded encoder, whose patches are aligned with text."""

from jaxvlm.video.config import AtomsSettings


def get_config() -> AtomsSettings:
    """Presence from patches; everything else as by default."""
    config = AtomsSettings()
    config.presence.kind = "local"
    return config
