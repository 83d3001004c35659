"""Targets of one zoo built, verified and evaluated, where a failure is a result like any other."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bmzoo.errors import BmzooError, ConfigError
from bmzoo.plan.ladder import climbs
from bmzoo.release import inventory
from bmzoo.release.manifest import Artifact
from bmzoo.release.outcomes import Outcomes
from bmzoo.release.upgrade import not_made
from bmzoo.results import artifact as artifacts
from bmzoo.results import eval as evaluation
from bmzoo.results import verify as verification
from bmzoo.results.decisions import has_int8_settings
from bmzoo.results.truth import has_truth
from bmzoo.system.parallel import each
from bmzoo.target import Target, longest_first
from bmzoo.workspace import Workspace

# Each has a second thread where there are cores for it.
AT_ONCE = 2
# As in `2.2+v1.30.2-20260831`.
_VERSION_NAME = re.compile(rb"v\d+\.\d+(\.\d+)?-\d{8}")
Stage = tuple[str, Callable[[Workspace, Target], object]]


def attempt(at: Workspace, targets: Sequence[Target], evaluated: bool) -> dict[Target, Artifact]:
    """What comes of each target, those that no sound config has included; what is there already is not made again.

    evaluated: on ground truth too, where there is some; else figures of before do not count either.
    """
    known = [target for target in targets if target.model in at.models]
    outcomes = Outcomes()
    workers = min(AT_ONCE, len(os.sched_getaffinity(0)))
    each(partial(_pass_through, at, outcomes, evaluated), longest_first(known), workers)
    made = {one.target: one for one in inventory.take(at, outcomes).artifacts}
    found = {t: made[t] if t in made else not_made(t, _why(at, t)) for t in targets}
    return found if evaluated else {t: one.model_copy(update={"accuracy": None}) for t, one in found.items()}


def _pass_through(at: Workspace, outcomes: Outcomes, evaluated: bool, target: Target) -> None:
    """Every stage of a target, up to the first that fails."""
    name = target.qualified(at.default_model)
    for stage, run in _stages(at, target, evaluated):
        try:
            run(at, target)
        except BmzooError as error:
            outcomes.failed(f"{stage}:{name}", error.render(), error.evidence)
            at.report.warn(f"{name}: {stage}: {error.message}")
            return


def _stages(at: Workspace, target: Target, evaluated: bool) -> Iterator[Stage]:
    yield "build", _build
    if not target.unverified:
        yield "verify", _verify
        if evaluated and has_truth(at, at.models[target.model]):
            yield "eval", _evaluate


def _build(at: Workspace, target: Target) -> None:
    model = at.models[target.model]
    if target.precision == "int8" and climbs(at.configs.models[target.model]) and not has_int8_settings(at, model):
        raise ConfigError(
            f"the INT8 settings of {model.name} are not decided: ./doit quantize:{model.name} finds them"
        )
    if not artifacts.is_current(at, target):
        artifacts.build_artifact(at, target)


def _verify(at: Workspace, target: Target) -> None:
    if not verification.is_current(at, target):
        verification.verify_target(at, target)


def _evaluate(at: Workspace, target: Target) -> None:
    model = at.model(target)
    if not evaluation.is_current_onnx(at, model):
        evaluation.evaluate_model(at, model)
    if not evaluation.is_current(at, target):
        evaluation.evaluate_target(at, target)


def _why(at: Workspace, target: Target) -> str:
    """Why there is no such target: a broken config, or weights that are not here."""
    broken = at.configs.broken.get(target.model)
    if broken is not None:
        return broken.message
    return "its config names no such target" if target.model not in at.models else "its weights are not here"


def own_times(at: Workspace, made: dict[Target, Artifact]) -> dict[Target, float]:
    """Milliseconds for one picture by each compiler's own profile, where it wrote one."""
    found = {}
    for target, one in made.items():
        if one.sha256 is not None and (time := _milliseconds(at, target)) is not None:
            found[target] = time / target.batch
    return found


def own_contents(at: Workspace, made: dict[Target, Artifact]) -> dict[Target, str]:
    """Digests of the artifacts without the name of the version that each compiler writes into its own."""
    found = {}
    for target, one in made.items():
        path = at.layout.artifact(target)
        if one.sha256 is not None and path.is_file():
            found[target] = hashlib.sha256(_VERSION_NAME.sub(b"", path.read_bytes())).hexdigest()
    return found


def _milliseconds(at: Workspace, target: Target) -> float | None:
    try:
        told = json.loads(at.layout.profile(target).read_text(encoding="utf-8"))
        return float(told["milliseconds"]) if told["known"] is True else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
