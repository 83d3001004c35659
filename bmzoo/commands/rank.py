"""`rank`: sensitivity ranking of the quantizable layers, over the selection pictures."""

import json
from collections.abc import Mapping
from concurrent.futures import Future, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bmzoo.commands.requests import picture_size, read_request
from bmzoo.quantization.emulator import Emulator, EmulatorJob, emulator
from bmzoo.quantization.loss import added, total
from bmzoo.quantization.mapping import coverage
from bmzoo.system.partial import Pieces


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `ranking.json`. Resumes after the pictures that an interrupted run has finished."""
    request = read_request(folder, args[0])
    number = request["slots"]
    job = EmulatorJob(folder, request["decoder"], picture_size(request), number)
    pieces = Pieces(folder, number)
    found = {i: piece for i in range(number) if (piece := pieces.find(str(i))) is not None}
    missing = [i for i in range(number) if i not in found]
    if missing:
        with emulator(job, number) as workers:
            found |= _measured(workers, missing, pieces)
    network = job.network()
    layers = {layer.name: layer for layer in network.quantized}
    groups = {layer.name: [each.name for each in group] for group in network.groups() for layer in group}
    signal = added([found[i]["signal"] for i in range(number)])
    rows = []
    for name, layer in layers.items():
        noise = added([found[i]["layers"][name]["noise"] for i in range(number)])
        cosine = sum(found[i]["layers"][name]["cosine_loss"] for i in range(number)) / number
        rows.append(
            {
                "layer": name,
                "kind": layer.lowered.kind,
                "loss": total(noise, signal),
                "parts": {part: power / max(signal[part], 1e-12) for part, power in noise.items()},
                "cosine_loss": cosine,
                "group": groups[name],
            }
        )
    mapped, every = coverage(network)
    ranking = {
        "pictures": number,
        "mapped": [mapped, every],
        "layers": sorted(rows, key=lambda row: -float(row["loss"])),
    }
    (folder / "ranking.json").write_text(json.dumps(ranking, indent=1), encoding="utf-8")


def _measured(workers: Emulator, missing: list[int], pieces: Pieces) -> dict[int, Any]:
    waiting: Mapping[Future[Any], int] = {workers.sensitivities(index): index for index in missing}
    found: dict[int, Any] = {}
    for future in as_completed(waiting):
        layers, signal = future.result()
        piece = {"layers": {name: asdict(each) for name, each in layers.items()}, "signal": signal}
        found[waiting[future]] = piece
        pieces.keep(str(waiting[future]), piece)
    return found
