"""How near one result is to another: tensors, detections, average precision; and whether that is near enough.

Figures and verdicts from arrays and ground truth. Nothing here knows how the results were made.
"""
