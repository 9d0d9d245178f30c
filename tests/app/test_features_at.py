"""`liftgate features at`: the features of every logged decision, held to their definitions by looking at all events anew."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from liftgate.app.cli.features_at import write as features_at
from liftgate.bundle.load import load_bundle
from liftgate.domain.event import Event, EventKind
from liftgate.domain.feature import DAY, HOUR
from liftgate.domain.input import InputType
from liftgate.record.event_codec import encode_event, properties_json
from liftgate.record.frame import Stream
from liftgate.v1.record_pb2 import DecisionRecord
from tests.measure.log_files import pseudonym, write
from tests.signals.reference import feature, known
from tests.signals.streams import DEFINITIONS, GROUPS, NOW, PLAN, stream

BUNDLE = load_bundle(Path(__file__).parents[1] / "cases" / "bundles" / "features")
PEOPLE, DECISIONS = 5, 120


def row(event: Event, reason: str = "REASON_UNSPECIFIED") -> bytes:
    """Return an event as the log has it."""
    return encode_event(
        event_id=event.event_id,
        kind=event.kind,
        person_pseudonym=pseudonym(int(event.person_id[1:])),
        pseudonym_key_id="k1",
        occurred_at_ms=event.occurred_at_ms,
        received_at_ms=event.received_at_ms,
        reliability=event.reliability,
        offer_id=event.offer_id,
        value=event.value,
        currency=event.currency,
        channel=event.channel,
        name=event.name,
        properties_json=properties_json(event.properties) if event.properties else "",
        late=event.late,
        reason=reason,
    )


def decision(number: int, person: str, at_ms: int) -> bytes:
    """Return a decision as the log has it."""
    record = DecisionRecord(decision_id=f"{number:032x}", person_pseudonym=pseudonym(int(person[1:])), decided_at_ms=at_ms)
    return record.SerializeToString()


def expected(events: list[Event], person: str, at_ms: int) -> dict[str, Any]:
    """Return every feature of a person at a moment as its definition says, typed as the table has it; None: there is none."""
    own, found = known(events, person, at_ms), {}
    for definition in DEFINITIONS:
        column, number = definition.input, feature(own, definition, at_ms, GROUPS)
        if column.type in (InputType.INT, InputType.FLOAT):
            found[column.name.removeprefix("profile.")] = None if number != number else number
        else:
            found[column.name.removeprefix("profile.")] = column.decode(number)
    return found


@pytest.mark.parametrize("seal", [True, False], ids=["parquet", "segments"])
def test_features_are_those_of_the_moment_by_their_definitions(tmp_path: Path, seal: bool) -> None:
    """1,500 events from two workers, some told again, late or revoked, 120 decisions, 16 features: each as its definition says."""
    dice = random.Random(7)
    events = stream(dice, PEOPLE, 1_500, 2 * DAY)
    again = [replace(one, received_at_ms=one.received_at_ms + dice.randrange(1, HOUR)) for one in dice.sample(events, 300)]
    revoked = [replace(one, event_id=f"{one.event_id}-revoked") for one in events if one.kind == EventKind.EXPOSURE][:50]
    moments = [(f"p{dice.randrange(PEOPLE + 1)}", NOW - dice.randrange(2 * DAY)) for _ in range(DECISIONS)]
    rows = [*map(row, [*again, *events]), *(row(one, "REASON_CONSENT_REVOKED") for one in revoked)]
    dice.shuffle(rows)
    log = tmp_path / "log"
    write(log, Stream.DECISION, [decision(i, *one) for i, one in enumerate(moments)], seal=seal)
    for writer in (2, 3):
        write(log, Stream.EVENT, rows[writer - 2 :: 2], writer=writer, seal=seal)
    assert features_at(tmp_path / "out.parquet", log, BUNDLE, PLAN) == DECISIONS
    table = {found["decision_id"]: found for found in pq.read_table(tmp_path / "out.parquet").to_pylist()}
    there = 0
    for i, (person, at_ms) in enumerate(moments):
        found = table[f"{i:032x}"]
        assert found["person_pseudonym"] == pseudonym(int(person[1:]))
        for definition in DEFINITIONS:
            name = definition.input.name.removeprefix("profile.")
            want = expected(events, person, at_ms)[name]
            there += want not in (None, 0)
            if definition.aggregate == "distinct" and want > definition.exact_up_to:
                assert definition.exact_up_to < found[name] <= 1.5 * want
            elif isinstance(want, float):
                assert found[name] == pytest.approx(want, rel=1e-9, abs=1e-6), (name, i)
            else:
                assert found[name] == want, (name, i)
    assert there > DECISIONS * len(DEFINITIONS) / 2, "too little to compare"


def test_what_was_received_after_a_decision_is_not_known_to_it(tmp_path: Path) -> None:
    """An event counts from its receipt on, whenever it happened: to the millisecond."""
    view = Event("e", EventKind.CUSTOM, "p1", NOW - HOUR // 2, NOW, 1, name="product_view")
    log = tmp_path / "log"
    write(log, Stream.DECISION, [decision(i, "p1", NOW - 1 + i) for i in range(2)])
    write(log, Stream.EVENT, [row(view)], writer=2)
    features_at(tmp_path / "out.parquet", log, BUNDLE, PLAN)
    assert pq.read_table(tmp_path / "out.parquet")["views_1h"].to_pylist() == [0, 1]
