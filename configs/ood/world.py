"""For the embedded encoder and the word list of the rendered world."""

from jaxvlm.evaluation.ood_config import OodConfig


def get_config() -> OodConfig:
    """Fewer groups, because there are hundreds of words; the encoder's own logit scale, 24."""
    config = OodConfig()
    config.negalign.num_groups = 10
    config.negalign.logit_scale = 0.0
    config.split_percentile = 45.0
    return config
