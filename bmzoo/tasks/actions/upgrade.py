"""What `upgrade` does: the zoo made with two versions of TPU-MLIR, and the difference."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bmzoo.chips import CALIBRATED
from bmzoo.errors import BmzooError, ConfigError, VerifyFailed
from bmzoo.execute.dialect import Capabilities, differences
from bmzoo.execute.installations import Provenance, install, knowing, provenance
from bmzoo.execute.toolchain import LocalToolchain, find_installation
from bmzoo.release.attempt import attempt, own_contents, own_times
from bmzoo.release.upgrade import MadeWith, Upgrade, side_by_side
from bmzoo.release.upgrade_report import upgrade_json, upgrade_page, upgrade_text
from bmzoo.results.decisions import Listed, listing
from bmzoo.results.left_out import left_out
from bmzoo.sources.cache import OFFLINE
from bmzoo.system import files
from bmzoo.target import Target
from bmzoo.tasks.actions.plan import select
from bmzoo.tasks.variables import belongs_in_front
from bmzoo.workspace import Workspace

UPGRADE_USAGE = "upgrade OLD NEW [TARGET|PATTERN...] [--decide] [--quick]"
FLAGS = ("--decide", "--quick")
_VERSION = re.compile(r"\d+(\.\d+){1,3}")
_NAME = "tpu_mlir "


@dataclass(frozen=True)
class Side:
    """A version, and the zoo that it makes. `knows`: what its tools understand, where that was asked."""

    version: str
    at: Workspace
    knows: Capabilities | None = None
    source: Provenance = Provenance()


@dataclass(frozen=True)
class Asked:
    """What stands on the line. `decide`: each version derives what it needs. `quick`: nothing is evaluated."""

    versions: tuple[str, str]
    names: tuple[str, ...]
    decide: bool
    quick: bool


Open = Callable[[Workspace, str, bool], Side]


def asked_for(words: Sequence[str], decide: bool, quick: bool) -> Asked:
    """The words of the line. Raises ConfigError."""
    flags, names = {w for w in words if w.startswith("--")}, [w for w in words if not w.startswith("--")]
    if strange := sorted(flags - set(FLAGS)):
        raise ConfigError(f"no such option: {strange[0]}", UPGRADE_USAGE)
    for word in names[:2]:
        if not _VERSION.fullmatch(word):
            hint = belongs_in_front(word) or f"{UPGRADE_USAGE}, such as upgrade 1.28.1 1.30.2"
            raise ConfigError(f"not a version of TPU-MLIR: {word}", hint)
    if len(names) < 2:
        raise ConfigError(f"two versions are needed: {' '.join(names) or 'none given'}", UPGRADE_USAGE)
    if names[0] == names[1]:
        raise ConfigError(f"the same version twice: {names[0]}", UPGRADE_USAGE)
    return Asked((names[0], names[1]), tuple(names[2:]), decide or FLAGS[0] in flags, quick or FLAGS[1] in flags)


def run_upgrade(at: Workspace, words: Sequence[str], decide: bool, quick: bool) -> None:
    """Print the table, write it, and fail unless the upgrade is safe. Raises BmzooError."""
    compare_versions(at, asked_for(words, decide, quick), opened)


def compare_versions(at: Workspace, asked: Asked, open_side: Open) -> Upgrade:
    """As `run_upgrade`; `open_side` makes the zoo of a version. Raises VerifyFailed where it is not safe."""
    old, new = (open_side(at, version, asked.decide) for version in asked.versions)
    targets = chosen((old.at, new.at), asked.names)
    before, now = (_made(side, targets, not asked.quick) for side in (old, new))
    notes = tuple(_notes(at, old, new, targets, asked.decide))
    found = side_by_side(before, now, at.configs.settings.regression, at.default_model, notes)
    place = at.layout.upgrade / "-".join(asked.versions)
    files.write(upgrade_json(found), place.with_name(f"{place.name}.json"))
    files.write(upgrade_page(found), place.with_name(f"{place.name}.md"))
    sys.stdout.write(upgrade_text(found))
    sys.stdout.flush()
    if not found.safe:
        page = at.layout.shown(place.with_name(f"{place.name}.md"))
        raise VerifyFailed(found.verdict, f"see {page}; the limits are in configs/zoo.yaml, below `regression`")
    return found


def opened(at: Workspace, version: str, decide: bool) -> Side:
    """The zoo of a version: this checkout's own for the one in use, else one apart. Raises ToolFailed."""
    installed = find_installation(at.environ)
    if at.toolchain.release == f"{_NAME}{version}" and installed is not None:
        return Side(version, at, knowing(installed, at.layout, at.digests).knows)
    if not at.layout.toolchain(version).is_dir():
        _may_install(at, version)
    installation = knowing(install(at.layout, version, at.environ), at.layout, at.digests)
    tools = LocalToolchain(installation, at.digests, echo=at.options.echo)
    options = replace(at.options, scheduler=None, decided_with="" if decide else at.toolchain.release)
    environ = {name: text for name, text in at.environ.items() if name != "BMZOO_SCHEDULER"}
    apart = Workspace(at.root, environ, at.report, options, tools, version)
    apart.layout.make_build()
    return Side(version, apart, installation.knows, provenance(at.layout, version))


