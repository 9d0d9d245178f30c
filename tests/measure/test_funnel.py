"""The funnel: exact counts from tables and event logs, two kinds of rate, windows, and what is refused."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.measure.funnel import Counts, biggest_drop, bottlenecks, pooled, steps_of
from liftgate.measure.funnel_answer import Options, answer_funnel
from liftgate.measure.funnel_table import Window, read_events, read_funnel
from liftgate.measure.refusal import Misused, Refused
from liftgate.measure.table import Table, open_table

DATA = Path(__file__).parents[2] / "../shared/data"
HILLSTROM, STARBUCKS = DATA / "hillstrom.csv.gz", DATA / "starbucks/transcript_partial.json.gz"
with_hillstrom = pytest.mark.skipif(not HILLSTROM.is_file(), reason=f"THE FUNNEL OF REAL CUSTOMERS DID NOT RUN: {HILLSTROM} is not there")
with_starbucks = pytest.mark.skipif(not STARBUCKS.is_file(), reason=f"THE FUNNEL OF A REAL LOG DID NOT RUN: {STARBUCKS} is not there")
STEPS = ("seen", "clicked", "bought")
CELLS = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40)


def _written(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return str(path)


def _table(folder: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    return open_table(_written(folder / "t.csv", header, rows), text=[name for name in ("unit", "arm") if name in header])


def _counts(rows: Sequence[Sequence[bool]], arm: str = "a") -> Counts:
    columns = np.array(rows, dtype=bool).reshape(-1, 3)
    did = tuple(int(each) for each in columns.sum(0))
    both = (did[0], *(int((columns[:, i] & columns[:, i - 1]).sum()) for i in (1, 2)))
    return Counts(arm, None, len(columns), did, both)


@given(CELLS, CELLS)
def test_adding_counts_equals_pooling_rows(left: list[tuple[bool, ...]], right: list[tuple[bool, ...]]) -> None:
    """The sum of two funnels is the funnel of both people together."""
    assert pooled([_counts(left), _counts(right)]) == _counts([*left, *right])


@given(CELLS)
def test_rates_and_losses_add_up(rows: list[tuple[bool, ...]]) -> None:
    """Everyone before a step went on or is lost; rates lie within their interval and are of all assigned units."""
    counts = _counts(rows)
    before = counts.n
    for step, both in zip(steps_of(counts, STEPS), counts.did_both, strict=True):
        assert step.lost + both == before
        assert step.rate == step.units / counts.n
        assert step.ci_low is not None
        assert step.ci_high is not None
        assert 0 <= step.ci_low <= step.rate + 1e-12
        assert step.rate <= step.ci_high + 1e-12 <= 1 + 1e-12
        before = step.units


def test_a_bottleneck_is_worth_what_goes_on_from_there() -> None:
    """1,000 assigned, 500 seen, 100 clicked, 50 bought: keeping a tenth of those lost gives 5, 20 and 5 more, ranked so."""
    counts = Counts("a", None, 1_000, (500, 100, 50), (500, 100, 50))
    ranked = bottlenecks(counts, STEPS, values={STEPS[-1]: 30.0})
    assert [one.step for one in ranked] == ["clicked", "seen", "bought"]
    assert [one.extra_at_end for one in ranked] == pytest.approx([20, 5, 5])
    assert [one.worth for one in ranked] == pytest.approx([600, 150, 150])
    drop = biggest_drop(steps_of(counts, STEPS))
    assert drop is not None
    assert drop.step == "clicked"
    assert bottlenecks(counts, STEPS, {"seen": 0.9})[0].step == "seen"


def test_a_step_before_the_last_can_be_worth_something() -> None:
    """200 of 1,000 bought and 20 again: keeping a tenth of those who bought once gives 18 orders, of those who did not buy 80 and 8."""
    counts = Counts("a", None, 1_000, (200, 20), (200, 20))
    by_count, by_worth = (
        bottlenecks(counts, ("bought", "again")),
        bottlenecks(counts, ("bought", "again"), None, {"bought": 10, "again": 10}),
    )
    assert [one.step for one in by_count] == ["again", "bought"]
    assert [one.step for one in by_worth] == ["bought", "again"]
    assert [one.worth for one in by_worth] == pytest.approx([880, 180])
    with pytest.raises(ValueError, match="is no step"):
        bottlenecks(counts, ("bought", "again"), None, {"nope": 1.0})


def test_several_rows_of_a_unit_are_one_unit(tmp_path: Path) -> None:
    """A unit did what any of its rows says; empty means not done and is counted; leading zeros of ids stay."""
    rows = [["007", "a", 1, 0, ""], ["007", "a", 0, 1, 0], ["7", "a", 1, "", ""], ["8", "b", 0, 0, 0]]
    read = read_funnel(_table(tmp_path, ["unit", "arm", *STEPS], rows), "unit", STEPS, "arm")
    assert read.counts == (Counts("a", None, 2, (2, 1, 0), (2, 1, 0)), Counts("b", None, 1, (0, 0, 0), (0, 0, 0)))
    assert read.empty_cells == 3


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([["1", "a", 1, 0, 0], ["1", "b", 1, 0, 0]], "unit_in_two_groups"),
        ([["1", "", 1, 0, 0], ["2", "b", 1, 0, 0]], "missing_key"),
        ([["", "a", 1, 0, 0], ["2", "b", 1, 0, 0]], "missing_key"),
        ([["1", "a", "yes?", 0, 0], ["2", "b", 1, 0, 0]], "not_a_number"),
    ],
)
def test_a_table_that_cannot_say_who_is_where_is_refused(tmp_path: Path, rows: list[list[Any]], code: str) -> None:
    """Two arms of one unit, no arm, no unit, or a step that is no number: no funnel."""
    with pytest.raises(Refused) as refused:
        read_funnel(_table(tmp_path, ["unit", "arm", *STEPS], rows), "unit", STEPS, "arm")
    assert refused.value.refusal.code == code


def test_open_windows_are_left_out_or_refused(tmp_path: Path) -> None:
    """A unit whose time is not up by the reading is not counted; asked to refuse, or with nobody left, there is no answer."""
    rows = [["1", "a", "2026-01-01", 1, 1, 0], ["2", "a", "2026-01-20", 1, 0, 0], ["3", "a", "2026-01-16", 0, 0, 0]]
    table = _table(tmp_path, ["unit", "arm", "at", *STEPS], rows)
    read = read_funnel(table, "unit", STEPS, "arm", window=Window("at", "14d", "2026-01-30"))
    assert (read.units, read.open_windows, read.counts[0].did) == (2, 1, (1, 1, 0))
    for window in (Window("at", "14d", "2026-01-30", refuse_open=True), Window("at", "14d", "2026-01-05")):
        with pytest.raises(Refused) as refused:
            read_funnel(table, "unit", STEPS, "arm", window=window)
        assert refused.value.refusal.code == "open_windows"


@pytest.mark.parametrize("window", [Window("at", "14", "2026-01-30"), Window("at", "14d", "soon"), Window("seen", "14d", "3")])
def test_a_window_in_the_wrong_unit_is_a_misuse(tmp_path: Path, window: Window) -> None:
    """A length without a unit for a date, a reading that is no time, a calendar length for a number: each is said."""
    with pytest.raises(Misused):
        read_funnel(_table(tmp_path, ["unit", "at", *STEPS], [["1", "2026-01-01", 1, 0, 0]]), "unit", STEPS, window=window)


def test_events_count_from_assignment_and_within_the_window(tmp_path: Path) -> None:
    """Events before the assigning one or after the window do not count; of two assigning events the first decides, with its arm."""
    log = [
        ["1", "a", "clicked", 1],
        ["1", "a", "sent", 2],
        ["1", "a", "seen", 2],
        ["1", "b", "sent", 5],
        ["1", "", "bought", 9],
        ["2", "b", "sent", 0],
        ["2", "", "seen", 3],
        ["2", "", "clicked", 4],
        ["2", "", "bought", 11],
        ["3", "b", "seen", 1],
        ["4", "a", "sent", 30],
    ]
    table = _table(tmp_path, ["unit", "arm", "what", "at"], log)
    read = read_events(table, "unit", "what", "at", "sent", STEPS, "arm", window=Window("at", "10", "40"))
    assert read.counts == (Counts("a", None, 2, (1, 0, 1), (1, 0, 0)), Counts("b", None, 1, (1, 1, 0), (1, 1, 0)))
    later = read_events(table, "unit", "what", "at", "sent", STEPS, "arm", window=Window("at", "10", "35"))
    assert (later.open_windows, later.counts[0]) == (1, Counts("a", None, 1, (1, 0, 1), (1, 0, 0)))


def test_a_planted_effect_is_found_and_arms_swapped_change_the_sign(tmp_path: Path) -> None:
    """More of treatment click, and nothing else is real; held the other way round, every difference has the other sign."""
    dice = np.random.default_rng(8)
    arm = np.array(["treatment", "control"])[dice.integers(0, 2, 8_000)]
    seen = dice.random(8_000) < 0.6
    clicked = seen & (dice.random(8_000) < np.where(arm == "treatment", 0.4, 0.3))
    rows = [[a, int(s), int(c), int(c and dice.random() < 0.3)] for a, s, c in zip(arm, seen, clicked, strict=True)]
    read = read_funnel(_table(tmp_path, ["arm", *STEPS], rows), "row", STEPS, "arm")
    found, mirrored = (answer_funnel(read, Options(control=name))["differences"] for name in ("control", "treatment"))
    by_step = {one["step"]: one for one in found}
    assert by_step["clicked"]["real"]
    assert not by_step["seen"]["real"]
    assert by_step["clicked"]["ci_low"] < 0.06 < by_step["clicked"]["ci_high"]
    for one, other in zip(found, mirrored, strict=True):
        assert one["estimate"] == pytest.approx(-other["estimate"])
        assert one["ci_low"] == pytest.approx(-other["ci_high"])
        assert one["p_value"] == pytest.approx(other["p_value"])


def test_segments_add_up_and_join_the_correction(tmp_path: Path) -> None:
    """Funnels of segments sum to that of their arm, and steps x segments are corrected as one family."""
    dice = np.random.default_rng(6)
    rows = [[str(i), "ab"[i % 2], "xyz"[i % 3], *dice.integers(0, 2, 3).tolist()] for i in range(600)]
    read = read_funnel(_table(tmp_path, ["unit", "arm", "zone", *STEPS], rows), "unit", STEPS, "arm", "zone")
    found = answer_funnel(read, Options(control="a"))
    whole = {one["arm"]: one for one in found["funnels"] if one["segment"] is None}
    for arm, one in whole.items():
        parts = [part for part in found["funnels"] if part["arm"] == arm and part["segment"] is not None]
        assert len(parts) == 3
        for i, step in enumerate(one["steps"]):
            assert step["units"] == sum(part["steps"][i]["units"] for part in parts)
    assert found["multiplicity"]["tests"] == len(found["differences"]) == 3 * 4
    assert all(one["p_adjusted"] >= one["p_value"] for one in found["differences"])


def test_few_events_take_newcombe_and_a_wrong_split_is_refused() -> None:
    """Below ten events the interval is Newcombe's; with planned shares that the counts do not meet, there is no answer."""
    from liftgate.measure.funnel_table import Funnel

    few = (Counts("c", None, 200, (150, 0, 0), (150, 0, 0)), Counts("t", None, 200, (160, 5, 0), (160, 5, 0)))
    read = Funnel(STEPS, few, 400, 0, 0)
    seen, clicked, bought = answer_funnel(read, Options(control="c"))["differences"]
    assert (seen["method"], clicked["method"]) == ("welch", "newcombe")
    assert clicked["ci_low"] == pytest.approx(0.00093, abs=2e-3)
    assert (bought["estimate"], bought["p_value"]) == (0, 1)
    with pytest.raises(Refused):
        answer_funnel(read, Options(control="c", share=("c=9", "t=1")))


