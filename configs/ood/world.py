"""For the embedded encoder and the word list of the rendered world."""

from jaxvlm.evaluation.ood_config import OodConfig


def get_config() -> OodConfig:
    """Fewer groups, because there are hundreds of words, and the published percentile split."""
    config = OodConfig()
    config.negalign.num_groups = 10
    config.split_percentile = 45.0
    return config
