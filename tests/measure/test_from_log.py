"""A log as a table: one row a person, one rule for both arms, and no answer from a log that is not whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from liftgate.app.cli.measure import app
from liftgate.measure.experiment import Asked, experiment_table
from liftgate.measure.quality import measure_quality
from liftgate.measure.refusal import Misused, Refused
from liftgate.record.frame import Stream
from tests.measure.log_files import HOUR_MS, START_MS, decided, happened, write

DAY_MS = 24 * HOUR_MS
WINDOW = Asked(window_ms=7 * DAY_MS, read_at_ms=START_MS + 30 * DAY_MS)


def rows(log: Path, asked: Asked = WINDOW, events: Path | None = None) -> list[dict[str, Any]]:
    """The table's rows, in order of assignment."""
    target = log.parent / f"{len(list(log.parent.iterdir()))}.parquet"
    experiment_table(log, events, asked, target)
    found: list[dict[str, Any]] = pq.read_table(target).to_pylist()
    return sorted(found, key=lambda row: row["assigned_at_ms"])


def run(*words: str) -> tuple[int, dict[str, Any]]:
    """A command's exit code and JSON."""
    result = CliRunner().invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout.startswith("{") else {"said": result.output}


def two_arms(log: Path, *, lost: range = range(0), seal: bool = True) -> None:
    """100 people, every fifth held out; treated people with an even number buy for 10, held-out ones with one that ten divides."""
    decisions = [decided(i, i, "holdout" if i % 5 == 0 else "treatment", START_MS + i) for i in range(100)]
    bought = [i for i in range(100) if (i % 10 == 0 if i % 5 == 0 else i % 2 == 0)]
    if lost:
        write(log, Stream.DECISION, decisions[: lost.start], seal=seal)
        write(log, Stream.DECISION, decisions[lost.stop :], first=lost.stop, seal=seal)
    else:
        write(log, Stream.DECISION, decisions, seal=seal)
    write(log, Stream.EVENT, [happened(i, i, "purchase", START_MS + DAY_MS, 10.0) for i in bought], writer=2, seal=seal)


@pytest.mark.parametrize("seal", [True, False])
def test_a_person_is_one_row_with_what_happened_in_the_window(tmp_path: Path, seal: bool) -> None:
    """Two decisions make one row, assigned at the first; events count from then to the window's end, that end left out."""
    log = tmp_path / "log"
    write(log, Stream.DECISION, [decided(1, 1, "treatment", START_MS), decided(2, 1, "treatment", START_MS + DAY_MS)], seal=seal)
    events = [
        happened(1, 1, "purchase", START_MS - 1, 1.0),
        happened(2, 1, "purchase", START_MS, 2.0),
        happened(3, 1, "purchase", START_MS + 7 * DAY_MS - 1, 4.0),
        happened(4, 1, "purchase", START_MS + 7 * DAY_MS, 8.0),
        happened(5, 1, "exposure", START_MS + 5),
    ]
    write(log, Stream.EVENT, events, writer=2, seal=seal)
    (row,) = rows(log)
    assert (row["arm"], row["decisions"], row["assigned_at_ms"]) == ("treatment", 2, START_MS)
    assert (row["purchase"], row["purchase_count"], row["purchase_value"], row["exposed"]) == (1, 2.0, 6.0, 1)


def test_what_came_before_is_a_covariate(tmp_path: Path) -> None:
    """With a time before assignment, events in it are counted apart, and those in the window are not."""
    log = tmp_path / "log"
    write(log, Stream.DECISION, [decided(1, 1, "treatment", START_MS)])
    events = [happened(i, 1, "purchase", START_MS + at, 3.0) for i, at in enumerate((-2 * DAY_MS, -2 * DAY_MS - 1, -1, 0))]
    write(log, Stream.EVENT, events, writer=2)
    (row,) = rows(log, Asked(window_ms=DAY_MS, before_ms=2 * DAY_MS, read_at_ms=START_MS + 30 * DAY_MS))
    assert (row["purchase_count_before"], row["purchase_value_before"], row["purchase_count"]) == (2.0, 6.0, 1.0)


