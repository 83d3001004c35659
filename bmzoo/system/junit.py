"""JUnit XML, the report format that CI systems read."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping

from bmzoo.errors import legible

SILENT = "failed without a message"


def junit_xml(suite: str, cases: Mapping[str, str | None]) -> str:
    """One test suite as XML; `cases` maps a test case to its failure text, None for one that passed."""
    failed = sum(text is not None for text in cases.values())
    name = legible(suite)
    root = ET.Element("testsuite", name=name, tests=str(len(cases)), failures=str(failed), errors="0")
    for title, text in sorted(cases.items()):
        case = ET.SubElement(root, "testcase", classname=name, name=legible(title))
        if text is not None:
            told = legible(text).strip() or SILENT
            ET.SubElement(case, "failure", message=told.splitlines()[0]).text = told
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
