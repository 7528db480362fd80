"""The published prototype's NegAlign: its map at the last block's output, which is empty."""

from jaxvlm.pictures.config import OodSettings


def get_config() -> OodSettings:
    """The prototype's method, groups, CAM layer and threshold; M1 had no effect: off."""
    config = OodSettings()
    config.method = "negalign"
    config.negalign.num_groups = 100
    config.negalign.cam_layer = "output"
    config.negalign.cam_threshold = "percentile"
    return config
