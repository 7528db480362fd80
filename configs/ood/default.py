"""OOD evaluation with a CLIP of the usual size and thousands of negative labels."""

from jaxvlm.pictures.config import OodSettings


def get_config() -> OodSettings:
    """NegLabel with ten groups, the best on real embeddings; `OodConfig` says what else is set."""
    return OodSettings()
