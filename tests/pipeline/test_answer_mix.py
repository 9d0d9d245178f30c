"""Generated mixes with holdouts of programmes, an apprentice and deferred decisions, at once: no counter is ever above what was shown."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.domain.offer import Cap
from liftgate.domain.reason import Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.counting import Counting
from liftgate.pipeline.event_ports import EventKey
from liftgate.v1.decision_pb2 import DecideResponse
from tests.pipeline.test_caps_mix import MINUTE, ZONES, Ledger, bundle_text
from tests.pipeline.workbench import NOW_MS, Bench, workbench

BUNDLES, FAMILIES = 10, 6
AT_ONCE = (48, 12, 12)
LEASE_MS = 10 * MINUTE
MORE = """
  learn: {offers: all, slots: 2, mode: apprentice, select: {policy: epsilon_greedy, epsilon: 0.5}}
  log: {offers: all, slots: 2, mode: logging_only, select: {policy: epsilon_greedy, epsilon: 0.5}}
"""
_ids = itertools.count()
Held = list[tuple[str, Cap, list[float]]]


def _bundle(rng: random.Random) -> str:
    """Return a bundle of the other mix, with placements that learn and a holdout of the shared programme and of an offer."""
    text = bundle_text(rng)
    answer = rng.choice(["none", "next_best"])
    text = text.replace("contact_policy:", MORE + "contact_policy:", 1)
    head, _, _ = text.partition("layers:")
    return f"""{head}layers:
  none-held: {{kind: holdout, unit: person, salt: mix, share: 0.1, answer: none}}
  programme: {{kind: holdout, groups: [shared], salt: programme, share: 0.4, answer: {answer}}}
  offer: {{kind: holdout, offers: [o2], salt: offer, share: 0.3, answer: next_best}}
