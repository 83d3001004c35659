"""Conversions as the published samples make them, a row each, and scripts in the samples' style from these rows."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "reference" / "published_conversions.csv"
BATCHES = (1, 4)
# Rows of our own in the same form, so that all of it is tried where the published ones are not at hand.
_OWN = Path(__file__).resolve().parents[1] / "data" / "conversions.csv"


@dataclass(frozen=True)
class Deploy:
    """What a row says of one model_deploy."""

    quantize: str
    cores: int
    flags: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> "Deploy":
        quantize, *rest = text.split()
        cores = [part.partition("=")[2] for part in rest if part.startswith("cores=")]
        flags = tuple(part for part in rest if not part.startswith("cores="))
        return cls(quantize, (int(cores[0]) if cores[0].isdecimal() else 2) if cores else 1, flags)


@dataclass(frozen=True)
class Published:
    """A row of the table."""

    row: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.row['sample']}/{self.row['script']}"

    @property
    def stem(self) -> str:
        return self.row["model_def"].removesuffix(".onnx").replace("${opt}", "").replace("${name}", "vision")

    @property
    def deploys(self) -> list[Deploy]:
        return [Deploy.read(text.strip()) for text in self.row["deploys"].split("|")]

    def shapes(self, batch: int) -> list[list[int]]:
        """The shapes of the inputs, worked out by hand: `$1` is the batch and `$seqlen` as the script sets it."""
        text = self.row["input_shapes"].replace("$1", str(batch)).replace("$seqlen", "128")
        rows = text.strip("[]").split("],[")
        return [[int(side) for side in row.split(",")] for row in rows]

    @property
    def is_picture(self) -> bool:
        """Whether the one input is a picture."""
        shapes = self.shapes(1)
        return len(shapes) == 1 and len(shapes[0]) == 4

    def numbers(self, key: str, default: float) -> list[float]:
        channels = self.shapes(1)[0][1] if self.row["pixel_format"] != "" or self.is_picture else 3
        return [float(part) for part in self.row[key].split(",")] if self.row[key] else [default] * channels


def published() -> list[Published]:
    """All rows: our own, and the published ones where they are at hand."""
    texts = [path.read_text(encoding="utf-8") for path in (_OWN, _PUBLISHED) if path.is_file()]
    return [Published(row) for text in texts for row in csv.DictReader(text.splitlines())]


def script_of(one: Published) -> str:
    """A script that makes the conversions of a row, as the samples write theirs: functions, loops and cases."""
    return "\n".join(_lines(one)) + "\n"


def _lines(one: Published) -> Iterator[str]:
    row = one.row
    yield from ("#!/bin/bash", 'model_dir=$(dirname $(readlink -f "$0"))', "name=vision", "seqlen=128", "opt=")
    yield from ("if [ ! $1 ]; then", "    target=bm1684x", "    target_dir=BM1684X", "else")
    yield from ("    target=${1,,}", "    target_dir=${target^^}", "fi", "", "outdir=../models/$target_dir", "")
    yield from ("function gen_mlir()", "{", "    model_transform.py \\", "        --model_name net_$1b \\")
    yield f"        --model_def ../models/onnx/{row['model_def']} \\"
    yield f"        --input_shapes {row['input_shapes']} \\"
    for key in ("mean", "scale", "pixel_format", "output_names"):
        if row[key]:
            yield f"        --{key} {row[key]} \\"
    if row["keep_aspect_ratio"]:
        yield "        --keep_aspect_ratio \\"
    yield from ("        --test_input ../datasets/test.jpg --mlir net_$1b.mlir", "}", "")
    yield from _calibration(one)
    for index, deploy in enumerate(one.deploys):
        yield from _deploy(index, deploy)
    yield from ("pushd $model_dir", "if [ ! -d $outdir ]; then", "    mkdir -p $outdir", "fi")
    yield f"for batch in {' '.join(map(str, BATCHES))}; do"
    yield "    gen_mlir $batch"
    if row["calibration_pictures"]:
        yield "    gen_cali_table $batch"
    for index, deploy in enumerate(one.deploys):
        call = f"gen_bmodel_{index} $batch {deploy.cores}"
        yield (
            f"    if test $target = bm1688 && [[ $batch -ge 1 ]]; then {call}; fi"
            if deploy.cores > 1
            else f"    {call}"
        )
    yield from ("done", "popd")


def _calibration(one: Published) -> Iterator[str]:
    if not one.row["calibration_pictures"]:
        return
    count = one.row["calibration_pictures"].split()[0]
    yield from (
        "gen_cali_table() {",
        "    run_calibration.py net_$1b.mlir \\",
        "        --dataset ../datasets/cali \\",
    )
    yield f"        --input_num {count} -o net_cali_table"
    if one.row["search"]:
        yield f"    {one.row['search']}.py net_$1b.mlir --dataset ../datasets/cali --input_num {count} \\"
        yield "        --calibration_table net_cali_table --chip $target --max_float_layers 5 -o net_qtable"
    yield from ("}", "")


def _deploy(index: int, deploy: Deploy) -> Iterator[str]:
    yield from (f"gen_bmodel_{index} () {{", "    model_deploy.py --mlir net_$1b.mlir \\")
    yield f"        --quantize {deploy.quantize} --chip $target \\"
    if deploy.cores > 1:
        yield "        --num_core $2 \\"
    if deploy.quantize == "INT8":
        yield "        --calibration_table net_cali_table \\"
    for flag in deploy.flags:
        yield f"        --{flag}{' net_qtable' if flag == 'quantize_table' else ''} \\"
    yield from ("        --model net_$1b.bmodel", "    mv net_$1b.bmodel $outdir/", "}", "")
