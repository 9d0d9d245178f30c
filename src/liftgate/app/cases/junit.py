"""Results as JUnit XML, as GitLab, Jenkins and GitHub's reporters read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from liftgate.app.cases.run import Ran
from liftgate.bundle.compiled import Bundle

_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def junit(ran: Sequence[Ran], bundle: Bundle) -> bytes:
    """Return the XML: one suite a file, one case a test case, its failures in words."""
    root = ElementTree.Element("testsuites", _counts(f"bundle {bundle.name}", ran))
    for file in dict.fromkeys(one.planned.file for one in ran):
        some = [one for one in ran if one.planned.file == file]
        suite = ElementTree.SubElement(root, "testsuite", _counts(file, some) | {"errors": "0", "skipped": "0"})
        for one in some:
            about = {
                "name": _text(one.planned.name),
                "classname": _text(f"{bundle.name}.{file.removesuffix('.yaml').replace('/', '.')}"),
                "file": file,
                "line": str(one.planned.line),
                "time": f"{one.took_s:.6f}",
            }
            case = ElementTree.SubElement(suite, "testcase", about)
            if one.problems:
                failure = ElementTree.SubElement(case, "failure", {"message": _text(one.problems[0]), "type": "expectation"})
                failure.text = _text("\n".join((one.planned.place, *one.problems)))
    ElementTree.indent(root)
    raw: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return raw + b"\n"


def _counts(name: str, ran: Sequence[Ran]) -> dict[str, str]:
    failures = sum(not one.passed for one in ran)
    return {"name": _text(name), "tests": str(len(ran)), "failures": str(failures), "time": f"{sum(one.took_s for one in ran):.6f}"}


def _text(text: str) -> str:
    return _UNFIT.sub("?", text)
