"""`vendor-cut`: writes the mixed-precision table for the given settings, from the result of TPU-MLIR's search."""

import json
from dataclasses import asdict
from pathlib import Path

from bmzoo.errors import ConfigError
from bmzoo.quantization.select import table_text
from bmzoo.quantization.vendor_select import cut, rows


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `mixed.qtable` and `choice.json`, and copy `tuned.table`, if there is one, to `calibration.table`.

    Raises ConfigError for more layers than the model has.
    """
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    ranking = json.loads((folder / "ranking.json").read_text(encoding="utf-8"))
    settings = request["settings"]
    for key in ("max_float_layers", "keep"):
        if settings[key] is not None and settings[key] > ranking["total"]:
            raise ConfigError(f"{key}: more than the {ranking['total']} layers of the model: {settings[key]}")
    found = cut(ranking, settings)
    said = [f"{key} {value}" for key, value in settings.items() if value is not None]
    text = table_text(found, ranking["pictures"], request["mode"], said)
    (folder / "mixed.qtable").write_text(text, encoding="utf-8")
    plain = {"cosine": ranking["plain"]} if ranking["plain"] is not None else None
    choice = {
        **asdict(found),
        "mode": request["mode"],
        "pictures": ranking["pictures"],
        "plain": plain,
        "rows": rows(ranking, found),
    }
    (folder / "choice.json").write_text(json.dumps(choice, indent=1), encoding="utf-8")
    if (folder / "tuned.table").exists():
        (folder / "calibration.table").write_bytes((folder / "tuned.table").read_bytes())
