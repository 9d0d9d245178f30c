"""The docs and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from liftgate.adapters.telemetry_metrics import LOSSES, METRICS
from liftgate.app.configuration import markdown
from liftgate.app.exit_code import ExitCode
from liftgate.domain.reason import Reason

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
COMPUTED = {"liftgate_holdout_share", "liftgate_bundle_info"}


def targets() -> set[str]:
    """Return the Makefile's targets."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_the_configuration_page_is_current() -> None:
    """docs/configuration.md is what the settings generate; `make docs` mends it."""
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == markdown()


def test_operations_lists_every_metric_and_no_other() -> None:
    """The table in docs/operations.md and the metrics that exist are the same list, labels included."""
    rows = dict(re.findall(r"^\| `(liftgate_\w+)` \|([^|]*)\|", OPERATIONS, re.MULTILINE))
    wanted = {metric.name + ("_total" if metric.kind == "counter" else ""): ", ".join(metric.labels) for metric in METRICS}
    assert {name: labels.strip() for name, labels in rows.items() if name not in COMPUTED} == wanted
    assert set(rows) >= COMPUTED


def test_operations_names_only_metrics_that_exist() -> None:
    """A metric that the text mentions is one of the list, with a stage, code or reason that it can have."""
    known = {metric.name for metric in METRICS} | COMPUTED
    mentions = re.findall(r"`(liftgate_\w+?)(?:_total)?(?:\{(\w+)=\"(\w+)\"\})?`", OPERATIONS)
    assert any(label for _, label, _ in mentions)
    for name, label, value in mentions:
        if "__" in name or name.endswith("_us"):
            continue
        assert name in known, name
        if label:
            metric = next(metric for metric in METRICS if metric.name == name)
            assert value in metric.values[metric.labels.index(label)], (name, value)


def test_operations_explains_every_exit_code_and_outage() -> None:
    """Each exit code has a row; each reason that stands for something being down is in the table of outages."""
    codes = re.findall(r"^\| (\d) \|", OPERATIONS, re.MULTILINE)
    assert [int(code) for code in codes] == [int(code) for code in ExitCode]
    for reason in Reason:
        if (reason.name.endswith("_UNAVAILABLE") and reason >= Reason.OFFERED) or reason is Reason.STAGE_FAILED:
            assert re.search(rf"\| {reason.name} \|", OPERATIONS), reason.name


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    """`make X` in the README and in CONTRIBUTING is a target."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^\$ |^)make ([a-z][a-z-]*)", text, re.MULTILINE))
    assert named <= targets()


def test_the_readme_shows_the_two_commands() -> None:
    """The README names `make demo` and `make test`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text


def test_make_help_lists_every_target() -> None:
    """Each target has a line of help, but for `help`-less internals."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert targets() - explained == {"hillstrom-if-there", "loyalty-if-there"}
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split())  # type: ignore[union-attr]
    assert phony == targets()


def test_causes_of_loss_are_those_of_the_log() -> None:
    """Every cause that the log counts has a series of its own."""
    sink = (ROOT / "src/liftgate/adapters/segment_sink.py").read_text(encoding="utf-8")
    counted = set(re.findall(r'self\._lost\["(\w+)"\]', sink)) | {"disk_full", "write_error", "failed", "closed"}
    assert counted <= set(LOSSES)
