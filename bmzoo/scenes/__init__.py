"""Drawn scenes with exact ground truth: faces that belong to nobody, in pictures that anyone may have.

Everything is a function of a seed. The project's own weights were trained on seeds from FIRST_TRAINING_SEED on;
whoever measures something uses seeds below it.
"""

from bmzoo.scenes.scene import KINDS, SMALLEST, Scene, draw

FIRST_TRAINING_SEED = 1_000_000

__all__ = ["FIRST_TRAINING_SEED", "KINDS", "SMALLEST", "Scene", "draw"]
