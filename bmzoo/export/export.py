"""`export`: everything that a board needs of one target, and what is needed to check it there, in one archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bmzoo.chips import CALIBRATED
from bmzoo.config.model import Model
from bmzoo.errors import VerifyFailed
from bmzoo.export.archive import packed
from bmzoo.export.board import asked
from bmzoo.export.envelope import sealed
from bmzoo.export.statement import ATTESTATION, CHECK, FORMAT, stated
from bmzoo.export.wheel import runtime_wheel
from bmzoo.measure.npz import arrays
from bmzoo.plan.build import shown_step
from bmzoo.plan.fed import feed
from bmzoo.system import files
from bmzoo.target import Target
from bmzoo.workspace import Workspace

# Decisions that an INT8 artifact is compiled from, as the steps of a build call them.
_TABLES = ("calibration.table", "channels.scales", "mixed.qtable")
_SHOWN = ("inputs.npz", "outputs.npz")
_README = """\
{target}

    python3 check.py                  does this board give what the simulator gave?
    pip install --no-deps {wheel}
    python3 -m bmzoo.runtime detect {artifact} PICTURE

check.py needs Python 3.8, numpy and sophon.sail. These files are:

    {artifact}: the network
    {provenance}: how pictures become its input, what its outputs mean, how and from what it is made
    {verification}: how near it comes to the ONNX model
    inputs.npz, outputs.npz: {samples} as the network takes them, and what the chip simulator made of them
    attestation.json: an in-toto statement over all of these, which ./doit attest ARCHIVE verifies
"""


def export_target(at: Workspace, target: Target, key: Path | None = None) -> str:
    """Write the archive of a verified target, signed where a private key is named. Returns what it holds in a line.

    Raises VerifyFailed where the target is not verified, SourceError for what is no key.
    """
    members = _members(at, target)
    statement = files.json_text(stated(members)).encode()
    members[ATTESTATION] = sealed(statement, key)
    content = packed(f"{target.model}.{target}", members)
    files.place(at.layout.export(target), lambda part: part.write_bytes(content))
    signed = "signed" if key is not None else "not signed"
    return f"{len(members)} files, {len(content) / 1e6:.1f} MB, {signed}"


def _members(at: Workspace, target: Target) -> dict[str, bytes]:
    layout, model = at.layout, at.model(target)
    told, verified = (at.documents.by(path) for path in (layout.provenance(target), layout.verification(target)))
    if not told or not verified.get("passed") or verified.get("sha256") != told["sha256"]:
        name = target.qualified(at.default_model)
        raise VerifyFailed(f"{name}: not verified", f"./doit verify:{name}")
    published = (layout.artifact(target), layout.provenance(target), layout.verification(target))
    shown = at.builder(model).run(shown_step(model, target, at.weights.chosen(model)))
    fed = feed(model, target).file
    count = max(target.batch, len(next(iter(arrays(shown.path(fed)).values()))))
    check = {
        "format": FORMAT,
        "target": f"{target.model} {target}",
        "toolchain": told["toolchain"],
        **dict(zip(("artifact", "provenance", "verification"), (path.name for path in published), strict=True)),
        **dict(zip(("inputs", "outputs"), _SHOWN, strict=True)),
        "samples": f"{count} {model.samples_are}",
        **bounds(target.precision, verified),
        "asks": asked(told),
    }
    wheel, runtime = runtime_wheel()
    return {
        **{path.name: path.read_bytes() for path in published},
        **{name: shown.path(file).read_bytes() for name, file in zip(_SHOWN, (fed, _SHOWN[1]), strict=True)},
        **_tables(at, model, target),
        "config.yaml": model.path.read_bytes(),
        CHECK: files.json_text(check).encode(),
        "check.py": Path(__file__).with_name("check.py").read_bytes(),
        "README.txt": _README.format(**check, wheel=wheel).encode(),
        wheel: runtime,
    }


def bounds(precision: str, verified: Mapping[str, Any]) -> dict[str, Any]:
    """How far outputs on a board may be from the simulator's.

    `bound`: of INT8 and INT4 not at all; of floats as far as the verdict lets simulator and MLIR differ, which
    compute the same network in floats of the same width, in another order: `relative` to the largest absolute value
    of an output, and a least ratio of signal to noise in dB where one is stated. `loose`: the same for INT8 with
    layers in float, for boards whose floats are not the simulator's to the last bit; null where there are none.
    """
    engines, limits = verified["engines"], verified["thresholds"]
    between = {"relative": limits["engines"] or 0.0, "sqnr_db": limits["engines_sqnr"]}
    if precision not in CALIBRATED:
        return {"bound": between, "loose": None}
    floats = engines.get("floats") or engines.get("requantized")
    return {"bound": {"relative": 0.0, "sqnr_db": None}, "loose": between if floats else None}


def _tables(at: Workspace, model: Model, target: Target) -> dict[str, bytes]:
    """The decisions that the artifact was compiled from; none for floats."""
    builder = at.builder(model)
    read = (builder.inputs(step) for step in at.recipe(target).grounds if step.decision is None)
    return {name: path.read_bytes() for one in read for name, path in one.items() if name in _TABLES}
