"""Constants of chips for estimates of time, as `bench/latency.py --write` found them: do not edit.

From 165 published figures of 18 networks (bmrt_test, in sophon-demo's tables), fitted on 2026-11-26.
The comments say how far estimates were from the figures of networks that were left out of the fit.
"""

from collections.abc import Mapping

from bmzoo.measure.chip_constants import Constants

COMPILER = "tpu_mlir 1.30.2"
CONSTANTS: Mapping[str, Constants] = {
    # 49 figures of 18 networks: median error 9.8%, 82% within 25%, largest 51%
    "bm1684x": Constants(
        arithmetic=1.16,
        fp32=1.65,
        memory=1.7,
        run=0.0,
        join=0.0,
        low=0.78,
        high=1.54,
    ),
    # 70 figures of 15 networks: median error 6.4%, 86% within 25%, largest 66%
    "bm1688": Constants(
        arithmetic=1.06,
        fp32=1.15,
        memory=0.9,
        run=0.25,
        join=0.028,
        low=0.8,
        high=1.5,
    ),
    # 37 figures of 15 networks: median error 7.4%, 84% within 25%, largest 41%
    "cv186x": Constants(
        arithmetic=0.96,
        fp32=1.1,
        memory=1.9,
        run=0.25,
        join=0.0,
        low=0.78,
        high=1.48,
    ),
}
# Chips with figures for which nothing good enough was found, and why.
REFUSED: Mapping[str, str] = {
    "bm1684": (
        "the compiler writes no profile for bm1684; by its cost alone half of the estimates "
        "would be off by 58% or more (9 published figures)"
    ),
}
