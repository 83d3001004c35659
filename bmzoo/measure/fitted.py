"""Constants of chips for estimates of time, as `bench/latency.py --write` found them: do not edit.

From 98 published figures of 15 networks (bmrt_test, in sophon-demo's tables), fitted on 2026-11-25.
The comments say how far estimates were from the figures of networks that were left out of the fit.
"""

from collections.abc import Mapping

from bmzoo.measure.chip_constants import Constants

COMPILER = "tpu_mlir 1.30.2"
CONSTANTS: Mapping[str, Constants] = {
    # 30 figures of 15 networks: median error 12.4%, 80% within 25%, largest 51%
    "bm1684x": Constants(
        arithmetic=1.16,
        fp32=1.6,
        memory=1.7,
        run=0.0,
        join=0.0,
        low=0.76,
        high=1.54,
    ),
    # 35 figures of 12 networks: median error 7.1%, 77% within 25%, largest 85%
    "bm1688": Constants(
        arithmetic=1.1,
        fp32=1.1,
        memory=0.8,
        run=0.25,
        join=0.04,
        low=0.58,
        high=1.61,
    ),
    # 24 figures of 11 networks: median error 11.6%, 75% within 25%, largest 40%
    "cv186x": Constants(
        arithmetic=0.92,
        fp32=1.1,
        memory=2.0,
        run=0.25,
        join=0.0,
        low=0.78,
        high=1.5,
    ),
}
# Chips with figures for which nothing good enough was found, and why.
REFUSED: Mapping[str, str] = {
    "bm1684": (
        "the compiler writes no profile for bm1684; by its cost alone half of the estimates "
        "would be off by 58% or more (9 published figures)"
    ),
}
