"""`cut`: writes the mixed-precision table for the given settings."""

import json
from dataclasses import asdict
from pathlib import Path

from bmzoo.errors import ConfigError
from bmzoo.quantization.select import explained, table_text


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `mixed.qtable` and `choice.json`. Raises ConfigError for more layers than the model has."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    settings = request["settings"]
    ranking = json.loads((folder / "ranking.json").read_text(encoding="utf-8"))
    for key in ("max_float_layers", "keep"):
        if settings[key] is not None and settings[key] > len(ranking["layers"]):
            raise ConfigError(f"{key}: more than the {len(ranking['layers'])} layers of the model: {settings[key]}")
    path = None if settings["keep"] else json.loads((folder / "path.json").read_text(encoding="utf-8"))
    found = explained(ranking, path, settings)
    assert found is not None, "there is a path where one is needed"
    (cut, rows), plain = found, path["plain"] if path is not None else None
    pictures = (ranking if path is None else path)["pictures"]
    said = [
        f"{key} {' '.join(value) if isinstance(value, list) else value}"
        for key, value in settings.items()
        if value is not None
    ]
    text = table_text(cut, pictures, request["mode"], said)
    (folder / "mixed.qtable").write_text(text, encoding="utf-8")
    choice = {
        **asdict(cut),
        "mode": request["mode"],
        "pictures": pictures,
        "plain": plain,
        "rows": rows,
    }
    (folder / "choice.json").write_text(json.dumps(choice, indent=1), encoding="utf-8")
