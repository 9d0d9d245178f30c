"""Outcomes as measured: a stream that is shuffled, partly told twice and partly late ends in the same table as the clean one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.app.cli.measure_options import Given
from liftgate.app.cli.measure_source import asked
from liftgate.measure.experiment import experiment_table
from liftgate.record.parquet import read_log
from liftgate.v1.decision_pb2 import DecideRequest
from liftgate.v1.event_service_pb2 import Event, EventKind
from tests.faults.serving import Serving, decide_stub
from tests.faults.test_features_workers import CHANNELS, channels_to, flags, record

PEOPLE, EVENTS = 80, 1_000
MINUTE = 60_000
WINDOW, BEFORE = "2m", "1d"
BUNDLE = """bundle: outcomes
currency: EUR
time_zone: UTC
profile_purpose: none
event_properties: {basket: {type: int}}
events: {late_after: 1h}
features:
  spend_7d: {type: float, from: {sum: purchase.value, window: 7d}}
offers:
  one: {value: 1.0, caps: [{max: 50, per: 7d, counts: exposure}]}
  two: {value: 1.0}
placements:
  all: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.5}}
layers:
  held: {kind: holdout, unit: person, salt: outcomes, share: 0.3, answer: none}
"""
Happened = tuple[int, EventKind, int, float]
"""Person, kind, ms after the person's decision, value."""
KINDS = (
    EventKind.EVENT_KIND_EXPOSURE,
    EventKind.EVENT_KIND_CLICK,
    EventKind.EVENT_KIND_PURCHASE,
    EventKind.EVENT_KIND_PURCHASE,
    EventKind.EVENT_KIND_REFUND,
    EventKind.EVENT_KIND_DISMISS,
)


def told(dice: random.Random) -> list[Happened]:
    """Return what happens, in order; some hours before, some past the window."""
    found = []
    for _ in range(EVENTS):
        offset = dice.choice([dice.randrange(MINUTE), dice.randrange(4 * MINUTE), -dice.randrange(1, 20 * 60) * MINUTE])
        found.append((dice.randrange(PEOPLE), dice.choice(KINDS), offset, round(dice.expovariate(0.05), 2) + 0.01))
    return sorted(found, key=lambda each: each[2])


def events_of(happened: Sequence[Happened], ids: dict[int, str], offers: dict[int, str]) -> list[Event]:
    """Return the events of one run, whose decisions have these ids and, where anything was shown, these offers."""
    made = []
    for i, (person, kind, offset, value) in enumerate(happened):
        # The first 12 digits of a decision's id are its time in ms.
        event = Event(event_id=f"e{i}", kind=kind, person_id=f"p{person}")
        event.occurred_at_ms = int(ids[person][:12], 16) + offset
        if kind in (EventKind.EVENT_KIND_EXPOSURE, EventKind.EVENT_KIND_CLICK) and offset >= 0 and person in offers:
            event.decision_id, event.offer_id = ids[person], offers[person]
        if kind in (EventKind.EVENT_KIND_PURCHASE, EventKind.EVENT_KIND_REFUND):
            event.value = value
        made.append(event)
    return made


async def run(folder: Path, bundle: Path, happened: Sequence[Happened], messy: bool, anew: bool) -> Path:
    """Serve, decide for everybody, tell what happened, and return the log. `anew`: what is told twice has another id."""
    dice = random.Random(5)
    log = folder / "log"
    with EmbeddedValkey() as valkey, Serving(valkey.url, log, *flags(bundle, 2 if messy else 1)) as server:
        channels = channels_to(server, CHANNELS if messy else 1)
        try:
            ids, offers = {}, {}
            for person in range(PEOPLE):
                request = DecideRequest(request_id=f"d{person}", person_id=f"p{person}", placement_id="all")
                answer = await decide_stub(channels[person % len(channels)])(request, timeout=20)
                ids[person] = answer.decision_id
                if answer.slots:
                    offers[person] = answer.slots[0].offer_id
            events = events_of(happened, ids, offers)
            if messy:
                again = dice.sample(events, len(events) * 3 // 10)
                for i, event in enumerate(again):
                    again[i] = Event.FromString(event.SerializeToString())
                    if anew:
                        again[i].event_id += "-again"
                events += again
                dice.shuffle(events)
            batches = [events[i : i + 50] for i in range(0, len(events), 50)]
            for i in range(0, len(batches), len(channels)):
                await asyncio.gather(*(record(c, b) for c, b in zip(channels, batches[i : i + len(channels)], strict=False)))
        finally:
            for channel in channels:
                await channel.close()
        assert server.terminate() == 0
    return log


def table_of(log: Path, out: Path) -> list[tuple[Any, ...]]:
    """Return the rows of `liftgate measure table`, in an order of their own and without times."""
    last = max(int(row["decided_at_ms"]) for row in read_log(log, "decision"))
    read_at = datetime.fromtimestamp((last + 4 * MINUTE) / 1000, UTC).isoformat()
    given = Given(window=WINDOW, before=BEFORE, read_at=read_at)
    experiment_table(log, None, asked(given), out)
    table = pq.read_table(out)
    names = [name for name in table.column_names if not name.endswith(("_at", "_at_ms"))]
    return sorted(tuple(_rounded(row[name]) for name in names) for row in table.select(names).to_pylist())


def _rounded(value: Any) -> Any:
    """Return a sum without what depends on the order of adding."""
    return round(value, 6) if isinstance(value, float) else value


@pytest.mark.slow
async def test_a_messy_stream_through_two_workers_measures_like_the_clean_one(tmp_path: Path) -> None:
    """1,000 events shuffled, 30 % told twice, many hours late, through two workers: every person's outcomes are as in the clean run.

    The control arm tells them twice under ids of their own: then the tables differ, so the test can tell.
    """
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    happened = told(random.Random(23))
    tables = {}
    for name, messy, anew in (("clean", False, False), ("messy", True, False), ("control", True, True)):
        folder = tmp_path / name
        folder.mkdir()
        tables[name] = table_of(await run(folder, bundle, happened, messy, anew), folder / "people.parquet")
    assert len(tables["clean"]) == PEOPLE
    assert tables["messy"] == tables["clean"]
    assert tables["control"] != tables["clean"], "what counts twice is not seen"
    late = [row["late"] for row in read_log(tmp_path / "messy" / "log", "event")]
    assert sum(late) > EVENTS // 5, "hardly an event was late"
