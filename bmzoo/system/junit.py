"""JUnit XML, the report format that CI systems read."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping


def junit_xml(suite: str, cases: Mapping[str, str | None]) -> str:
    """One test suite as XML; `cases` maps a test case to its failure text, None for one that passed."""
    failed = sum(text is not None for text in cases.values())
    root = ET.Element("testsuite", name=suite, tests=str(len(cases)), failures=str(failed), errors="0")
    for name, text in sorted(cases.items()):
        case = ET.SubElement(root, "testcase", classname=suite, name=name)
        if text is not None:
            failure = ET.SubElement(case, "failure", message=text.splitlines()[0])
            failure.text = text
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
