"""Super resolution: the compact network of Real-ESRGAN."""

from __future__ import annotations

import onnx

from architectures.graph import Graph


def realesr_general(batch: int) -> onnx.ModelProto:
    """SRVGGNetCompact of realesr-general-x4v3 (Wang et al., 2021): 32 convolutions, 640x480 to four times that."""
    g = Graph("realesr_general", batch)
    picture = g.input("images", 3, 480, 640)
    x = g.conv(picture, 64, act="prelu")
    for _ in range(32):
        x = g.conv(x, 64, act="prelu")
    x = g.conv(x, 48)
    x = g.node("DepthToSpace", [x], (batch, 3, 1920, 2560), blocksize=4, mode="CRD")
    return g.model([g.add(x, g.up(picture, 4))])
