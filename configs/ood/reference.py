"""The published prototype's NegAlign: its map at the last block's output, which is empty."""

from jaxvlm.pictures.config import OodSettings


def get_config() -> OodSettings:
    """The prototype's CAM layer and threshold; its M1 flag had no effect, so it is off."""
    config = OodSettings()
    config.negalign.cam_layer = "output"
    config.negalign.cam_threshold = "percentile"
    return config
