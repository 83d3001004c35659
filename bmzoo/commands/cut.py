"""`cut`: the mixed-precision table that the settings ask for."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bmzoo.errors import ConfigError
from bmzoo.quantization.select import cut_path, cut_ranking, excluded, explain_layers, table_text

NO_PATH: Mapping[str, Any] = {"choices": [], "alone": {}}


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `mixed.qtable` and `choice.json`. Raises ConfigError for more layers than the model has."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    settings = request["settings"]
    path: Mapping[str, Any]
    ranking = json.loads((folder / "ranking.json").read_text(encoding="utf-8"))
    for key in ("max_float_layers", "keep"):
        if settings[key] is not None and settings[key] > len(ranking["layers"]):
            raise ConfigError(f"{key}: more than the {len(ranking['layers'])} layers of the model: {settings[key]}")
    without = excluded([row["layer"] for row in ranking["layers"]], settings["exclude"])
    if settings["keep"]:
        path, pictures = NO_PATH, ranking["pictures"]
        cut = cut_ranking(ranking, settings["keep"], without)
    else:
        path = json.loads((folder / "path.json").read_text(encoding="utf-8"))
        pictures = path["pictures"]
        cut = cut_path(path, settings)
    said = [
        f"{key} {' '.join(value) if isinstance(value, list) else value}"
        for key, value in settings.items()
        if value is not None
    ]
    text = table_text(cut, path.get("plain"), pictures, request["mode"], said)
    (folder / "mixed.qtable").write_text(text, encoding="utf-8")
    choice = {
        **asdict(cut),
        "mode": request["mode"],
        "pictures": pictures,
        "plain": path.get("plain"),
        "rows": [
            {"layer": name, "loss": loss, "why": why}
            for name, loss, why in explain_layers(ranking, path, cut, without)
        ],
    }
    (folder / "choice.json").write_text(json.dumps(choice, indent=1), encoding="utf-8")
