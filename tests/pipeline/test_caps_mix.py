"""Generated mixes of scopes, windows and counted events under concurrency: two workers on one Valkey, and no counter is ever above."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.domain.calendar import window
from liftgate.domain.offer import Cap
from liftgate.domain.reason import Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.domain.total_counter import paced
from liftgate.pipeline.counting import Counting
from liftgate.pipeline.event_ports import EventKey
from liftgate.v1.decision_pb2 import DecideResponse
from tests.pipeline.workbench import NOW_MS, Bench, workbench

BUNDLES, FAMILIES = 25, 40 if os.environ.get("LIFTGATE_TEST_SEEDS") == "all" else 12
"""25 bundles x 12 families: 300 seeds; with LIFTGATE_TEST_SEEDS=all 1,000."""
AT_ONCE = (64, 12, 12)
"""Decisions of a family at once, round by round."""
MINUTE = 60_000
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")
LEASE_MS = 10 * MINUTE
_ids = itertools.count()


def _cap(rng: random.Random) -> str:
    scope = rng.choice(["person", "person", "account", "total"])
    per = rng.choice(["1h", "1d", "7d", "hour", "day", "week", "month"])
    counts = rng.choice(["decision", "decision", "exposure"])
    most = rng.randint(1, {"person": 4, "account": 8, "total": 200}[scope])
    calendar = per in ("hour", "day", "week", "month")
    zone = ", zone: person" if calendar and scope == "person" and rng.random() < 0.5 else ""
    pace = ", pace: even" if calendar and scope == "total" and rng.random() < 0.3 else ""
    return f"{{max: {most}, per: {per}, counts: {counts}, scope: {scope}{zone}{pace}}}"


def _unlike(caps: list[str]) -> list[str]:
    """Return caps of different kinds: two of one kind would be a mistake."""
    kinds = {"|".join(part for part in cap.split(", ") if not part.startswith(("{max", "pace"))): cap for cap in caps}
    return list(kinds.values())


def bundle_text(rng: random.Random) -> str:
    """Return a bundle of five offers under random caps."""
    lines = [f"bundle: mix\ncurrency: EUR\ntime_zone: {rng.choice(ZONES)}\nprofile_purpose: none", "groups:"]
    lines.append(f"  shared: {{caps: [{', '.join(_unlike([_cap(rng) for _ in range(rng.randint(1, 2))]))}]}}")
    lines.append("offers:\n  plain: {value: 0.1}")
    for i in range(4):
        group = "group: shared, " if i < 2 else ""
        caps = ", ".join(_unlike([_cap(rng) for _ in range(rng.randint(0 if group else 1, 3))]))
        lines.append(f"  o{i}: {{{group}value: {i + 1}.0, caps: [{caps}]}}")
    lines.append("placements:\n  all: {offers: all, slots: 2, select: {policy: epsilon_greedy, epsilon: 0.5}}")
    lines.append(f"contact_policy: {{channels: {{email: {{max: {rng.randint(1, 6)}, per: {rng.choice(['day', '7d'])}}}}}}}")
    lines.append("layers:\n  none-held: {kind: holdout, unit: person, salt: mix, share: 0.0, answer: none}")
    return "\n".join(lines) + "\n"


@dataclass
class Ledger:
    """What was told to callers, and what it should have counted: kept apart from the service."""

    bench: Bench
    ends: dict[tuple[bytes, str], list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    """By cap and whose: [counts until, charged at] of everything charged, leases included."""
    reached: int = 0

    def window_end(self, cap: Cap, at_ms: int, zone: str) -> int:
        """Return when an event of the moment counts no more."""
        if cap.period is None:
            return at_ms + cap.window_ms
        return window(cap.period, at_ms, ZoneInfo(zone if cap.zone == "person" else self.bench.live.bundle.time_zone))[1]

    def decided(self, request: DecideRequest, answer: DecideResponse, at_ms: int) -> list[tuple[str, Cap, list[float]]]:
        """Take up an answer; return the leases that it holds, by offer."""
        bundle, leases = self.bench.live.bundle, []
        for slot in answer.slots:
            for cap in (bundle.caps[c] for c in bundle.offer_caps[bundle.offer_index[slot.offer_id]]):
                whose = {"person": request.person_id, "account": request.account_id, "total": ""}[cap.scope]
                leased = cap.counts == "exposure"
                until = at_ms + cap.lease_ms if leased else self.window_end(cap, at_ms, request.context.time_zone)
                entry = [float(until), float(at_ms)]
                self.ends[cap.cap_id, whose].append(entry)
                if leased:
                    leases.append((slot.offer_id, cap, entry))
        if answer.slots and request.context.channel == "email":
            (policy,) = (cap for cap in bundle.caps if cap.reason is Reason.CONTACT_POLICY)
            self.ends[policy.cap_id, request.person_id].append([float(self.window_end(policy, at_ms, "")), float(at_ms)])
        return leases

    def above(self, now_ms: int) -> list[str]:
        """Return every counter that is above its limit now."""
        bundle, found = self.bench.live.bundle, []
        caps = {cap.cap_id: cap for cap in bundle.caps}
        for (cap_id, whose), entries in self.ends.items():
            cap = caps[cap_id]
            limit = cap.limit
            if cap.even and cap.period is not None:
                start, end = window(cap.period, now_ms, ZoneInfo(bundle.time_zone))
                # A window's pace begins below what leases of the one before it may still hold: then nothing may be added.
                carried = sum(until > now_ms > at for until, at in entries)
                limit = min(limit, max(paced(limit, start, end, now_ms), carried))
            used = sum(entry[0] > now_ms for entry in entries)
            self.reached += used == limit
            if used > limit:
                found.append(f"{cap.name}, {whose or 'everybody'}: {used} of {limit}")
        return found


async def _round(benches: list[Bench], ledger: Ledger, family: str, rng: random.Random, now_ms: int, at_once: int) -> list[str]:
    for bench in benches:
        bench.hands.ms = now_ms
    requests = []
    for _ in range(at_once):
        person = rng.randint(0, 2)
        context = Context(channel=rng.choice(["web", "email"]), time_zone=ZONES[person])
        fields: dict[str, Any] = {"context": context, "slot_count": rng.randint(1, 2), "idempotent": False, "account_id": f"home-{family}"}
        requests.append(DecideRequest(f"mix-{next(_ids)}", f"{family}-{person}", "all", **fields))
    chosen = [rng.choice(benches) for _ in requests]
    raws = await asyncio.gather(*(bench.batcher.submit(request, bench.live) for bench, request in zip(chosen, requests, strict=True)))
    answers = [DecideResponse.FromString(raw) for raw in raws]
    leases = [ledger.decided(request, answer, now_ms) for request, answer in zip(requests, answers, strict=True)]
    above = ledger.above(now_ms)
    # Some of what was shown is reported while its lease lasts.
    counting, contacts = Counting(benches[0].live), RedisContactEvents(benches[0].client, budget_ms=2000)
    seen_at, events = now_ms + MINUTE, []
    for request, answer, held in zip(requests, answers, leases, strict=True):
        for offer_id in sorted({offer_id for offer_id, _, _ in held}):
            if rng.random() < 0.5:
                continue
            zone = request.context.time_zone
            found = counting.event(
                "exposure",
                EventKey(request.person_id, f"seen-{next(_ids)}"),
                decision_id=answer.decision_id,
                offer_id=offer_id,
                account_id=request.account_id,
                channel="",
                time_zone=zone,
                occurred_at_ms=seen_at,
                now_ms=seen_at,
            )
            assert found is not None
            events.append(found)
            for _, cap, entry in (one for one in held if one[0] == offer_id):
                entry[0] = float(ledger.window_end(cap, seen_at, zone))
    rng.shuffle(events)
    await contacts.count(events)
    return above


async def _mix(url: str, folder: Path, seed: int, families: int, limits_off: bool = False) -> tuple[list[str], int]:
    """Run one generated bundle for some families; return what was above, and how often a limit was met exactly."""
    rng = random.Random(seed)
    directory = folder / f"bundle-{seed}"
    directory.mkdir(parents=True)
    (directory / "bundle.yaml").write_text(bundle_text(rng), encoding="utf-8")
    async with AsyncExitStack() as stack:
        benches = [await stack.enter_async_context(workbench(url, folder / f"log-{seed}-{i}", directory)) for i in range(2)]
        await benches[0].client.call([("FLUSHALL",)])
        for bench in benches:
            bench.faults.on = {"limits_off"} if limits_off else set()
        ledger, above, now_ms = Ledger(benches[0]), list[str](), NOW_MS + rng.randint(0, 30 * 86_400_000)
        for family in range(families):
            for at_once in AT_ONCE:
                above += await _round(benches, ledger, f"f{seed}-{family}", rng, now_ms, at_once)
                now_ms += rng.choice([MINUTE + 1, 5 * MINUTE, 11 * MINUTE, 3 * 60 * MINUTE, 24 * 60 * MINUTE])
        return above, ledger.reached


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(BUNDLES))
async def test_no_counter_is_ever_above(valkey_url: str, tmp_path: Path, seed: int) -> None:
    """Over generated bundles and families, whatever happens at once and whenever exposures come, no cap of any scope is exceeded."""
    above, reached = await _mix(valkey_url, tmp_path, seed, FAMILIES)
    assert above == []
    assert reached > FAMILIES, "limits are met, or the test shows nothing"


async def test_the_control_arm_goes_above(valkey_url: str, tmp_path: Path) -> None:
    """Who charges without looking at limits exceeds them: the ledger sees it."""
    above, _ = await _mix(valkey_url, tmp_path, 3, 4, limits_off=True)
    assert len(above) > 4
