"""Calibration tables as committed."""

import hashlib

from bmzoo.store.local import Entry


def table_text(entry: Entry, name: str = "calibration.table") -> str:
    """A table as committed: two lines that tie it to its inputs and its content, then the table."""
    content = entry.path(name).read_text(encoding="utf-8")
    return f"# fingerprint: {entry.fingerprint}\n# content: {_sha256(content)}\n{content}"


def table_content(text: str, fingerprint: str) -> str | None:
    """The table inside a committed one, if it was made from these inputs and not edited since."""
    first, _, rest = text.partition("\n")
    second, _, content = rest.partition("\n")
    same = first == f"# fingerprint: {fingerprint}" and second == f"# content: {_sha256(content)}"
    return content if same else None


def is_our_table(text: str) -> bool:
    """Whether a committed table is one that `table_text` wrote, and not edited since."""
    first = text.partition("\n")[0]
    return table_content(text, first.removeprefix("# fingerprint: ")) is not None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