def _may_install(at: Workspace, version: str) -> None:
    if at.environ.get(OFFLINE, "") not in ("", "0"):
        raise ConfigError(f"TPU-MLIR {version} is not here, and ${OFFLINE} forbids to fetch it")
    place = at.layout.shown(at.layout.toolchain(version))
    at.report.say(f"installing TPU-MLIR {version} into {place}: 0.8 GB, about a minute, once")


def chosen(zoos: Sequence[Workspace], names: Sequence[str]) -> list[Target]:
    """Targets by name or pattern, of whichever zoo has them; all when none is named. Raises ConfigError."""
    found: dict[Target, None] = {}
    for name in names or [""]:
        some, error = [], None
        for at in zoos:
            try:
                some += select(at, [name] if name else [])
            except BmzooError as caught:
                error = error or caught
        if not some and error is not None:
            raise error
        found |= dict.fromkeys(some)
    absent = {model.name for at in zoos for model in left_out(at)}
    kept = [target for target in found if target.model not in absent]
    if not kept:
        raise ConfigError("nothing to compare: no config has a target whose weights are here")
    return kept


def _made(side: Side, targets: Sequence[Target], evaluated: bool) -> MadeWith:
    artifacts = attempt(side.at, targets, evaluated)
    about = side.source
    return MadeWith(
        *(side.version, artifacts, own_times(side.at, artifacts), own_contents(side.at, artifacts)),
        *(about.url, about.sha256, about.libraries),
    )


def _notes(at: Workspace, old: Side, new: Side, targets: Sequence[Target], decide: bool) -> Iterator[str]:
    """What holds for all targets: what was kept the same, what was not, what the versions do not share."""
    models = {target.model for target in targets if target.precision in CALIBRATED}
    if models and decide:
        yield "thresholds and float layers are each version's own"
    elif models:
        yield from _decided(at, [one for one in listing(new.at) if one.model in models])
    for side in (old, new):
        for library in side.source.libraries:
            yield f"{side.version} names another library than it ran with: {library}"
    if old.knows is not None and new.knows is not None:
        yield from differences(old.knows, new.knows)
    if at.options.scheduler or at.environ.get("BMZOO_SCHEDULER"):
        yield "what is not made with the version in use was made on this machine, not by the scheduler"


def _decided(at: Workspace, decisions: Sequence[Listed]) -> Iterator[str]:
    """Which decisions both versions took, and which each had to derive."""
    in_use = {
        at.weights.likely(at.models[name]).name for name in {one.model for one in decisions} & at.models.keys()
    }
    own = [one for one in decisions if one.weights in in_use]
    if any(one.sound for one in own):
        yield f"both take the committed thresholds and float layers, derived with {at.toolchain.release}"
    for one in own:
        if one.sound is False:
            yield f"{at.layout.shown(one.path)}: {one.worth}; each version derived its own"
