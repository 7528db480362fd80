"""What `jaxvlm.evaluation` gives to others, see `jaxvlm.lazily`."""

from jaxvlm.evaluation.metrics import event_frame_metrics, frame_metrics, video_auc
from jaxvlm.evaluation.metrics_ood import bootstrap_methods, bootstrap_sets, ood_metrics

__all__ = [
    "bootstrap_methods",
    "bootstrap_sets",
    "event_frame_metrics",
    "frame_metrics",
    "ood_metrics",
    "video_auc",
]
