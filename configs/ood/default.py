"""OOD evaluation with a CLIP of the usual size and thousands of negative labels."""

from jaxvlm.pictures.config import OodSettings


def get_config() -> OodSettings:
    """NegAlign with the published settings, its map read where there is a gradient."""
    return OodSettings()
