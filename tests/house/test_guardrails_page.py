"""docs/guardrails.md: every section has the same form, and every example in it does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.app.cases.reading import plan
from liftgate.app.cases.run import run
from liftgate.bundle.load import load_bundle

PAGE = (Path(__file__).parents[2] / "docs/guardrails.md").read_text(encoding="utf-8")
INTRODUCTION, *PARTS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
SECTIONS = {part.splitlines()[0]: part for part in PARTS}
LABELS = ("**Denies", "**Reasons:**", "**Missing data", "**Shadow:**", "**Example:**", "**Test it:**")
"""What a section says, in this order."""


def files(text: str) -> dict[str, str]:
    """Return the YAML blocks of a part of the page that begin with their file's name."""
    blocks = re.findall(r"^```yaml\n# ([\w./-]+\.yaml)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return dict(blocks)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_has_the_form_of_all_sections(name: str) -> None:
    """Each guardrail says when it denies, its reasons, missing data, shadow, an example and how to test it, in this order."""
    places = [SECTIONS[name].find(label) for label in LABELS]
    assert -1 not in places, [label for label, at in zip(LABELS, places, strict=True) if at < 0]
    assert places == sorted(places)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_example_does_what_its_cases_say(name: str, tmp_path: Path) -> None:
    """The section's bundle loads beside the page's own, and every one of its cases passes; each section has at least two."""
    for file, text in {**files(INTRODUCTION), **files(SECTIONS[name])}.items():
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    bundle = load_bundle(tmp_path)
    planned = plan(tmp_path, bundle)
    assert planned.mistakes == []
    ran = run(planned.cases, bundle, OnnxModels.load(bundle))
    assert len(ran) >= 2, "one case that the rule denies and one that it lets pass"
    assert {f"{one.planned.place}: {problem}" for one in ran for problem in one.problems} == set()
