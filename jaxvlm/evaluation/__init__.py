"""Metrics, baselines, detections, plots and the report page."""

from jaxvlm.evaluation.metrics import event_frame_metrics, frame_metrics, video_auc

__all__ = ["event_frame_metrics", "frame_metrics", "video_auc"]
