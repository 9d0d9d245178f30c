"""What the bench says of a goal is what was measured, and nothing is quoted that proves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from . import contenders as c
from .goals import Findings, goals
from .paste import newest, put
from .report import goal_rows
from .rounds import Measured
from .scheduled import percentile_rows, quotable
from .soak_report import found_pauses, slope_mb


def _measured(contender: c.Contender, *cpu_us: float) -> dict[str, Measured]:
    return {contender.name: Measured(contender, [{"cpu_us": {"server": one}, "per_s": 1e6 / one} for one in cpu_us])}


def _level(late_ms: float, failed: dict[str, int] | None = None) -> dict[str, Any]:
    ms = {"p50": 2.0, "p90": 3.0, "p99": 7.0, "p99.9": 15.0, "max": 20.0}
    late = {"lateness_ms": {"p50": 0.01, "p99": late_ms}, "failed": failed or {}}
    return {"share": 0.5, "latency_ms": ms, "samples": 10, "per_s": 1.0, "degraded_share": 0.0, "others_cores": 0.0, **late}


def _verdicts(findings: Findings) -> dict[str, str]:
    return {goal.what: goal.verdict for goal in goals(findings)}


def test_a_ratio_is_taken_within_a_round() -> None:
    """A machine that is half as fast in the second round moves both sides of a ratio, and the ratio not at all."""
    found = _measured(c.E_UVLOOP, 200.0, 400.0, 200.0) | _measured(c.NATIVE, 80.0, 160.0, 80.0)
    goal = next(one for one in goals(Findings(found)) if "native, 20 offers, the usual guardrails / E" in one.what)
    assert (goal.measured, goal.low, goal.high, goal.verdict) == (0.4, 0.4, 0.4, "met")


def test_every_goal_has_a_row_whatever_was_measured() -> None:
    """An empty run lists all goals, none of them met."""
    rows = goal_rows(goals(Findings())).rows
    assert len(rows) == 17  # 13 of the design, p99.9, the usual guardrails alone, decisions with 256 in flight, and the generator
    assert all(row[-1].startswith("not measured") for row in rows)


@pytest.mark.parametrize(("late_ms", "failed", "proved"), [(0.1, {}, True), (0.3, {}, False), (0.1, {"reset": 1}, False)])
def test_percentiles_of_a_late_generator_prove_nothing(late_ms: float, failed: dict[str, int], proved: bool) -> None:
    """They are neither shown nor judged; nor are those of a run in which requests failed."""
    level = _level(late_ms, failed)
    assert (quotable(level) == "") is proved
    said = next(verdict for what, verdict in _verdicts(Findings(levels=[level])).items() if what.endswith("p99 / p50"))
    assert said == "met" if proved else said.startswith("not proved")
    assert ("7.00" in percentile_rows([level]).rows[0]) is proved


def test_a_pause_is_the_machines_only_where_it_stood_still() -> None:
    """Of two stretches above 20 ms the one beside a canary that was held up is the machine's; the reload beside the other is named."""
    worst = [1.0, 30.0, 40.0, 1.0, 1.0, 1.0, 25.0, 1.0]
    part = {
        "load": {"worst_by_window_ms": worst, "began_ms": 1000.0},
        "window_ms": 100.0,
        "doings": [("reload", 1600.0, 1650.0)],
        "machine_late": [(1200.0, 35.0), (1610.0, 3.0)],
    }
    assert [(one["ms"], one["during"], one["machine_ms"]) for one in found_pauses(part)] == [(40.0, [], 35.0), (25.0, ["reload"], 0.0)]


def test_memory_that_grows_is_seen_to_grow() -> None:
    """One byte a decision is one MB over 10^6 decisions."""
    load = {"rate": 1000.0}
    flat = {"load": load, "memory": [(second * 1e3, 100.0) for second in range(100)]}
    growing = {"load": load, "memory": [(second * 1e3, 100.0 + second * 1e3 / 1e6) for second in range(100)]}
    assert slope_mb(flat) == pytest.approx(0.0, abs=1e-6)
    assert slope_mb(growing) == pytest.approx(1.0, rel=0.01)


def test_results_are_pasted_between_their_marks() -> None:
    """Only what stands between the marks changes, and a page without a place is refused."""
    page = "a\n<!-- bench: x -->\nold\n<!-- end of bench -->\nb\n"
    assert "new" in put(page, "bench", "new")
    assert "old" not in put(page, "bench", "new")
    assert put(put(page, "bench", "new"), "bench", "new") == put(page, "bench", "new")
    with pytest.raises(ValueError, match="soak"):
        put(page, "soak", "new")


def test_a_run_of_some_parts_takes_no_goal_off_the_page(tmp_path: Path) -> None:
    """The newest whole run is pasted, also where a run of one part is newer."""
    for name, flags in (("20260101-1", ""), ("20260102-1", " --quick"), ("20260103-1", " --quick --only idle")):
        (tmp_path / f"{name}.md").write_text(f"`python -m tests.bench{flags}`, 2026, commit abc.\n\ngoals\n")
    assert newest(tmp_path) == {"bench": tmp_path / "20260102-1.md"}