def test_open_windows_are_left_out_in_every_arm_alike(tmp_path: Path) -> None:
    """Who has had less than the window until the log was read is out, treated or held out, whatever they did."""
    log = tmp_path / "log"
    decisions = [
        decided(i, i, arm, at)
        for i, (arm, at) in enumerate((a, t) for a in ("holdout", "treatment") for t in (START_MS, START_MS + DAY_MS))
    ]
    write(log, Stream.DECISION, decisions)
    write(log, Stream.EVENT, [happened(i, i, "purchase", START_MS + DAY_MS, 1.0) for i in range(4)], writer=2)
    found = rows(log, Asked(window_ms=7 * DAY_MS, read_at_ms=START_MS + 7 * DAY_MS))
    assert [(row["arm"], row["assigned_at_ms"]) for row in sorted(found, key=lambda row: row["arm"])] == [
        ("holdout", START_MS),
        ("treatment", START_MS),
    ]


def test_an_estimate_does_not_depend_on_when_the_log_is_read(tmp_path: Path) -> None:
    """Once windows have closed, reading later changes nothing: later events of the same people are not theirs."""
    log = tmp_path / "log"
    two_arms(log)
    late = [happened(1000 + i, i, "purchase", START_MS + 20 * DAY_MS, 99.0) for i in range(100)]
    write(log, Stream.EVENT, late, writer=3)
    early, later = (rows(log, Asked(window_ms=7 * DAY_MS, read_at_ms=START_MS + days * DAY_MS)) for days in (8, 25))
    assert early == later


def test_a_repeated_event_counts_once(tmp_path: Path) -> None:
    """A client sent an event again, and another worker completed a decision: the table is the same."""
    log = tmp_path / "log"
    write(log, Stream.DECISION, [decided(1, 1, "treatment", START_MS)])
    write(log, Stream.DECISION, [decided(1, 1, "treatment", START_MS)], writer=4)
    write(log, Stream.EVENT, [happened(1, 1, "purchase", START_MS, 2.0)], writer=2)
    write(log, Stream.EVENT, [happened(1, 1, "purchase", START_MS, 2.0)], writer=3)
    target = tmp_path / "t.parquet"
    made = experiment_table(log, None, WINDOW, target)
    (row,) = pq.read_table(target).to_pylist()
    assert (row["purchase_count"], row["purchase_value"], made.repeated_events) == (1.0, 2.0, 1)
    quality = measure_quality(log, None)
    assert (quality["decisions"], quality["repeated_decisions"], quality["repeated_events"]) == (1, 1, 1)


def test_the_trigger_is_what_would_have_been_shown_in_both_arms(tmp_path: Path) -> None:
    """Triggered people had an offer chosen, or one of those that are named; held-out ones by what they would have been shown."""
    log = tmp_path / "log"
    shown = (("a",), (), ("b",), ("a", "b"))
    cases = [(arm, offers) for arm in ("holdout", "treatment") for offers in shown]
    write(log, Stream.DECISION, [decided(i, i, arm, START_MS + i, shown=offers) for i, (arm, offers) in enumerate(cases)])
    assert [row["triggered"] for row in rows(log)] == [1, 0, 1, 1] * 2
    asked = Asked(window_ms=1, read_at_ms=START_MS + DAY_MS, offers=("a",))
    assert [row["triggered"] for row in rows(log, asked)] == [1, 0, 0, 1] * 2


def test_a_layer_has_arms_of_its_own(tmp_path: Path) -> None:
    """With a layer, its arms stand in the table, and who is not in it does not; a layer that is not there is named."""
    log = tmp_path / "log"
    layers: list[dict[str, str]] = [{"hero": "control", "other": "x"}, {"hero": "softmax"}, {"other": "y"}]
    write(log, Stream.DECISION, [decided(i, i, "treatment", START_MS + i, layers=one) for i, one in enumerate(layers)])
    assert [row["arm"] for row in rows(log, Asked(layer="hero", read_at_ms=START_MS + 30 * DAY_MS))] == ["control", "softmax"]
    with pytest.raises(Misused, match="hero, other"):
        rows(log, Asked(layer="zero"))


