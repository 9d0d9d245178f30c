"""What is answered and charged where it is not what was chosen; and that bundles without any of it pay nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.internal.decoder import _DecodeVarint  # type: ignore[attr-defined]

from liftgate.adapters.redis_claims import ClaimScript
from liftgate.adapters.redis_client import Command
from liftgate.domain.errors import ModelFailed
from liftgate.domain.reason import Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.counting import Counting
from liftgate.pipeline.event_ports import EventKey
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Claim, PersonKey
from liftgate.pipeline.withheld_claim import partly_held_out
from liftgate.v1.decision_pb2 import DecideResponse
from tests.pipeline.workbench import BUNDLES, NOW_MS, workbench

WEB = Context(channel="web")


class _NoModels:
    def score(self, model: Any, matrix: Any) -> Any:
        raise ModelFailed(model.name)


def fields_of(raw: bytes) -> set[int]:
    """Return the numbers of the fields that stand in an encoded message."""
    found, at = set(), 0
    while at < len(raw):
        tag, at = _DecodeVarint(raw, at)
        found.add(tag >> 3)
        if tag & 7 == 2:
            size, at = _DecodeVarint(raw, at)
            at += size
        elif tag & 7 == 0:
            _, at = _DecodeVarint(raw, at)
        else:
            at += 8 if tag & 7 == 1 else 4
    return found


@pytest.mark.parametrize(("place", "person"), [("two", "person-0"), ("only-capped", "person-4"), ("only-capped", "person-0")])
async def test_a_bundle_without_these_features_pays_nothing(valkey_url: str, tmp_path: Path, place: str, person: str) -> None:
    """No key more is read or claimed, no byte more is in a claim or a record, for treated people and for held-out ones."""
    asked: list[PersonKey] = []
    claims: list[Claim] = []
    async with workbench(valkey_url, tmp_path) as bench:
        await bench.forget(person)
        fetch, reserve = bench.ports.profiles.fetch, bench.ports.reservations.reserve

        async def watched_fetch(people: Any, *rest: Any) -> Any:
            asked.extend(people)
            return await fetch(people, *rest)

        async def watched_reserve(some: Any, *rest: Any) -> Any:
            claims.extend(some)
            return await reserve(some, *rest)

        object.__setattr__(bench.ports.profiles, "fetch", watched_fetch)
        object.__setattr__(bench.ports.reservations, "reserve", watched_reserve)
        await bench.batcher.submit(DecideRequest(f"pays-{place}-{person}", person, place), bench.live)
        (raw,) = bench.log.records
        (claim,) = claims
        records: list[Command] = []
        keys, arguments = ClaimScript(60_000).call([claim], records)
    assert [one.both for one in asked] == [False]
    assert not fields_of(raw) & {59, 60, 61, 62}
    assert (claim.partly, claim.withheld) == (False, ())
    assert len(keys) == 2, "the history and the request"
    # A head; the remembered answer; 32 bytes for each charge; 16 for each cap watched; counts and the horizon.
    charged = [32 * len(claim.charges)] if claim.charges else []
    watched = [16 * len(claim.watch.entries)] if claim.watch.entries else []
    assert [len(one) for one in arguments] == [23, 13 + len(claim.response) + 16, *charged, *watched, 16]
    assert [len(command) for command in records] == [5]


async def test_who_is_not_in_the_holdout_reads_no_second_history(valkey_url: str, tmp_path: Path) -> None:
    """With a programme's holdout in the bundle, people and placements that it does not concern are fetched as ever."""
    async with workbench(valkey_url, tmp_path, BUNDLES / "answer") as bench:
        asked: list[PersonKey] = []
        fetch = bench.ports.profiles.fetch

        async def watched(people: Any, *rest: Any) -> Any:
            asked.extend(people)
            return await fetch(people, *rest)

        object.__setattr__(bench.ports.profiles, "fetch", watched)
        for place in ("free", "none"):
            await bench.batcher.submit(DecideRequest("r0", "pays", place, context=WEB, idempotent=False), bench.live)
    assert [(one.ghost, one.both) for one in asked] == [(False, False), (True, True)]


