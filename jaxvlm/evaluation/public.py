"""What `jaxvlm.evaluation` gives to others, see `jaxvlm.lazily`."""

from jaxvlm.evaluation.metrics import event_frame_metrics, frame_metrics, video_auc
from jaxvlm.evaluation.metrics_ood import correct_classification_rates, ood_metrics
from jaxvlm.evaluation.paired import bootstrap_methods, bootstrap_sets

__all__ = [
    "bootstrap_methods",
    "bootstrap_sets",
    "correct_classification_rates",
    "event_frame_metrics",
    "frame_metrics",
    "ood_metrics",
    "video_auc",
]