def test_planned_shares_come_from_the_log(tmp_path: Path) -> None:
    """A layer's shares stand with each assignment: a split of 3 to 1 that was planned passes, one that was not is refused."""
    asked = ("--layer", "hero", "--control", "control", "--read-at", "2026-02-01")
    for planned, code in ((0.75, 0), (0.6, 3)):
        log = tmp_path / str(planned)
        shares = {"control": 1 - planned, "softmax": planned}
        decisions = [
            decided(i, i, "treatment", START_MS + i, layers={"hero": "control" if i % 4 == 0 else "softmax"}, shares=shares)
            for i in range(800)
        ]
        write(log, Stream.DECISION, decisions)
        write(log, Stream.EVENT, [happened(i, i, "purchase", START_MS + DAY_MS, 1.0) for i in range(0, 800, 7)], writer=2)
        assert run("lift", "--log", str(log), *asked)[0] == code
        assert run("srm", "--log", str(log), "--layer", "hero")[0] == code


def test_people_held_out_of_everything_are_in_no_experiment(tmp_path: Path) -> None:
    """They leave an experiment's arms and a programme's holdout alike; in the layer that holds them out they are what is compared."""
    log = tmp_path / "log"
    layers = [(u, p) for u in ("holdout", "treatment") for p in ("holdout", "treatment")]
    made = [decided(i, i, u, START_MS + i, layers={"universal": u, "ships": p}) for i, (u, p) in enumerate(layers)]
    write(log, Stream.DECISION, made)
    wanted = Asked(window_ms=1, read_at_ms=START_MS + DAY_MS, layer="ships")
    assert [row["arm"] for row in rows(log, wanted)] == ["holdout", "treatment"]
    wanted = Asked(window_ms=1, read_at_ms=START_MS + DAY_MS, layer="universal")
    assert [row["arm"] for row in rows(log, wanted)] == ["holdout", "holdout", "treatment", "treatment"]


def test_an_account_is_one_row_where_accounts_are_randomised(tmp_path: Path) -> None:
    """Two people of an account are one unit with what both did."""
    log = tmp_path / "log"
    made = [decided(i, i, "treatment", START_MS + i, layers={"house": "a"}, unit="account", account=b"home") for i in range(2)]
    write(log, Stream.DECISION, made)
    write(log, Stream.EVENT, [happened(i, i, "purchase", START_MS + HOUR_MS, 3.0, account=b"home") for i in range(2)], writer=2)
    (row,) = rows(log, Asked(window_ms=DAY_MS, read_at_ms=START_MS + 2 * DAY_MS, layer="house"))
    assert (row["decisions"], row["purchase_value"]) == (2, 6.0)


def test_nobody_is_in_two_arms(tmp_path: Path) -> None:
    """A person whose arm changed makes the reading stop."""
    log = tmp_path / "log"
    write(log, Stream.DECISION, [decided(i, 1, arm, START_MS + i) for i, arm in enumerate(("treatment", "holdout"))])
    with pytest.raises(Refused, match="two arms"):
        rows(log)


def test_a_log_with_a_gap_is_refused(tmp_path: Path) -> None:
    """One missing record is named with its number, and lift refuses; said to go on, it goes on. The whole log is answered."""
    whole, holey = tmp_path / "whole", tmp_path / "holey"
    two_arms(whole)
    two_arms(holey, lost=range(41, 42))
    asked = ("--window", "7d", "--read-at", "2026-02-01", "--share", "treatment=4", "--share", "holdout=1", "--metric", "purchase_value")
    code, answer = run("lift", "--log", str(whole), *asked)
    assert (code, answer["estimate"]) == (0, pytest.approx(5.0 - 5.0))
    code, answer = run("lift", "--log", str(holey), *asked)
    assert (code, answer["refusal"]["code"]) == (3, "log_gaps")
    assert "numbers 41 to 41" in answer["refusal"]["why"]
    assert run("lift", "--log", str(holey), *asked, "--allow-gaps")[0] == 0
    code, answer = run("quality", "--log", str(holey))
    assert (code, answer["lost_records"], answer["gaps"]) == (
        3, 1, [{"stream": "decision", "writer_id": "01" * 16, "first": 41, "last": 41}],
    )  # fmt: skip


