"""Which decision an outcome belongs to."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from liftgate.measure.attribution import DECISION_COLUMNS, EVENT_COLUMNS, Credit, Rule, closed, rewards
from liftgate.measure.log import new_aside, open_log
from liftgate.measure.refusal import Misused
from liftgate.record.frame import Stream
from tests.measure.log_files import START_MS, decided, happened, write

HOUR = 3_600_000


def credited(log_directory: Path, rule: Rule, read_at_ms: int | None = None) -> dict[int, float]:
    """Rewards by decision number."""
    with new_aside() as aside:
        log = open_log(log_directory, None, Path(aside), decision_columns=DECISION_COLUMNS, event_columns=EVENT_COLUMNS)
        decisions = log.once(log.decisions, "decision_id")
        if read_at_ms is not None:
            decisions = closed(decisions, rule, read_at_ms)
        found = log.backend.to_pyarrow(rewards(log, decisions, rule)).to_pylist()
    return {int(row["decision_id"], 16): row["reward"] for row in found}


def a_log(directory: Path, events: list[bytes], decisions: list[bytes] | None = None) -> Path:
    """One person with decisions at hours 0, 2 and 4."""
    write(directory, Stream.DECISION, decisions or [decided(i, 1, "treatment", START_MS + 2 * i * HOUR) for i in range(3)])
    write(directory, Stream.EVENT, events, writer=2)
    return directory


@pytest.mark.parametrize(("credit", "want"), [("last", [0, 7, 0]), ("first", [7, 0, 0]), ("each", [7, 7, 0])])
def test_an_unnamed_outcome_belongs_to_a_decision_before_it(tmp_path: Path, credit: Credit, want: list[float]) -> None:
    """At hour 3, of the decisions at 0, 2 and 4: the last, the first or each of the two before; never one after."""
    log = a_log(tmp_path / "log", [happened(1, 1, "purchase", START_MS + 3 * HOUR, 7.0)])
    found = credited(log, Rule("purchase", 10 * HOUR, credit, worth=True))
    assert [found[i] for i in range(3)] == want


def test_a_named_outcome_belongs_to_what_it_names(tmp_path: Path) -> None:
    """The decision that an event names has it, later ones of the person notwithstanding."""
    log = a_log(tmp_path / "log", [happened(1, 1, "purchase", START_MS + 5 * HOUR, 7.0, decision=0)])
    assert credited(log, Rule("purchase", 10 * HOUR, worth=True)) == {0: 7.0, 1: 0.0, 2: 0.0}


def test_a_name_that_is_not_in_the_log_counts_as_none(tmp_path: Path) -> None:
    """An event that names a decision of another log, or one whose window had closed, falls to the person's last decision before it."""
    events = [
        happened(1, 1, "purchase", START_MS + 5 * HOUR, 7.0, decision=99),
        happened(2, 1, "purchase", START_MS + 5 * HOUR, 5.0, decision=0),
    ]
    log = a_log(tmp_path / "log", events)
    assert credited(log, Rule("purchase", 4 * HOUR, worth=True)) == {0: 0.0, 1: 0.0, 2: 12.0}


def test_what_belongs_to_a_decision_that_is_not_asked_for_is_lost(tmp_path: Path) -> None:
    """An outcome of the latest decision, which is not measured for its window is open, does not fall to an earlier one."""
    events = [happened(1, 1, "purchase", START_MS + 5 * HOUR, 7.0, decision=2), happened(2, 1, "purchase", START_MS + 5 * HOUR, 5.0)]
    assert credited(a_log(tmp_path / "log", events), Rule("purchase", 6 * HOUR, worth=True), START_MS + 8 * HOUR) == {0: 0.0, 1: 0.0}


def test_nobody_gets_what_another_person_did(tmp_path: Path) -> None:
    """An event that names another person's decision is none of it."""
    log = a_log(tmp_path / "log", [happened(1, 2, "purchase", START_MS + 5 * HOUR, 7.0, decision=0)])
    assert set(credited(log, Rule("purchase", 10 * HOUR, worth=True)).values()) == {0.0}


def test_a_window_ends_before_its_last_moment(tmp_path: Path) -> None:
    """At the moment of the decision counts, a window's length later does not."""
    events = [happened(1, 1, "click", START_MS), happened(2, 1, "click", START_MS + HOUR)]
    assert credited(a_log(tmp_path / "log", events), Rule("click", HOUR))[0] == 1.0
    assert credited(a_log(tmp_path / "late", events[1:]), Rule("click", HOUR))[0] == 0.0


def test_open_windows_have_no_rewards(tmp_path: Path) -> None:
    """Decisions whose window is open when the log is read are not there, with or without an outcome so far."""
    log = a_log(tmp_path / "log", [happened(1, 1, "click", START_MS + 1)])
    assert set(credited(log, Rule("click", 2 * HOUR), START_MS + 4 * HOUR)) == {0, 1}


def test_repeated_events_count_once(tmp_path: Path) -> None:
    """An event sent again through another worker adds nothing."""
    log = a_log(tmp_path / "log", [happened(1, 1, "purchase", START_MS + 1, 7.0)])
    write(log, Stream.EVENT, [happened(1, 1, "purchase", START_MS + 1, 7.0)], writer=3)
    assert credited(log, Rule("purchase", HOUR, worth=True))[0] == 7.0


@pytest.mark.parametrize("credit", ["last", "first", "each"])
def test_rewards_equal_a_plain_loop(tmp_path: Path, credit: Credit) -> None:
    """Over a thousand random decisions and events, named and not, the join gives what a loop over each event gives."""
    dice = Random(11)
    made = [(n, dice.randrange(40), START_MS + dice.randrange(100) * HOUR) for n in range(500)]
    told = [
        (
            n,
            dice.randrange(40),
            START_MS + dice.randrange(120) * HOUR,
            float(dice.randrange(1, 9)),
            dice.choice([None, None, dice.randrange(600)]),
        )
        for n in range(500)
    ]
    log = a_log(
        tmp_path / "log",
        [happened(n, person, "purchase", at, value, named) for n, person, at, value, named in told],
        [decided(n, person, "treatment", at) for n, person, at in made],
    )
    want = dict.fromkeys(range(500), 0.0)
    for _, person, at, value, named in told:
        mine = sorted((when, f"{n:032x}", n) for n, who, when in made if who == person and 0 <= at - when < 24 * HOUR)
        if any(n == named for _, _, n in mine):
            picked = [named]
        else:
            picked = [n for _, _, n in mine]
            picked = picked[-1:] if credit == "last" else picked[:1] if credit == "first" else picked
        for n in picked:
            assert n is not None
            want[n] += value
    assert credited(log, Rule("purchase", 24 * HOUR, credit, worth=True)) == want
    assert sum(want.values()) > 0


def test_an_unknown_credit_is_misuse() -> None:
    """A rule that nobody declared is refused."""
    with pytest.raises(Misused, match="--credit"):
        Rule("purchase", HOUR, "middle")  # type: ignore[arg-type]
