"""Synthetic scenes with exact ground truth: faces of no real person, lines of text; free to distribute.

Everything is a function of a seed. The project's own weights were trained on seeds from FIRST_TRAINING_SEED on, so
calibration, selection and evaluation use lower seeds.
"""

from bmzoo.scenes.lines import Line, draw_line
from bmzoo.scenes.scene import KINDS, SMALLEST, Scene, draw

FIRST_TRAINING_SEED = 1_000_000

__all__ = ["FIRST_TRAINING_SEED", "KINDS", "SMALLEST", "Line", "Scene", "draw", "draw_line"]