def test_a_loss_in_one_arm_alone_is_found_before_any_effect(tmp_path: Path) -> None:
    """Without gaps (the caller lost them), a split that is not the planned one refuses the lift."""
    log = tmp_path / "log"
    kept = [i for i in range(4000) if not (i % 2 == 0 and i % 9 == 0)]
    decisions = [decided(i, i, "holdout" if i % 2 == 0 else "treatment", START_MS + i) for i in kept]
    write(log, Stream.DECISION, decisions)
    code, answer = run("lift", "--log", str(log), "--read-at", "2026-02-01")
    assert (code, answer["refusal"]["code"]) == (3, "sample_ratio_mismatch")
    assert run("srm", "--log", str(log))[0] == 3


def test_versions_are_not_mixed_unless_they_are_strata(tmp_path: Path) -> None:
    """Two bundles refuse, and are compared within each where that is asked for."""
    log = tmp_path / "log"
    decisions = [decided(i, i, "holdout" if i % 2 else "treatment", START_MS + i, version="a" if i < 40 else "b") for i in range(80)]
    write(log, Stream.DECISION, decisions)
    write(log, Stream.EVENT, [happened(i, i, "purchase", START_MS + DAY_MS, float(i % 7)) for i in range(0, 80)], writer=2)
    asked = ("lift", "--log", str(log), "--read-at", "2026-02-01", "--metric", "purchase_value")
    code, answer = run(*asked)
    assert (code, answer["refusal"]["code"]) == (3, "mixed_versions")
    code, answer = run(*asked, "--stratum", "version")
    assert (code, answer["log"]["versions"]) == (0, 2)


def test_what_consent_revoked_and_what_only_learns_is_no_treatment(tmp_path: Path) -> None:
    """A revoked exposure exposes nobody, decisions of a logging-only placement assign nobody, and refunds come off what was bought."""
    log = tmp_path / "log"
    write(log, Stream.DECISION, [decided(1, 1, "treatment", START_MS), decided(2, 2, "treatment", START_MS, mode="logging_only")])
    told = [happened(1, 1, "exposure", START_MS, reason="CONSENT_REVOKED"), happened(2, 1, "purchase", START_MS, 9.0)]
    write(log, Stream.EVENT, [*told, happened(3, 1, "refund", START_MS + 1, 4.0)], writer=2)
    (row,) = rows(log)
    assert (row["exposed"], row["purchase_value"], row["net_value"]) == (0, 9.0, 5.0)


def test_a_log_without_events_has_no_outcomes_and_is_no_error(tmp_path: Path) -> None:
    """Outcomes are 0 where nothing was ever reported; a directory without decisions is misuse."""
    log = tmp_path / "log"
    write(log, Stream.DECISION, [decided(1, 1, "treatment", START_MS)])
    (row,) = rows(log)
    assert (row["purchase"], row["exposed"]) == (0, 0)
    (tmp_path / "none").mkdir()
    with pytest.raises(Misused, match="holds no decision log"):
        rows(tmp_path / "none")


