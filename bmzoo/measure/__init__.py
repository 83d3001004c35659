"""Comparison metrics for tensors and detections, average precision, and verdicts against thresholds.

Metrics and verdicts from arrays and ground truth. Nothing here knows how the results were made.
"""
