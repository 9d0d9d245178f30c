"""An event is its person's event id, in every reader of the log as online: told again it counts once, another person's counts, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters.logged_events import logged_events
from liftgate.domain.feature import HOUR, Definition, Source
from liftgate.domain.input import Input, InputType
from liftgate.measure.attribution import DECISION_COLUMNS, EVENT_COLUMNS, Rule, rewards
from liftgate.measure.experiment_outcomes import touched
from liftgate.measure.log import new_aside, open_log
from liftgate.measure.quality import measure_quality
from liftgate.record.frame import Stream
from liftgate.record.parquet import read_log, read_table
from liftgate.record.verify import verify
from liftgate.signals.offline import values_at
from liftgate.signals.plan import FeaturePlan
from liftgate.v1.record_pb2 import EventRecord
from tests.measure.log_files import HOUR_MS, START_MS, decided, pseudonym, write

AT = START_MS + HOUR_MS


def bought(event_id: str, person: int, value: float, received_ms: int = AT, key: str = "k1") -> bytes:
    """Return a purchase an hour after the start. Without a key the pseudonym is the row's alone."""
    return EventRecord(
        event_id=event_id,
        kind="EVENT_KIND_PURCHASE",
        person_pseudonym=pseudonym(person),
        pseudonym_key_id=key,
        occurred_at_ms=AT,
        received_at_ms=received_ms,
        reliability="RELIABILITY_RELIABLE",
        value=value,
        currency="EUR",
    ).SerializeToString()


SAME_ID = [bought("order", 1, 5.0), bought("order", 2, 7.0)]
"""Two people's, under one id."""
TWICE = [bought("order", 1, 9.0, AT + 1000), bought("order", 1, 5.0, AT)]
"""One person's, told again in other words: what was received first stands, wherever it lies."""
NOBODYS = [bought("order", 77, 5.0, AT, key=""), bought("lost", 78, 3.0, AT, key=""), bought("lost", 79, 3.0, AT + 5, key="")]
"""Told while the store with people's keys was away; `order` again later."""


@pytest.fixture(params=[True, False], ids=["parquet", "segments"])
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Return what writes a log with a decision for each of two people, and events from two workers."""

    def made(*workers: list[bytes]) -> Path:
        write(tmp_path / "log", Stream.DECISION, [decided(i, i, "treatment", START_MS) for i in (1, 2)], seal=request.param)
        for i, events in enumerate(workers):
            write(tmp_path / "log", Stream.EVENT, events, writer=3 - i, seal=request.param)
        return tmp_path / "log"

    return made


def credited(directory: Path) -> dict[int, float]:
    """Return rewards by decision."""
    with new_aside() as aside:
        opened = open_log(directory, None, Path(aside), decision_columns=DECISION_COLUMNS, event_columns=EVENT_COLUMNS)
        found = opened.backend.to_pyarrow(rewards(opened, opened.decisions, Rule("purchase", 2 * HOUR_MS, worth=True))).to_pylist()
    return {int(row["decision_id"], 16): row["reward"] for row in found}


def values(directory: Path) -> list[float]:
    """Return the values of the events that measurement sums."""
    with new_aside() as aside:
        opened = open_log(directory, None, Path(aside), decision_columns=DECISION_COLUMNS, event_columns=EVENT_COLUMNS)
        return sorted(row["value"] for row in opened.fetch(opened.events_once()))


def touches(directory: Path) -> int:
    """Return how many events belong to a session by its person's last decision."""
    with new_aside() as aside:
        opened = open_log(directory, None, Path(aside), decision_columns=(*DECISION_COLUMNS, "arm"), event_columns=EVENT_COLUMNS)
        return opened.count(touched(opened.events_once(), opened.decisions, "arm", 2 * HOUR_MS))


def spends(directory: Path, people: int = 2) -> list[float]:
    """Return the feature `spend`, two hours after the start, as `features at` works it out."""
    spend = Definition(Input("profile.spend", InputType.FLOAT), 0, "sum", Source("purchase", "value"), window_ms=24 * HOUR)
    questions = [(pseudonym(i + 1).hex(), START_MS + 2 * HOUR_MS) for i in range(people)]
    found: list[float] = values_at(FeaturePlan((spend,), {}, "EUR"), logged_events(directory), questions).value[:, 0].tolist()
    return found


def test_two_people_may_use_one_event_id(log: Any) -> None:
    """Both events count, everywhere."""
    directory = log(SAME_ID)
    assert sorted(row["value"] for row in read_log(directory, "event")) == values(directory) == [5.0, 7.0]
    assert credited(directory) == {1: 5.0, 2: 7.0}
    assert touches(directory) == 2
    assert spends(directory) == [5.0, 7.0]
    quality = measure_quality(directory, None)
    assert (quality["events"], quality["repeated_events"]) == (2, 0)
    assert (verify(directory).records["event"], verify(directory).duplicates) == (2, 0)


def test_one_person_telling_an_event_twice_tells_one(log: Any) -> None:
    """It counts once, everywhere, as it was received first."""
    directory = log(TWICE[:1], TWICE[1:])
    assert [row["value"] for row in read_log(directory, "event")] == values(directory) == [5.0]
    assert credited(directory) == {1: 5.0, 2: 0.0}
    assert touches(directory) == 1
    assert spends(directory) == [5.0, 0.0]
    quality = measure_quality(directory, None)
    assert (quality["events"], quality["repeated_events"]) == (1, 1)
    assert (verify(directory).records["event"], verify(directory).duplicates) == (1, 1)


@pytest.mark.parametrize("nobodys_first", [True, False])
def test_an_event_that_was_nobodys_counts_once_it_is_somebodys(log: Any, nobodys_first: bool) -> None:
    """Told without a key and again with one it is that person's alone; what was never told again is there once."""
    directory = log(NOBODYS, SAME_ID) if nobodys_first else log(SAME_ID, NOBODYS)
    assert sorted(row["value"] for row in read_log(directory, "event")) == values(directory) == [3.0, 5.0, 7.0]
    assert credited(directory) == {1: 5.0, 2: 7.0}
    assert spends(directory) == [5.0, 7.0]
    quality = measure_quality(directory, None)
    assert (quality["events"], quality["repeated_events"]) == (3, 2)


def test_columns_that_were_not_asked_for_are_not_given(log: Any) -> None:
    """Whose an event is need not be among them."""
    assert read_table(log(SAME_ID), "event", ["value"]).to_pydict() == {"value": [5.0, 7.0]}
