"""What the launchers use unless told otherwise."""

from jaxvlm.video.config import AtomsConfig


def get_config() -> AtomsConfig:
    """Contrast presence, segments of one piece, roles with explicit counter evidence."""
    return AtomsConfig()
