"""For the embedded encoder, whose patches are aligned with text."""

from jaxvlm.video.config import AtomsConfig


def get_config() -> AtomsConfig:
    """Presence from patches; everything else as by default."""
    config = AtomsConfig()
    config.presence.kind = "local"
    return config
