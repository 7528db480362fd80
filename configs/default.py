"""What the launchers use unless told otherwise."""

from jaxvlm.video.config import AtomsSettings


def get_config() -> AtomsSettings:
    """Contrast presence, segments of one piece, roles with explicit counter evidence."""
    return AtomsSettings()
