"""`audit`: whether a model is fed as it was trained, said in a table, with the line of YAML that mends it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bmzoo.config import yamlfile
from bmzoo.config.model import Model
from bmzoo.errors import ConfigError, VerifyFailed
from bmzoo.execute import published
from bmzoo.measure.audit.alternatives import written
from bmzoo.measure.audit.judgement import FIRST_LAYER, PADDED, SHAPES, WRONG
from bmzoo.plan.audit import AUDIT_PICTURES, audit_pictures, audit_step
from bmzoo.system import files
from bmzoo.system.text import aligned
from bmzoo.workspace import Workspace

Told = Mapping[str, Any]


def audit_model(at: Workspace, model: Model, count: int = AUDIT_PICTURES) -> str:
    """Write `build/audit/<model>.<weights>.json`, and return a table.

    Raises ConfigError where no pictures are named, and VerifyFailed, with the table, where something is wrong.
    """
    shown = at.layout.shown(model.path)
    if model.config.input is None:
        return "the network takes no pictures, so there is no preprocessing to ask it about"
    weights = at.weights.chosen(model)
    if audit_pictures(at.weights.using(model)) is None:
        hint = "for example calibration: {images: {folder: pictures, count: 32}}"
        raise ConfigError(f"{shown}: calibration.images: missing key: there are no pictures to ask", hint)
    at.weights.announce(model)
    told = at.builder(model).run(audit_step(model, weights, count)).read_json("audit.json")
    path = at.layout.audit(model.name, weights.name)
    mend = yamlfile.flow({"input": told["mend"]}).strip() if told["mend"] else ""
    about = {"schema": published.DOCUMENT_SCHEMA, "model": model.name, "weights": weights.name}
    files.write(files.json_text({**about, **told, "yaml": mend}), path)
    text = "\n".join(lines(told))
    if not told["wrong"]:
        return text
    at.report.say(f"audit:{model.name}: {text}")
    hint = f"in {shown}: {mend}" if mend else "other pictures below calibration.images"
    raise VerifyFailed("; ".join(told["wrong"]), hint)


def lines(told: Told) -> list[str]:
    """What was asked, a row for each axis, and what is to be said of the pictures."""
    by = " and ".join(told["judged_by"]) or "nothing: neither outputs nor first layer show how it is fed"
    first = f"{told['pictures']} pictures, {told['tried']} other ways to feed them, judged by {by}"
    rows: Sequence[Told] = told["axes"]
    columns = {
        "axis": [row["axis"] for row in rows],
        "verdict": [row["verdict"] for row in rows],
        "as configured": [_values(row.get("configured")) for row in rows],
        "alternative": [_values(row.get("alternative")) for row in rows],
        "finds": [_more(row) for row in rows],
        **({"by chance": [_chance(row) for row in rows]} if any(map(_chance, rows)) else {}),
    }
    table = [f"  {line}" for line in aligned(columns, tuple(columns))] if rows else []
    return [
        first,
        *table,
        *(f"  {one['what']}: {one['said']}" for one in told["of_pictures"]),
        *(f"  note: {one}" for one in told["notes"]),
    ]


def _values(changes: Told | None) -> str:
    return ", ".join(f"{key} {written(value)}" for key, value in (changes or {}).items())


def _more(row: Told) -> str:
    """How much more is found, and what 19 of 20 draws of the pictures exceed."""
    if "more" not in row or row["by"] == FIRST_LAYER:
        return str(row.get("by", ""))
    if row["more"] is None:
        return "something, in place of nothing"
    where = f" {row['by']}" if row["by"] in (SHAPES, PADDED) else ""
    return f"{row['more']:+.1%}, at least {row['low']:+.1%}{where}"


def _chance(row: Told) -> str:
    chance = row.get("chance")
    if chance is None or row["verdict"] != WRONG or row["by"] == FIRST_LAYER:
        return ""
    return f"1 in {1 / chance:,.0f}" if chance > 0 else "never"
