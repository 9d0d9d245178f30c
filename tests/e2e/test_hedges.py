"""A client that repeats 30 % of its calls, in parallel, to two workers: decisions, caps and exposures are those of a clean run."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.domain.bucketing import Salt
from liftgate.domain.contact_history import ENTRY
from liftgate.record.parquet import read_log
from liftgate.v1.decision_pb2 import DecideRequest, DecideResponse
from liftgate.v1.event_service_pb2 import Event, EventKind, RecordRequest, RecordResponse
from tests.faults.serving import Serving, decide_stub

PEOPLE, ROUNDS = 40, 5
PLACEMENTS = ("thrice", "thrice-leased")
"""Offers that somebody may be shown three times: counted when they are chosen, and when they were seen."""
HEDGED = 0.3


@dataclass(frozen=True)
class Run:
    """What came of the same calls."""

    answers: dict[str, tuple[str, ...]]
    """request_id to the offers."""
    rows: list[str]
    """request_id of every record in both logs."""
    exposures: Counter[str]
    """Exposures in both logs by event_id, each id once in each log."""
    caps: dict[str, Counter[bytes]]
    """By person: how often each cap has been charged."""
    repeated: int


def _repeated(name: str, share: float) -> bool:
    return Salt("hedges").uniform(name) < share


async def _run(folder: Path, share: float, *, named_anew: bool = False) -> Run:
    flags = ("--fetch-budget-ms", "2000", "--reserve-budget-ms", "2000")
    with EmbeddedValkey() as valkey:
        with Serving(valkey.url, folder / "a", *flags) as one, Serving(valkey.url, folder / "b", *flags) as other:
            async with grpc.aio.insecure_channel(one.target) as first, grpc.aio.insecure_channel(other.target) as second:
                answers, repeated = await _calls([first, second], share, named_anew)
            assert one.terminate() == 0
            assert other.terminate() == 0
        caps = await _charged(valkey.url)
    logs = (folder / "a", folder / "b")
    rows = [row["request_id"] for log in logs for row in read_log(log, "decision")]
    told = Counter(row["event_id"] for log in logs for row in read_log(log, "event") if row["kind"] == "EXPOSURE")
    return Run(answers, rows, told, caps, repeated)


async def _calls(channels: list[grpc.aio.Channel], share: float, named_anew: bool) -> tuple[dict[str, tuple[str, ...]], int]:
    decide = [decide_stub(channel) for channel in channels]
    record = [
        channel.unary_unary(
            "/liftgate.v1.EventService/Record",
            request_serializer=RecordRequest.SerializeToString,
            response_deserializer=RecordResponse.FromString,
        )
        for channel in channels
    ]
    answers: dict[str, tuple[str, ...]] = {}
    repeated = 0

    async def visit(person: int, placement: str, turn: int) -> None:
        nonlocal repeated
        name = f"{placement}-{turn}-{person}"
        side = (person + turn) % 2
        request = DecideRequest(request_id=name, person_id=f"person-{person}", placement_id=placement)
        hedged = _repeated(name, share)
        other = DecideRequest(request_id=f"{name}-again" if named_anew else name, person_id=request.person_id, placement_id=placement)
        calls = [decide[side](request, timeout=30)] + ([decide[1 - side](other, timeout=30)] if hedged else [])
        got: list[DecideResponse] = await asyncio.gather(*calls)
        assert not any(answer.degraded for answer in got)
        assert named_anew or len({answer.SerializeToString(deterministic=True) for answer in got}) == 1
        answers[name] = tuple(slot.offer_id for slot in got[0].slots)
        repeated += hedged
        events = [
            Event(
                event_id=f"{name}-{offer}",
                kind=EventKind.EVENT_KIND_EXPOSURE,
                person_id=f"person-{person}",
                offer_id=offer,
                decision_id=got[0].decision_id,
            )
            for offer in answers[name]
        ]
        if events:
            again = _repeated(f"exposure-{name}", share)
            told = [record[side](RecordRequest(events=events), timeout=30)]
            told += [record[1 - side](RecordRequest(events=events), timeout=30)] if again else []
            assert all(answer.accepted == len(events) for answer in await asyncio.gather(*told))
            repeated += again

    for turn in range(ROUNDS):
        for placement in PLACEMENTS:
            await asyncio.gather(*(visit(person, placement, turn) for person in range(PEOPLE)))
    return answers, repeated


async def _charged(url: str) -> dict[str, Counter[bytes]]:
    client = connect(url, budget_ms=2000)
    people = [f"person-{i}" for i in range(PEOPLE)]
    try:
        found = await client.call([("GET", redis_keys.history(person, ghost)) for person in people for ghost in (False, True)])
    finally:
        await client.close()
    raws = [raw or b"" for raw in found]
    return {person: Counter(e[0] for raw in raws[2 * i : 2 * i + 2] for e in ENTRY.iter_unpack(raw)) for i, person in enumerate(people)}


@pytest.mark.slow
async def test_hedged_calls_end_as_the_clean_run(tmp_path: Path) -> None:
    """With 30 % of calls made to both workers at once: one record a request_id, and the caps and exposures of the clean run."""
    clean, hedged = await _run(tmp_path / "clean", 0.0), await _run(tmp_path / "hedged", HEDGED)
    assert clean.repeated == 0
    assert hedged.repeated > 0.2 * len(hedged.answers)
    for run in (clean, hedged):
        assert len(run.rows) == len(set(run.rows)) == PEOPLE * ROUNDS * len(PLACEMENTS)
        assert set(run.rows) == set(run.answers)
    assert hedged.answers == clean.answers
    assert set(hedged.exposures) == set(clean.exposures)
    assert hedged.caps == clean.caps
    # Caps bite, so that a charge too many would change answers.
    assert any(offers == ("plain",) for offers in clean.answers.values())
    assert max(max(charged.values(), default=0) for charged in clean.caps.values()) == 3


@pytest.mark.slow
async def test_repeats_under_another_name_are_counted(tmp_path: Path) -> None:
    """The control: where a repeated call does not say that it is one, more is decided than in the clean run, and caps run out earlier."""
    clean, twice = await _run(tmp_path / "clean", 0.0), await _run(tmp_path / "twice", HEDGED, named_anew=True)
    assert len(set(twice.rows)) > len(set(clean.rows))
    assert twice.answers != clean.answers
