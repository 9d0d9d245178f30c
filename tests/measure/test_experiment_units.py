"""Layers of sessions and visitors, phases and keys: what belongs to which unit, and which shares were planned for whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from liftgate.measure import engine
from liftgate.measure.experiment import Asked, Made, experiment_table
from liftgate.measure.experiment_arms import planned
from liftgate.measure.refusal import Refused
from liftgate.record.frame import Stream
from tests.measure.log_files import HOUR_MS, START_MS, decided, happened, write
from tests.measure.test_from_log import run

DAY_MS = 24 * HOUR_MS
LATE = START_MS + 30 * DAY_MS


def table(log: Path, asked: Asked) -> tuple[Made, list[dict[str, Any]]]:
    """Return what was made, and its rows in order of assignment."""
    target = log.parent / f"{len(list(log.parent.iterdir()))}.parquet"
    made = experiment_table(log, None, asked, target)
    return made, sorted(pq.read_table(target).to_pylist(), key=lambda row: row["assigned_at_ms"])


@pytest.mark.parametrize("unit", ["session", "visitor"])
def test_what_a_person_does_belongs_to_their_last_session_before_it(tmp_path: Path, unit: str) -> None:
    """An event is the unit's whose decision came last before it, in either arm, named or not; beyond the window it is nobody's."""
    log, layers = tmp_path / "log", ({"visits": "old"}, {"visits": "new"})
    made = []
    for i in range(3):
        session, visitor = (b"%d" % i if unit == one else b"" for one in ("session", "visitor"))
        at = START_MS + 10 * i * HOUR_MS
        made.append(decided(i, 1, "treatment", at, layers=layers[i % 2], unit=unit, session=session, visitor=visitor))
    write(log, Stream.DECISION, made)
    events = [
        happened(1, 1, "purchase", START_MS - 1, 1.0),
        happened(2, 1, "purchase", START_MS + 9 * HOUR_MS, 2.0),
        happened(3, 1, "purchase", START_MS + 10 * HOUR_MS, 4.0, decision=0),
        happened(4, 1, "purchase", START_MS + 19 * HOUR_MS, 8.0, decision=0),
        happened(5, 1, "purchase", START_MS + 43 * HOUR_MS, 16.0),
        happened(6, 1, "purchase", START_MS + 44 * HOUR_MS, 32.0),
        happened(7, 2, "purchase", START_MS + 11 * HOUR_MS, 64.0),
    ]
    write(log, Stream.EVENT, events, writer=2)
    found, rows = table(log, Asked(layer="visits", window_ms=DAY_MS, before_ms=DAY_MS, read_at_ms=LATE))
    assert (found.unit, found.units) == (unit, 3)
    assert [(row["arm"], row["purchase_value"]) for row in rows] == [("old", 2.0), ("new", 12.0), ("old", 16.0)]
    assert [row["purchase_value_before"] for row in rows] == [1.0, 3.0, 15.0]


def test_sessions_without_an_effect_show_none_and_with_one_do(tmp_path: Path) -> None:
    """People with several sessions each: what a session's arm adds to buying in it is found, and 0 is held where it adds nothing."""
    dice = np.random.default_rng(5)
    for effect in (0.0, 0.2):
        log = tmp_path / f"log{effect}"
        decisions, events = [], []
        for number in range(3_000):
            person, new = number // 4, bool(dice.random() < 0.5)
            at, arm = START_MS + (number % 4) * DAY_MS + person, "new" if new else "old"
            decisions.append(
                decided(number, person, "treatment", at, layers={"visits": arm}, unit="session", session=b"s%d" % number,
                        shares={"new": 0.5, "old": 0.5})
            )  # fmt: skip
            if dice.random() < 0.2 + effect * new:
                events.append(happened(number, person, "purchase", at + HOUR_MS, 9.0, decision=number if new else None))
        write(log, Stream.DECISION, decisions)
        write(log, Stream.EVENT, events, writer=2)
        code, found = run("lift", "--log", str(log), "--layer", "visits", "--control", "old", "--window", "1d", "--read-at", "2026-02-01")
        assert (code, found["log"]["unit"]) == (0, "session")
        assert found["ci_low"] < effect < found["ci_high"]
        assert (found["ci_low"] > 0) == (effect > 0)


def test_a_record_that_names_no_session_is_no_unit(tmp_path: Path) -> None:
    """Records older than session pseudonyms, and a layer whose unit changed, are refused with what to do."""
    log = tmp_path / "log"
    write(log, Stream.DECISION, [decided(1, 1, "treatment", START_MS, layers={"visits": "a"}, unit="session")])
    with pytest.raises(Refused, match="1 of its decisions do not say which session"):
        table(log, Asked(layer="visits"))
    units = ("person", "account")
    write(
        log, Stream.DECISION, [decided(2 + i, i, "treatment", START_MS, layers={"x": "a"}, unit=u) for i, u in enumerate(units)], writer=3
    )
    code, found = run("lift", "--log", str(log), "--layer", "x", "--control", "a")
    assert (code, found["refusal"]["code"]) == (3, "unit_without_events")


