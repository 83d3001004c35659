"""How long BM1684 would take by what its networks multiply and move, where the compiler tells no times.

    python bench/latency_roofline.py --figures ../shared/reference/published_latency.csv

Every convolution and matrix product takes as long as its multiplications or its bytes do, whichever is longer; INT8
works on four pictures at once, however many there are. Three rates and a price of every run are fitted with each
network left out in turn. Nothing is compiled. It is no estimate of bmzoo's: it prints how far off it is.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from architectures.registry import ARCHITECTURES  # noqa: E402
from latency_figures import Figure, published  # noqa: E402

CHIP, AT_ONCE = "bm1684", 4
# What is tried: 10^12 multiplications a second in fp32 and in INT8, 10^9 bytes a second, ms of a run.
FP32 = (0.3, 0.45, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.5)
INT8 = (0.8, 1.2, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
MEMORY = (5, 8, 12, 16, 20, 26, 33, 45, 60, 100)
RUN = (0.0, 0.2, 0.5)


@dataclass(frozen=True)
class Layer:
    """For one picture: multiplications, values read and written, and weights."""

    products: int
    values: int
    weights: int


@cache
def layers(network: str) -> tuple[Layer, ...]:
    """Convolutions and matrix products of an architecture."""
    model = ARCHITECTURES[network](1)
    weights = {one.name: tuple(one.dims) for one in model.graph.initializer}
    told = onnx.shape_inference.infer_shapes(model).graph
    shapes = weights | {
        one.name: tuple(side.dim_value for side in one.type.tensor_type.shape.dim)
        for one in (*told.value_info, *told.input, *told.output)
    }
    return tuple(_layers(model.graph.node, shapes, weights))


def _layers(
    nodes: Sequence[onnx.NodeProto], shapes: Mapping[str, Sequence[int]], weights: Mapping[str, object]
) -> Iterator[Layer]:
    for node in nodes:
        if node.op_type not in ("Conv", "ConvTranspose", "MatMul"):
            continue
        first, second, out = (shapes[name] for name in (*node.input[:2], node.output[0]))
        many = math.prod(first if node.op_type == "ConvTranspose" else out)
        products = many * (first[-1] if node.op_type == "MatMul" else math.prod(second[1:]))
        own = node.input[1] in weights
        values = math.prod(first) + math.prod(out) + (0 if own else math.prod(second))
        yield Layer(products, values, math.prod(second) if own else 0)


def time(figure: Figure, fp32: float, int8: float, memory: float, run: float) -> float:
    """Milliseconds for one picture."""
    target = figure.target
    single = target.precision == "fp32"
    at_once = target.batch if single else AT_ONCE * -(-target.batch // AT_ONCE)
    rate, size = (fp32, 4) if single else (int8, 1)
    each = (
        max(
            at_once * one.products / rate / 1e9,
            size * (at_once * one.values + one.weights) / memory / 1e6,
        )
        for one in layers(target.model)
    )
    return (sum(each) + run) / target.batch


def left_out(figures: Sequence[Figure]) -> dict[str, float]:
    """Figure -> what rates fitted without its network make of it, every network counting once."""
    rates = list(itertools.product(FP32, INT8, MEMORY, RUN))
    times = np.array([[time(figure, *each) for figure in figures] for each in rates])
    errors = np.abs(np.log(times / [figure.ms for figure in figures]))
    names = np.array([figure.target.model for figure in figures])
    found: dict[str, float] = {}
    for name in dict.fromkeys(names.tolist()):
        best = int((errors @ _weights(names, name)).argmin())
        found |= {one.name: float(times[best, i]) for i, one in enumerate(figures) if one.target.model == name}
    return found


def _weights(names: npt.NDArray[np.str_], without: str) -> npt.NDArray[np.float64]:
    return np.array([0.0 if name == without else 1 / int((names == name).sum()) for name in names])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, required=True)
    rows = parser.parse_args().figures.read_text(encoding="utf-8").splitlines()
    figures = [one for one in published(rows) if one.target.chip == CHIP]
    found = left_out(figures)
    for one in figures:
        share = found[one.name] / one.ms - 1
        print(f"{one.name:32} published {one.ms:8.2f}  left out {found[one.name]:8.2f} {share:+7.0%}")
    errors = [abs(found[one.name] / one.ms - 1) for one in figures]
    within = sum(error <= 0.25 for error in errors) / len(errors)
    print(f"{len(errors)} figures: median error {statistics.median(errors):.1%}, {within:.0%} within 25%")
    return 0


if __name__ == "__main__":
    sys.exit(main())
