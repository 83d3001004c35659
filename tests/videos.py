"""Videos to test with."""

from pathlib import Path

import cv2
import numpy as np


def video(path: Path, frames: int = 8) -> Path:
    """Frame k has a mean brightness of 20 * k + 10, and noise, so that most of the file is pictures."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (160, 120))
    noise = np.random.default_rng(0).integers(0, 20, (120, 160, 3), np.uint8)
    for k in range(frames):
        writer.write(noise + np.uint8(20 * k))
    writer.release()
    return path