def test_the_table_can_be_kept_and_asked_again(tmp_path: Path) -> None:
    """`measure table` writes what `measure lift --log` reads: the same answer, and nothing that says who anybody is."""
    log, out = tmp_path / "log", tmp_path / "people.parquet"
    two_arms(log)
    shares = ("--share", "treatment=4", "--share", "holdout=1")
    code, _ = run("table", "--log", str(log), "--read-at", "2026-02-01", "--out", str(out))
    assert code == 0
    assert not {"person_pseudonym", "decision_id"} & set(pq.read_schema(out).names)
    _, direct = run("lift", "--log", str(log), "--read-at", "2026-02-01", *shares)
    _, kept = run("lift", "--table", str(out), "--unit", "row", "--arm", "arm", "--control", "holdout", "--metric", "purchase", *shares)
    assert direct["results"] == kept["results"]
    assert run("table", "--log", str(log), "--out", str(out))[0] == 2


def test_a_question_has_one_source(tmp_path: Path) -> None:
    """Neither --table nor --log, or both, is misuse that says so."""
    code, answer = run("lift", "--metric", "purchase")
    assert code == 2
    assert "--log" in json.dumps(answer)
    assert run("lift", "--table", "x.csv", "--log", str(tmp_path))[0] == 2


def held_out(log: Path, layers: dict[str, float], *, among: int = 10, extra: dict[str, str] | None = None) -> None:
    """2,000 people, one in `among` held out by every layer named, each with its planned share of who is held out."""
    made = []
    for i in range(2_000):
        arm = "holdout" if i % among == 0 else "treatment"
        shares = {"holdout": next(iter(layers.values())), "treatment": 1 - next(iter(layers.values()))}
        made.append(decided(i, i, arm, START_MS + i, layers={**dict.fromkeys(layers, arm), **(extra or {})}, shares=shares))
    write(log, Stream.DECISION, made)
    write(log, Stream.EVENT, [happened(i, i, "purchase", START_MS + HOUR_MS, 1.0) for i in range(0, 2_000, 7)], writer=2)


@pytest.mark.parametrize("extra", [{}, {"hero": "control"}])
def test_without_a_layer_the_holdout_of_everything_says_what_was_planned(tmp_path: Path, extra: dict[str, str]) -> None:
    """One in ten as planned passes every question; planned as one in eight it passes none, though a tenth is a round share."""
    for planned, code in ((0.1, 0), (0.125, 3)):
        log = tmp_path / str(planned)
        held_out(log, {"everything": planned}, extra=extra)
        asked = ("--log", str(log))
        ended, found = run("srm", *asked)
        assert (ended, found["shares"]["holdout"], found["log"]["layer"]) == (code, pytest.approx(planned), "everything")
        late = (*asked, "--read-at", "2026-02-01", "--metric", "purchase")
        ended, found = run("lift", *late)
        assert (ended, found["split"]["checked_against"]) == (code, "given")
        ended, found = run("sequential", *late, "--n-star", "2000")
        assert ended == code
        assert run("srm", *asked, "--share", "holdout=1", "--share", "treatment=9")[0] == 0


def test_of_several_layers_one_must_be_named(tmp_path: Path) -> None:
    """Two holdouts of everything, or two experiments and none: the answer asks which; a layer or shares settle it."""
    log = tmp_path / "log"
    held_out(log, {"everything": 0.1, "also": 0.1})
    code, found = run("srm", "--log", str(log))
    assert (code, "--layer (also, everything)" in json.dumps(found)) == (2, True)
    assert run("lift", "--log", str(log), "--read-at", "2026-02-01")[0] == 2
    assert run("srm", "--log", str(log), "--layer", "also")[0] == 0
    assert run("srm", "--log", str(log), "--share", "holdout=1", "--share", "treatment=9")[0] == 0


def test_the_one_layer_of_a_log_is_meant(tmp_path: Path) -> None:
    """A log with one layer, which holds nobody out, is held against that layer's shares."""
    log = tmp_path / "log"
    arms = {"new": 0.75, "old": 0.25}
    made = [decided(i, i, "treatment", START_MS + i, layers={"hero": "old" if i % 4 == 0 else "new"}, shares=arms) for i in range(800)]
    write(log, Stream.DECISION, made)
    code, found = run("srm", "--log", str(log))
    assert (code, found["shares"]) == (0, pytest.approx(arms))
