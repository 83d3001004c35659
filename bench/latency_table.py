"""`bmzoo/measure/fitted.py` as written from what was fitted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = '''"""Constants of chips for estimates of time, as `bench/latency.py --write` found them: do not edit.

From {figures} published figures of {networks} networks (bmrt_test, in sophon-demo's tables), fitted on {date}.
The comments say how far estimates were from the figures of networks that were left out of the fit.
"""

from collections.abc import Mapping

from bmzoo.measure.chip_constants import Constants

COMPILER = "{compiler}"
'''


def module_text(kept: Mapping[str, Any]) -> str:
    """The whole module; `kept`: as in latency.json."""
    networks = {name.partition(".")[0] for name in kept["figures"]}
    told = {"figures": len(kept["figures"]), "networks": len(networks)}
    head = HEAD.format(date=kept["date"], compiler=kept["compiler"], **told)
    known = {chip: found for chip, found in kept["chips"].items() if found["constants"]}
    rows = "".join(_row(chip, found) for chip, found in known.items())
    refused = "".join(_refusal(chip, found) for chip, found in kept["chips"].items() if chip not in known)
    return (
        f"{head}CONSTANTS: Mapping[str, Constants] = {{\n{rows}}}\n"
        f"# Chips with figures for which nothing good enough was found, and why.\n"
        f"REFUSED: Mapping[str, str] = {{\n{refused}}}\n"
    )


def _refusal(chip: str, found: Mapping[str, Any]) -> str:
    left = found["left_out"]
    why = f"the compiler writes no profile for {chip}; by its cost alone half of the estimates"
    more = f"would be off by {left['median_error']:.0%} or more ({left['figures']} published figures)"
    return f'    "{chip}": (\n        "{why} "\n        "{more}"\n    ),\n'


def _row(chip: str, found: Mapping[str, Any]) -> str:
    left = found["left_out"]
    values = "".join(f"        {name}={value},\n" for name, value in found["constants"].items())
    return (
        f"    # {left['figures']} figures of {left['networks']} networks: median error {left['median_error']:.1%}, "
        f"{left['within_25_percent']:.0%} within 25%, largest {left['largest_error']:.0%}\n"
        f'    "{chip}": Constants(\n{values}    ),\n'
    )
