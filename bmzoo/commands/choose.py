"""`choose`: greedy order of promotion to float, by emulated INT8 on the selection pictures."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from bmzoo.commands.requests import picture_size, read_request
from bmzoo.quantization.budgets.prices import layer_prices
from bmzoo.quantization.emulator import EmulatorJob, emulator
from bmzoo.quantization.greedy import TRIED, UNPRICED, Score, best_path
from bmzoo.quantization.select import excluded
from bmzoo.system.partial import Pieces


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `path.json` from `ranking.json`. Resumes from the scores of an interrupted run."""
    request = read_request(folder, args[0])
    ranking = json.loads((folder / "ranking.json").read_text(encoding="utf-8"))
    number, limit = request["slots"], request["limit"]
    job = EmulatorJob(folder, request["decoder"], picture_size(request), number)
    sensitivity = {row["layer"]: row["loss"] for row in ranking["layers"]}
    without = excluded(list(sensitivity), request["exclude"])
    every = dict.fromkeys(tuple(row["group"]) for row in ranking["layers"])
    groups = [group for group in every if not without & set(group)]
    pieces = Pieces(folder, 2 * TRIED + 4 * limit)
    prices = UNPRICED
    if request.get("priced"):
        plain, floats = (
            json.loads((folder / f"{name}.profile.json").read_text(encoding="utf-8")) for name in ("plain", "float")
        )
        prices = layer_prices(plain, floats, sensitivity)
    with emulator(job, number) as workers:

        def evaluate(floats: frozenset[str]) -> Score:
            name = hashlib.sha256("\n".join(sorted(floats)).encode()).hexdigest()[:24]
            known = pieces.find(name)
            score = Score(**known) if known is not None else workers.score(floats)
            if known is None:
                pieces.keep(name, asdict(score))
            return replace(score, loss=1 - score.cosine) if request["metric"] == "cosine" else score

        path = best_path(groups, job.network().beside(), sensitivity, limit, evaluate, prices)
    found = {
        "pictures": number,
        "limit": limit,
        "plain": asdict(path.plain),
        "choices": [{"layers": list(choice.layers), **asdict(choice.score)} for choice in path.choices],
        "alone": {name: asdict(score) for name, score in path.alone.items()},
    }
    (folder / "path.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