@pytest.mark.parametrize(
    "options", [Options(), Options(control="z"), Options(control="c", recovered={"nope": 0.1}), Options(control="c", alpha=2)]
)
def test_options_that_make_no_sense_are_a_misuse(options: Options) -> None:
    """No control, an unknown one, an unknown step, an impossible alpha: each is said."""
    from liftgate.measure.funnel_table import Funnel

    counts = (Counts("c", None, 20, (5, 2, 1), (5, 2, 1)), Counts("t", None, 20, (5, 2, 1), (5, 2, 1)))
    with pytest.raises(Misused):
        answer_funnel(Funnel(STEPS, counts, 40, 0, 0), options)


@with_hillstrom
def test_real_customers_all_counted_once_each() -> None:
    """64,000 rows stay 64,000 units although 6,562 are equal to another, and the differences are the published ones."""
    read = read_funnel(open_table(str(HILLSTROM), text=["segment"]), "row", ["visit", "conversion"], "segment")
    found = answer_funnel(read, Options(control="No E-Mail"))
    assert found["units"] == 64_000
    mens = {one["step"]: one for one in found["differences"] if one["arm"] == "Mens E-Mail"}
    assert mens["visit"]["estimate"] == pytest.approx(0.0765896, abs=1e-7)
    assert mens["conversion"]["estimate"] == pytest.approx(0.0068050, abs=1e-7)


