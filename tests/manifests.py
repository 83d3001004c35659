"""Manifests to test with."""

from typing import Any

from bmzoo.release.manifest import Accuracy, Agreement, Artifact


def artifact(chip: str = "bm1688", precision: str = "int8", batch: int = 1, **more: Any) -> Artifact:
    """A verified artifact of a model `m`."""
    known = {
        "model": "m",
        "chip": chip,
        "precision": precision,
        "batch": batch,
        "cores": 1,
        "file": f"{chip.upper()}/m_{precision}_{batch}b.bmodel",
        "status": "verified",
        "sha256": "a" * 64,
        "size": 1_000_000,
        "weights": "official",
        "cost": 2000,
        "float_layers": 0,
        "agreement": Agreement(
            pictures=8, cosine=0.9, sqnr_db=12.5, worst="loc", expected=50, missed=1, extra=0, mean_iou=0.9
        ),
        "accuracy": Accuracy(pictures=122, ap={"easy": 0.82, "hard": 0.5}, onnx={"easy": 0.83, "hard": 0.52}),
    }
    return Artifact(**{**known, **more})
