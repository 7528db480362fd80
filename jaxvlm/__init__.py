"""Explainable video anomaly detection and zero-shot OOD detection on one frozen CLIP, in JAX."""

__version__ = "0.1.0"