@with_starbucks
def test_a_real_log_is_counted_as_by_hand(tmp_path: Path) -> None:
    """The loyalty programme's log of events gives the counts of a few lines of plain Python, window and all."""
    with gzip.open(STARBUCKS, "rt") as file:
        events = [json.loads(line) for line in file]
    path = _written(tmp_path / "e.csv", ["person", "event", "hour"], [[one["person"], one["event"], one["time"]] for one in events])
    steps = ["offer viewed", "transaction", "offer completed"]
    read = read_events(
        open_table(path, text=["person"]), "person", "event", "hour", "offer received", steps, window=Window("hour", "12", "30")
    )
    begin: dict[str, int] = {}
    for one in events:
        if one["event"] == "offer received":
            begin[one["person"]] = min(one["time"], begin.get(one["person"], one["time"]))
    closed = {person for person, at in begin.items() if at + 12 <= 30}
    did: list[set[str]] = [
        {e["person"] for e in events if e["event"] == step and e["person"] in closed and 0 <= e["time"] - begin[e["person"]] <= 12}
        for step in steps
    ]
    (counts,) = read.counts
    assert (counts.n, read.open_windows) == (len(closed), len(begin) - len(closed))
    assert counts.did == tuple(map(len, did))
    assert counts.did_both == (len(did[0]), len(did[0] & did[1]), len(did[1] & did[2]))