def test_people_of_one_key_and_one_phase_can_be_measured(tmp_path: Path) -> None:
    """Two keys, or an arm that moved, refuse the whole log; who came with the second alone is answered."""
    log = tmp_path / "log"
    arms = ("holdout", "treatment")
    write(log, Stream.DECISION, [decided(i, i, arms[i % 2], START_MS + i, key="k1") for i in range(4)])
    write(log, Stream.DECISION, [decided(4, 0, "treatment", START_MS + 10 * HOUR_MS)], writer=2)
    write(log, Stream.DECISION, [decided(9 + i, 9 + i, arms[i % 2], START_MS + DAY_MS + i, key="k2") for i in range(4)], writer=3)
    with pytest.raises(Refused, match="1 people were in two arms"):
        table(log, Asked(window_ms=1, read_at_ms=LATE))
    with pytest.raises(Refused, match="pseudonyms of 2 keys"):
        table(log, Asked(window_ms=1, read_at_ms=LATE, since_ms=START_MS + 1))
    assert table(log, Asked(window_ms=1, read_at_ms=LATE, since_ms=START_MS + DAY_MS))[0].units == 4
    assert run("lift", "--log", str(log), "--since", "2026-01-01T00:00:00.001Z")[1]["refusal"]["code"] == "mixed_keys"


def test_a_changed_allocation_is_held_against_what_was_planned_when(tmp_path: Path) -> None:
    """Half and half under one bundle, one in ten under the next: together as many as both planned, and each bundle against its own."""
    log = tmp_path / "log"
    decisions = []
    for i in range(2_000):
        late = i >= 1_000
        shares = {"old": 0.1, "new": 0.9} if late else {"old": 0.5, "new": 0.5}
        arm = "old" if i % (10 if late else 2) == 0 else "new"
        decisions.append(decided(i, i, "treatment", START_MS + i, layers={"hero": arm}, shares=shares, version="b" if late else "a"))
    write(log, Stream.DECISION, decisions)
    write(log, Stream.EVENT, [happened(i, i, "purchase", START_MS + HOUR_MS, 1.0) for i in range(0, 2_000, 7)], writer=2)
    made, _ = table(log, Asked(layer="hero", read_at_ms=LATE))
    assert made.shares == ("new=0.7", "old=0.3")
    asked = ("--log", str(log), "--layer", "hero")
    assert run("srm", *asked)[0] == 0
    code, found = run("srm", *asked, "--stratum", "version")
    assert (code, sorted(one["shares"]["old"] for one in found["strata"].values())) == (0, [0.1, 0.5])
    lift = ("lift", *asked, "--control", "old", "--read-at", "2026-02-01")
    assert run(*lift)[1]["refusal"]["code"] == "mixed_versions"
    code, found = run(*lift, "--stratum", "version")
    assert (code, found["split"]["checked_against"], len(found["split"]["by_stratum"])) == (0, "given", 2)


def test_shares_that_say_nothing_of_who_came_are_not_used() -> None:
    """A layer that grew, a share that is missing, or two for one arm under one bundle: the log does not say what was planned."""
    both = [{"version": v, "group": g, "share": s} for v, g, s in (("a", "x", 0.5), ("a", "y", 0.5), ("b", "x", 0.2), ("b", "y", 0.8))]
    assert planned(both) == {"a": {"x": 0.5, "y": 0.5}, "b": {"x": 0.2, "y": 0.8}}
    assert planned([*both[:2], both[2]]) == {}
    assert planned([*both[:3], both[3] | {"share": None}]) == {}
    assert planned([*both, both[3] | {"share": 0.7}]) == {}


def test_a_large_log_is_read_in_parts_that_are_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into parts of a few units each, the table is the same row for row: people, sessions, what came before, the same counts."""
    log, arms = tmp_path / "log", ("holdout", "treatment")
    decisions = []
    for i in range(300):
        layers, at = {"visits": "ab"[i % 2]}, START_MS + i * HOUR_MS
        decisions.append(decided(i, i % 90, arms[i % 90 % 3 > 0], at, layers=layers, unit="session", session=b"s%d" % i))
    write(log, Stream.DECISION, decisions)
    events = [happened(i, i % 97, "purchase", START_MS + i * 3 * HOUR_MS, float(i)) for i in range(200)]
    write(log, Stream.EVENT, events, writer=2)
    for layer in ("", "visits"):
        asked = Asked(layer=layer, window_ms=2 * DAY_MS, before_ms=DAY_MS, read_at_ms=LATE)
        whole = table(log, asked)
        assert engine.DuckDb().parts(300_000) == 1
        monkeypatch.setattr(engine.DuckDb, "parts", lambda self, held_bytes: 6)
        cut = table(log, asked)
        monkeypatch.undo()
        assert cut[1] == whole[1]
        assert replace(cut[0], path=tmp_path) == replace(whole[0], path=tmp_path)
        assert sum(row["purchase_value"] for row in whole[1]) > 0
