"""What `diff` does."""

import sys
from pathlib import Path

from bmzoo.errors import BmzooError, VerifyFailed
from bmzoo.release import diff_report
from bmzoo.release.diff import compare_manifests
from bmzoo.release.manifest import MAX_MANIFEST_BYTES, read_manifest
from bmzoo.sources import fetch
from bmzoo.system import files
from bmzoo.system.junit import junit_xml
from bmzoo.workspace import Workspace


def run_diff(at: Workspace, start: Path, words: list[str], allow_removed: bool) -> None:
    flag = "--allow-removed"  # doit takes options before the words only
    names = [word for word in words if word != flag]
    if len(names) != 2 or any(name.startswith("-") for name in names):
        raise BmzooError(f"diff: two manifests are needed: {' '.join(words) or 'none given'}", "diff OLD NEW")
    old, new = (read_manifest(fetch.text(name, start, MAX_MANIFEST_BYTES), name) for name in names)
    limits = at.configs.settings.regression
    found = compare_manifests(old, new, limits, at.default_model, allow_removed or flag in words)
    layout = at.layout
    files.write(diff_report.comparison_json(found, *names), layout.difference)
    files.write(junit_xml("diff", diff_report.cases(found)), layout.difference.with_suffix(".xml"))
    sys.stdout.write(diff_report.comparison_table(found))
    sys.stdout.flush()
    if found.regressions:
        count = len(found.regressions)
        raise VerifyFailed(
            f"{count} regression{'s' if count > 1 else ''} from {names[0]} to {names[1]}",
            "the thresholds are in configs/zoo.yaml, below `regression`",
        )
