"""Without consent to personalisation nothing of a stored profile is anywhere: not in the record, the answer, its explanation, what models
are fed, spans, metrics or warnings. Real store, model, log, telemetry; a person made of canaries."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from struct import pack as packed
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from liftgate.adapters import redis_keys
from liftgate.adapters.telemetry import Telemetry
from liftgate.adapters.telemetry_metrics import LAYOUT
from liftgate.adapters.telemetry_page import Page
from liftgate.adapters.telemetry_spans import DecisionSpans
from liftgate.bundle.compiled import ModelSpec
from liftgate.domain import consent
from liftgate.domain.input import Floats
from liftgate.domain.profile import pack
from liftgate.domain.reason import InputState, Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.batching import Batcher
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Models
from liftgate.record.codec import decode_decision
from liftgate.v1.decision_pb2 import DecideResponse
from tests.pipeline.workbench import NOW_MS, Bench, workbench

PERSON = "canary@example.com"
AGE, SPEND, BOUGHT_AT, AGE_S = 7_777, 987_654.321, 1_717_171_717_171, 4_321
CANARIES: tuple[float, ...] = (AGE, SPEND, BOUGHT_AT, AGE_S)
FEATURES = ("profile.age", "profile.country", "profile.last_purchase_at", "profile.spend")
WITHOUT: dict[str, dict[str, Any] | None] = {
    "nothing stored": None,
    "no record": {},
    "denied": {"personalization": {"status": "denied"}},
    "pending": {"personalization": {"status": "pending"}},
    "expired": {"personalization": {"status": "granted", "expires_at_ms": NOW_MS}},
    "withdrawn": {"personalization": {"status": "granted", "given_at_ms": NOW_MS - 9, "withdrawn_at_ms": NOW_MS - 1}},
    "another purpose": {"marketing_email": {"status": "granted"}},
}


class Spy:
    """The models, and every matrix that they were fed."""

    def __init__(self, inner: Models) -> None:
        self._inner = inner
        self.fed: list[Floats] = []

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        """See ports.Models."""
        self.fed.append(matrix.copy())
        return self._inner.score(model, matrix)


class Watched(Telemetry):
    """The service's own telemetry on a page, with every span and warning kept."""

    def __init__(self) -> None:
        self.page = Page(LAYOUT)
        self.spans = InMemorySpanExporter()
        self.said: list[tuple[str, Mapping[str, object]]] = []
        spans = DecisionSpans(SimpleSpanProcessor(self.spans))
        super().__init__(self.page, spans, lambda event, fields: self.said.append((event, fields)), 1.0)

    @property
    def text(self) -> str:
        """Everything that it let out, in words."""
        return repr([*self.said, *((span.name, dict(span.attributes or {})) for span in self.spans.get_finished_spans())])


@asynccontextmanager
async def canary_bench(url: str, folder: Path, purposes: dict[str, Any] | None) -> AsyncIterator[tuple[Bench, Spy, Watched]]:
    """Give a worker whose store holds the canary person with this consent."""
    async with workbench(url, folder) as bench:
        await bench.forget(PERSON)
        values = {"profile.age": AGE, "profile.country": 2.0, "profile.spend": SPEND, "profile.last_purchase_at": BOUGHT_AT}
        schema = bench.live.bundle.schema
        await bench.put(redis_keys.profile(PERSON), pack(schema, [values[c.name] for c in schema.profile], NOW_MS // 1000 - AGE_S))
        if purposes is not None:
            await bench.put(redis_keys.consent(PERSON), consent.document(purposes))
        spy, watched = Spy(bench.live.models), Watched()
        live = Live(bench.live.bundle, spy)
        yield replace(bench, live=live, batcher=Batcher(replace(bench.ports, observer=watched))), spy, watched


async def everything(bench: Bench, spy: Spy, watched: Watched, folder: Path) -> tuple[dict[str, DecideResponse], dict[str, bytes]]:
    """Ask for decisions that would use the whole profile; return the answers, and all bytes that left the walk by where they went."""
    answers = {}
    for placement in ("personal", "rules", "layered", "consent", "shelf"):
        slots = bench.live.bundle.placements[bench.live.bundle.placement_index[placement]].slots
        context = Context(channel="web", attributes={"basket": 60.0})
        request = DecideRequest("r-" + placement, PERSON, placement, slots, context, explain=True, idempotent=False, sampled=True)
        answers[placement] = DecideResponse.FromString(await bench.batcher.submit(request, bench.live))
    await bench.batcher.drain()
    assert len(bench.records) == len(answers)
    out = {
        "record": b"".join(bench.log.records),
        "record in words": repr([decode_decision(raw) for raw in bench.log.records]).encode(),
        "answer": b"".join(answer.SerializeToString() for answer in answers.values()),
        "answer in words": repr(answers).encode(),
        "models": b"".join(packed(f"<{matrix.size}d", *matrix.ravel()) for matrix in spy.fed),
        "spans and warnings": watched.text.encode(),
        "log directory": b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file()),
    }
    return answers, out


def found(out: dict[str, bytes]) -> set[tuple[str, float]]:
    """Return every canary that is anywhere, as text or as a number of four or eight bytes."""
    hits = set()
    for where, raw in out.items():
        for number in CANARIES:
            forms = [packed("<d", number), packed("<f", number), f"{number}".encode(), f"{number:.1f}".encode()]
            forms += [packed("<q", int(number)), f"{int(number):,}".encode()] if number == int(number) else []
            if any(form in raw for form in forms):
                hits.add((where, number))
    return hits


@pytest.mark.parametrize("why", WITHOUT)
async def test_no_canary_without_consent(valkey_url: str, tmp_path: Path, why: str) -> None:
    """Whatever stands in the way of the grant, no value, no age and no code of the profile is let out, and a decision is made."""
    async with canary_bench(valkey_url, tmp_path, WITHOUT[why]) as (bench, spy, watched):
        answers, out = await everything(bench, spy, watched, tmp_path)
        assert found(out) == set()
        assert spy.fed == [], "the one model reads the profile, so it is not asked at all"
        assert [slot.offer_id for slot in answers["personal"].slots] == ["plain"]
        assert Reason(int(answers["personal"].reason)) is Reason.PROFILE_NOT_CONSENTED
        for record in bench.records:
            assert "profile.*" in record.masked_paths
            for i, column in enumerate(record.inputs):
                if column.name in FEATURES:
                    assert int(record.input_state[i]) == InputState.MASKED
                    default = bench.live.bundle.schema.defaults[i]
                    assert record.input_value[i] == default or (math.isnan(record.input_value[i]) and math.isnan(default))
                    assert math.isnan(record.input_age_s[i])
        assert PERSON.encode() not in b"".join(out.values())


async def test_the_canaries_would_be_seen(valkey_url: str, tmp_path: Path) -> None:
    """The control arm: with the grant, values and ages are in the record and in what the model is fed."""
    async with canary_bench(valkey_url, tmp_path, {"personalization": {"status": "granted"}}) as (bench, spy, watched):
        _, out = await everything(bench, spy, watched, tmp_path)
        hits = found(out)
        assert {number for where, number in hits if where == "record"} == set(CANARIES)
        assert {number for where, number in hits if where == "models"} >= {AGE}
        assert "decision_id" in watched.text
        assert PERSON.encode() not in b"".join(out.values())