async def test_an_apprentice_never_shows_more_than_caps_allow(valkey_url: str, tmp_path: Path) -> None:
    """64 callers at once choose the same offer for one person: it is answered as often as its caps allow, the others are told why."""
    async with workbench(valkey_url, tmp_path, BUNDLES / "answer") as bench:
        await bench.forget("race")
        requests = [
            DecideRequest(f"race-{i}", "race", "apprentice", context=WEB, idempotent=False, baseline_offers=("ship-free",))
            for i in range(64)
        ]
        raws = await asyncio.gather(*(bench.batcher.submit(request, bench.live) for request in requests))
        answers = [DecideResponse.FromString(raw) for raw in raws]
        records = bench.records
    assert sum(bool(answer.slots) for answer in answers) == 2
    refused = [answer.baseline_refused[0].offer_id for answer in answers if answer.baseline_refused]
    lost = [record for record in records if record.reservation_attempts == 3 and not record.offered]
    assert len(refused) + len(lost) >= 62
    assert {record.mode for record in records} == {"apprentice"}


async def test_a_slate_of_the_callers_own_keeps_to_shared_caps(valkey_url: str, tmp_path: Path) -> None:
    """Of two offers of the caller's list that share a cap's last place the first is answered and the second is told why."""
    async with workbench(valkey_url, tmp_path, BUNDLES / "answer") as bench:
        await bench.forget("slate")
        own = ("ship-fast", "ship-home")
        asked = [
            DecideRequest(f"s{i}", "slate", "apprentice", 2, WEB, idempotent=False, baseline_offers=own, account_id="slate")
            for i in range(3)
        ]
        answers = [DecideResponse.FromString(await bench.batcher.submit(request, bench.live)) for request in asked]
    assert [[slot.offer_id for slot in answer.slots] for answer in answers] == [["ship-fast", "ship-home"], ["ship-fast"], []]
    refused = [{one.offer_id: Reason(one.reason) for one in answer.baseline_refused} for answer in answers]
    full = Reason.FREQUENCY_CAP
    assert refused == [{}, {"ship-home": full}, {"ship-fast": full, "ship-home": full}]


@pytest.mark.parametrize("answer", ["none", "next"])
async def test_what_nobody_heard_of_is_given_back_on_both_sides(valkey_url: str, tmp_path: Path, answer: str) -> None:
    """A claim of somebody partly held out whose reply is lost is undone wherever it charged, once the store answers."""
    async with workbench(valkey_url, tmp_path, BUNDLES / "answer") as bench:
        await bench.forget("lost")
        bench.faults.on = {"reply_lost"}
        response = DecideResponse.FromString(await bench.batcher.submit(DecideRequest("l1", "lost", answer, context=WEB), bench.live))
        assert response.degraded
        bench.faults.on = set()
        await bench.batcher.drain()
        (left,) = await bench.client.call([("MGET", "lg:{lost}:h", "lg:{lost}:g")])
    assert [raw or b"" for raw in left] == [b"", b""]


def test_events_know_which_offers_are_withheld(tmp_path: Path) -> None:
    """An event about a withheld offer is the ghosts', one about another offer is real, and whole answers concern both sides."""
    (tmp_path / "bundle.yaml").write_text(
        """
bundle: b
currency: EUR
time_zone: UTC
profile_purpose: none
groups: {ship: {caps: [{max: 1, per: 7d, counts: exposure}]}}
offers: {fast: {group: ship, value: 2.0}, gift: {value: 1.0, caps: [{max: 1, per: 7d, counts: exposure}]}}
placements: {all: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.0}}}
layers:
  everything: {kind: holdout, unit: person, salt: everything, share: 0.2, answer: none}
  no-ship: {kind: holdout, groups: [ship], salt: no-ship, share: 0.5, answer: none}
""",
        encoding="utf-8",
    )
    from liftgate.bundle.load import load_bundle

    counting = Counting(Live(load_bundle(tmp_path), _NoModels()))
    seen: set[tuple[bool, bool, str]] = set()
    for i in range(40):
        for offer_id in ("fast", "gift", ""):
            found = counting.event(
                "exposure",
                EventKey(f"p{i}", "e"),
                decision_id="ab" * 16,
                offer_id=offer_id,
                account_id="",
                channel="",
                time_zone="",
                occurred_at_ms=NOW_MS,
                now_ms=NOW_MS,
            )
            assert found is not None
            assert found.both == (found.partly and not offer_id)
            seen.add((found.partly, found.held_out, offer_id))
    out = {(False, True, offer) for offer in ("fast", "gift", "")}
    assert seen == out | {(True, True, "fast"), (True, False, "fast"), (True, False, "gift"), (True, False, "")}


def test_nobody_is_partly_held_out_without_such_a_holdout() -> None:
    """A batch that knows of no withheld offers has no such rows."""
    from liftgate.domain.batch import Batch

    assert partly_held_out(Batch([], None)) == frozenset()  # type: ignore[arg-type]