"""


class _Ledger(Ledger):
    """Counts what was told to callers; a deferred decision counts by leases until it is seen."""

    def taken(self, request: DecideRequest, answer: DecideResponse, at_ms: int) -> Held:
        """Take up an answer; return what is held for it, by offer; under `` what one contact is."""
        bundle, held = self.bench.live.bundle, []
        for slot in answer.slots:
            for cap in (bundle.caps[c] for c in bundle.offer_caps[bundle.offer_index[slot.offer_id]]):
                whose = {"person": request.person_id, "account": request.account_id, "total": ""}[cap.scope]
                leased = cap.counts == "exposure" or request.deferred
                lease_ms = cap.lease_ms or LEASE_MS
                until = at_ms + lease_ms if leased else self.window_end(cap, at_ms, request.context.time_zone)
                entry = [float(until), float(at_ms)]
                self.ends[cap.cap_id, whose].append(entry)
                if leased:
                    held.append((slot.offer_id, cap, entry))
        if answer.slots and request.context.channel == "email":
            (policy,) = (cap for cap in bundle.caps if cap.reason is Reason.CONTACT_POLICY)
            until = at_ms + LEASE_MS if request.deferred else self.window_end(policy, at_ms, "")
            entry = [float(until), float(at_ms)]
            self.ends[policy.cap_id, request.person_id].append(entry)
            if request.deferred:
                held.append(("", policy, entry))
        return held


async def _round(benches: list[Bench], ledger: _Ledger, family: str, rng: random.Random, now_ms: int, at_once: int) -> list[str]:
    for bench in benches:
        bench.hands.ms = now_ms
    requests = []
    for _ in range(at_once):
        person = rng.randint(0, 3)
        context = Context(channel=rng.choice(["web", "email"]), time_zone=ZONES[person % 3])
        place = rng.choice(["all", "all", "all", "learn", "learn", "log"])
        fields: dict[str, Any] = {"context": context, "slot_count": 2, "idempotent": False, "account_id": f"home-{family}"}
        baseline = tuple(rng.sample(["plain", "o0", "o1", "o2", "o3"], rng.randint(0, 2)))
        fields |= {"deferred": rng.random() < 0.4, "baseline_offers": baseline}
        requests.append(DecideRequest(f"mix-{next(_ids)}", f"{family}-{person}", place, **fields))
    chosen = [rng.choice(benches) for _ in requests]
    raws = await asyncio.gather(*(bench.batcher.submit(request, bench.live) for bench, request in zip(chosen, requests, strict=True)))
    answers = [DecideResponse.FromString(raw) for raw in raws]
    holds = [ledger.taken(request, answer, now_ms) for request, answer in zip(requests, answers, strict=True)]
    above = ledger.above(now_ms)
    counting, contacts = Counting(benches[0].live), RedisContactEvents(benches[0].client, budget_ms=2000)
    seen_at, events = now_ms + MINUTE, []
    for request, answer, held in zip(requests, answers, holds, strict=True):
        if not held or rng.random() < 0.5:
            continue
        # The whole answer is reported, offer by offer, and some of it twice: a deferred decision counts once all the same.
        seen = [slot.offer_id for slot in answer.slots]
        again = [seen[0]] * (request.deferred and not _exposure_caps(benches[0], seen[0]))
        for offer_id in seen + again:
            found = counting.event(
                "exposure",
                EventKey(request.person_id, f"seen-{next(_ids)}"),
                decision_id=answer.decision_id,
                offer_id=offer_id,
                account_id=request.account_id,
                channel=rng.choice(["", request.context.channel]),
                time_zone=request.context.time_zone,
                occurred_at_ms=seen_at,
                now_ms=seen_at,
            )
            if found is not None:
                events.append(found)
        for _, cap, entry in held:
            entry[0] = float(ledger.window_end(cap, seen_at, request.context.time_zone))
    await contacts.count(events)
    return above


def _exposure_caps(bench: Bench, offer_id: str) -> bool:
    bundle = bench.live.bundle
    return any(bundle.caps[c].counts == "exposure" for c in bundle.offer_caps[bundle.offer_index[offer_id]])


async def _mix(url: str, folder: Path, seed: int, families: int, limits_off: bool = False) -> tuple[list[str], int]:
    """Run one generated bundle for some families; return what was above, and how often a limit was met exactly."""
    rng = random.Random(1000 + seed)
    directory = folder / f"bundle-{seed}"
    directory.mkdir(parents=True)
    (directory / "bundle.yaml").write_text(_bundle(rng), encoding="utf-8")
    async with AsyncExitStack() as stack:
        benches = [await stack.enter_async_context(workbench(url, folder / f"log-{seed}-{i}", directory)) for i in range(2)]
        await benches[0].client.call([("FLUSHALL",)])
        for bench in benches:
            bench.faults.on = {"limits_off"} if limits_off else set()
        ledger, above, now_ms = _Ledger(benches[0]), list[str](), NOW_MS + rng.randint(0, 30 * 86_400_000)
        for family in range(families):
            for at_once in AT_ONCE:
                above += await _round(benches, ledger, f"f{seed}-{family}", rng, now_ms, at_once)
                now_ms += rng.choice([MINUTE + 1, 5 * MINUTE, 11 * MINUTE, 3 * 60 * MINUTE, 24 * 60 * MINUTE])
        for record in (record for bench in benches for record in bench.records):
            assert not (record.mode == "logging_only" and record.offered)
            reasons = dict(zip(record.candidate_offer_id, record.candidate_reason, strict=True))
            assert {reasons[offer] for offer in record.offered} <= {int(Reason.ALLOWED), int(Reason.CHOSEN)}, "nothing denied is shown"
            assert not set(record.withheld_offer) & set(record.offered)
        return above, ledger.reached


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(BUNDLES))
async def test_no_counter_is_ever_above(valkey_url: str, tmp_path: Path, seed: int) -> None:
    """Whoever is held out of what, whatever the caller's own choice is, and whenever deferred decisions are seen: no cap is exceeded."""
    above, reached = await _mix(valkey_url, tmp_path, seed, FAMILIES)
    assert above == []
    assert reached > FAMILIES, "limits are met, or the test shows nothing"


async def test_the_control_arm_goes_above(valkey_url: str, tmp_path: Path) -> None:
    """Who charges without looking at limits exceeds them: the ledger sees it."""
    above, _ = await _mix(valkey_url, tmp_path, 3, 3, limits_off=True)
    assert len(above) > 3
