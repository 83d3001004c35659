"""The targets that calls of model_deploy make."""

from typing import Any

from bmzoo.chips import CALIBRATED, CHIPS, QUANTIZE
from bmzoo.config.targets import DEPLOY_FLAGS
from bmzoo.config_import.conversions import Conversion, FlaggedCall
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.shell_values import UNRUN

_PRECISIONS = {quantize: precision for precision, quantize in QUANTIZE.items()}


def put_targets(draft: Draft, conversion: Conversion) -> None:
    """One entry for each set of flags and chip, with all its batches."""
    merged: dict[tuple[str, str, int, tuple[str, ...]], list[int]] = {}
    for call, transform in conversion.deploys:
        entry = _target(draft, call)
        if entry is not None:
            batches = merged.setdefault(entry, [])
            batch = conversion.batch(transform)
            batches += [batch] if batch not in batches else []
    targets = []
    for (chip, precision, cores, deploy), batches in merged.items():
        one: dict[str, Any] = {"chip": chip, "precision": precision, "batch": batches}
        one |= {"cores": cores} if cores > 1 else {}
        one |= {"deploy": list(deploy)} if deploy else {}
        one |= {"unverified": True} if CHIPS[chip].unsimulated else {}
        targets.append(one)
    if not targets:
        draft.put("targets", [{"chip": "TODO chips, as no model_deploy was understood", "precision": "fp16"}])
        draft.say("unknown", "targets: no model_deploy that bmzoo has an equivalent of")
        return
    draft.put("targets", targets)
    draft.say("took", f"targets: {sum(map(len, merged.values()))}, of {len(conversion.deploys)} model_deploy")


def _target(draft: Draft, call: FlaggedCall) -> tuple[str, str, int, tuple[str, ...]] | None:
    """Chip, precision, cores and flags of a deploy; None, and said, for one that has no equivalent."""
    chip, quantize = call.value("chip", "processor").lower(), (call.value("quantize") or "F32").upper()
    cores = int(call.value("num_core")) if call.value("num_core").isdecimal() else 1
    where = f"model_deploy{call.where} --chip {chip or '?'} --quantize {quantize}"
    if UNRUN.search(chip) or chip not in CHIPS:
        draft.dropped(where, f"chips here: {', '.join(CHIPS)}")
        return None
    precision = _PRECISIONS.get(quantize)
    if precision is None:
        draft.dropped(where, f"precisions here: {', '.join(QUANTIZE)}")
        return None
    if reason := CHIPS[chip].why_not(precision, cores):
        draft.dropped(where, reason)
        return None
    if "quantize_table" in call.flags and precision not in CALIBRATED:
        draft.dropped(
            f"{where} --quantize_table", "mixed tables are for int8 and int4: the target stays, without it"
        )
    deploy = tuple(f"--{name}" for name in call.flags if f"--{name}" in DEPLOY_FLAGS)
    return chip, precision, cores, deploy
