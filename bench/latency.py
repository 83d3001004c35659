"""What published figures say of the compiler's profiles: constants of chips, and how good estimates are.

    python bench/latency.py [--figures ../shared/reference/published_latency.csv --cache FOLDER [--networks a,b]
                             [--cached]] [--write]

Without `--figures` it fits what `bench/latency.json` keeps of profiles and figures, and prints what becomes of each
figure when its network is left out. With it, the published networks are written as ONNX graphs with random weights
(`architectures/`) and compiled: hours for all of them, but nothing twice while the folder `--cache` stays, and
nothing at all with `--cached`, which takes the figures of what was compiled so far. What was found is put into
`bench/latency.json` and `bmzoo/measure/fitted.py` by `--write`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from latency_figures import Figure, published  # noqa: E402
from latency_fit import Sample, chip_fit  # noqa: E402
from latency_table import module_text  # noqa: E402

from bmzoo.chips import CHIPS  # noqa: E402
from bmzoo.errors import ToolFailed  # noqa: E402
from bmzoo.target import Target, parse  # noqa: E402

KEPT = ROOT / "bench" / "latency.json"
TABLE = ROOT / "bmzoo" / "measure" / "fitted.py"
# A chip whose profiles are those of another, with one core.
SAME_PROFILE = {"cv186x": "bm1688"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--networks", type=lambda text: tuple(text.split(",")), default=())
    parser.add_argument("--cached", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    if options.figures:
        if not options.cache:
            parser.error("--figures needs --cache: a folder to keep profiles in")
        found = measured(options.figures, options.cache, options.networks, options.cached)
        kept = joined(kept if options.networks else {}, found)
    kept["chips"] = fitted(kept)
    for chip, found in kept["chips"].items():
        print(table(chip, found))
    if options.write:
        KEPT.write_text(kept_text(kept), encoding="utf-8")
        TABLE.write_text(module_text(kept), encoding="utf-8")
    return 0


def kept_text(kept: Mapping[str, Any]) -> str:
    """As JSON, lists of numbers on one line."""
    text = json.dumps(kept, indent=1)
    return re.sub(r"\[[^\[\]{}]*\]", lambda told: " ".join(told[0].split()), text) + "\n"


def joined(before: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """What is measured now, and of before what is of other networks."""
    return {**found, **{key: {**before.get(key, {}), **found[key]} for key in ("figures", "profiles")}}


def measured(figures: Path, cache: Path, networks: Sequence[str], cached: bool) -> dict[str, Any]:
    """Profiles of what the figures are of, compiled as far as the cache has none, and the figures.

    `cached`: those that the cache has none of are left out instead.
    """
    from latency_profiles import kept_profile, profile_of  # imports onnx, which fitting does without

    from bmzoo.execute.toolchain import find_installation, opened
    from bmzoo.system.hashing import Digests

    tools = opened(find_installation(os.environ), Digests(cache / "digests.json"), echo=False)
    profiles: dict[str, Any] = {}
    known: dict[str, float] = {}
    for figure in published(figures.read_text(encoding="utf-8").splitlines()):
        if networks and figure.target.model not in networks:
            continue
        target = _compiled(figure)
        if cached and not kept_profile(target, cache).is_file():
            continue
        try:
            profiles[f"{target.model}.{target}"] = profile_of(target, tools, cache)
        except ToolFailed as error:
            print(f"{figure.name}: left out: {error.message}", file=sys.stderr)
            continue
        known[figure.name] = figure.ms
    return {"date": date.today().isoformat(), "compiler": tools.release, "figures": known, "profiles": profiles}


def _compiled(figure: Figure) -> Target:
    chip = figure.target.chip
    return replace(figure.target, chip=SAME_PROFILE.get(chip, chip))


def samples(kept: Mapping[str, Any], chip: str) -> list[Sample]:
    """The figures of a chip with their profiles."""
    found = []
    for name, ms in sorted(kept["figures"].items()):
        target = parse(name, "")
        if target.chip == chip:
            compiled = _compiled(Figure(target, ms))
            told = kept["profiles"][f"{compiled.model}.{compiled}"]
            found.append(Sample(target, ms, told["profile"], told["facts"]))
    return found


def fitted(kept: Mapping[str, Any]) -> dict[str, Any]:
    """What is found for each chip, as it is kept."""
    chips = (chip for chip in CHIPS if any(parse(name, "").chip == chip for name in kept["figures"]))
    return {chip: chip_fit(samples(kept, chip)) for chip in chips}


def table(chip: str, found: Mapping[str, Any]) -> str:
    """Constants, how good they are, and every figure."""
    lines = [
        f"{chip}: {found['constants'] or 'no profiles; by cost:'}",
        f"  networks left out: {found['left_out']}",
    ]
    for name, row in found["residuals"].items():
        share = row["left_out"] / row["published"] - 1
        lines.append(
            f"  {name:44} published {row['published']:9.2f}  left out {row['left_out']:9.2f} {share:+7.1%}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
