"""One stage, one name: function, metric label, span attribute, docs heading."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from liftgate.adapters.telemetry_metrics import LAYOUT, STAGES
from liftgate.pipeline import decide as table_of_contents
from liftgate.pipeline.stages import Stage

ROOT = Path(__file__).parents[2]


def test_decide_calls_one_function_a_stage_in_order() -> None:
    """`decide` names the stages in the contract's order, and calls a function of that name in each."""
    source = inspect.getsource(table_of_contents.decide)
    steps = re.findall(r"began\[(\w+)\] = perf_counter_ns\(\)\n\s+(?:while |if )?(?:await )?(\w+)\(walk\)", source)
    assert [name for name, _ in steps] == [stage.name for stage in Stage]
    assert [function for _, function in steps] == [stage.label for stage in Stage]


def test_decide_stays_a_table_of_contents() -> None:
    """`decide` is under 40 lines."""
    assert len(inspect.getsource(table_of_contents.decide).splitlines()) < 40


def test_stages_do_not_call_one_another() -> None:
    """No stage's module imports another stage's module."""
    labels = {stage.label for stage in Stage}
    # `assign` and `guard` are a few lines in decide.py, which calls them all.
    modules = {label: ROOT / "src/liftgate/pipeline" / f"{label}.py" for label in labels - {"assign", "guard"}}
    for path in modules.values():
        used = set(re.findall(r"from liftgate\.pipeline\.(\w+) import", path.read_text()))
        assert used, f"{path.name}: imports are found"
        assert not used & labels, f"{path.name} imports {used & labels}"


def test_metric_labels_are_the_stages() -> None:
    """Stage metrics have one series for each stage, under its name."""
    assert tuple(stage.label for stage in Stage) == STAGES
    for metric in LAYOUT.metrics:
        if "stage" in metric.labels:
            assert metric.values[metric.labels.index("stage")] == STAGES


def test_docs_have_a_heading_for_each_stage_in_order() -> None:
    """docs/decide.md explains every stage under a heading with its name, in order."""
    headings = re.findall(r"^#+\s+(?:\d+[.)]?\s+)?`?(\w+)`?", (ROOT / "docs/decide.md").read_text(), re.MULTILINE)
    found = [heading.lower() for heading in headings if heading.lower() in STAGES]
    assert found == list(STAGES)
