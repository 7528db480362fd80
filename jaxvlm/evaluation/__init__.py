"""Metrics, their intervals, baselines, role recovery, and the published protocols."""

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
