"""Deferred decisions on a real store: leases until their exposure, which counts the decision once and for its own time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.domain.contact_history import live_counts
from liftgate.domain.decision import deferred_id, is_deferred
from liftgate.domain.request import Context, DecideRequest
from liftgate.domain.total_counter import total_count
from liftgate.pipeline.counting import Counting
from liftgate.pipeline.event_ports import EventKey
from liftgate.v1.decision_pb2 import DecideResponse
from tests.pipeline.workbench import NOW_MS, Bench, workbench

MINUTE, DAY = 60_000, 86_400_000
BUNDLE = """
bundle: deferred
currency: EUR
time_zone: UTC
profile_purpose: none
offers:
  once: {value: 9.0, caps: [{max: 1, per: 7d}]}
  budget: {value: 8.0, caps: [{max: 1, per: day, scope: total}]}
  household: {value: 7.0, caps: [{max: 1, per: 7d, scope: account}]}
  loan: {value: 6.0}
  card: {value: 5.0}
  note: {value: 1.0}
exclusions: {one-credit: {offers: [loan, card], within: 30d}}
placements:
  once: {offers: [once, note], select: {policy: epsilon_greedy, epsilon: 0.0}}
  budget: {offers: [budget, note], select: {policy: epsilon_greedy, epsilon: 0.0}}
  household: {offers: [household, note], select: {policy: epsilon_greedy, epsilon: 0.0}}
  loan: {offers: [loan, note], select: {policy: epsilon_greedy, epsilon: 0.0}}
  card: {offers: [card, note], select: {policy: epsilon_greedy, epsilon: 0.0}}
  letter: {offers: [note], valid_for: 2h, select: {policy: epsilon_greedy, epsilon: 0.0}}
contact_policy: {channels: {email: {max: 1, per: 7d}}}
"""


@pytest.fixture
async def bench(valkey_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    """One worker, and nothing in the store."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    async with workbench(valkey_url, tmp_path / "log", tmp_path / "bundle") as one:
        await one.client.call([("FLUSHALL",)])
        yield one


async def decide(bench: Bench, place: str, request_id: str, deferred: bool = False, **fields: Any) -> DecideResponse:
    """Return what somebody is answered."""
    ordinary: dict[str, Any] = {"context": Context(channel="web"), "account_id": "home"}
    request = DecideRequest(request_id, "ada", place, deferred=deferred, **(ordinary | fields))
    return DecideResponse.FromString(await bench.batcher.submit(request, bench.live))


async def shown(bench: Bench, place: str, request_id: str, **fields: Any) -> str:
    """Return the offer that is answered, empty: none."""
    answer = await decide(bench, place, request_id, **fields)
    return answer.slots[0].offer_id if answer.slots else ""


async def see(bench: Bench, answer: DecideResponse, event_id: str, offer_id: str | None = None, channel: str = "web") -> None:
    """Report that an answer was seen, now."""
    found = Counting(bench.live).event(
        "exposure",
        EventKey("ada", event_id),
        decision_id=answer.decision_id,
        offer_id=answer.slots[0].offer_id if offer_id is None else offer_id,
        account_id="home",
        channel=channel,
        time_zone="",
        occurred_at_ms=bench.hands.ms,
        now_ms=bench.hands.ms,
    )
    assert found is not None
    await RedisContactEvents(bench.client, budget_ms=2000).count([found])


PLACES = ["once", "budget", "household"]


@pytest.mark.parametrize("place", PLACES)
async def test_an_unseen_decision_holds_its_place_and_gives_it_back(bench: Bench, place: str) -> None:
    """While its lease lasts nobody else gets the place; when it ends unseen nothing was counted."""
    assert await shown(bench, place, "r1", deferred=True) == place
    assert await shown(bench, place, "r2") == "note"
    bench.hands.ms += 11 * MINUTE
    assert await shown(bench, place, "r3") == place


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("whole", [False, True])
async def test_its_exposure_counts_it(bench: Bench, place: str, whole: bool) -> None:
    """Seen in time it counts for the cap's window from then on, whether the event names the offer or the whole answer."""
    answer = await decide(bench, place, "r1", deferred=True)
    assert is_deferred(answer.decision_id)
    bench.hands.ms += 5 * MINUTE
    await see(bench, answer, "e1", "" if whole else None)
    bench.hands.ms += 60 * MINUTE
    assert await shown(bench, place, "r2") == "note"
    bench.hands.ms += 7 * DAY
    assert await shown(bench, place, "r3") == place


@pytest.mark.parametrize("place", PLACES)
async def test_a_late_exposure_counts_it_once(bench: Bench, place: str) -> None:
    """After the lease has ended its exposure still counts, and further ones do not."""
    answer = await decide(bench, place, "r1", deferred=True)
    bench.hands.ms += 30 * MINUTE
    for i in range(3):
        await see(bench, answer, f"e{i}")
    assert await shown(bench, place, "r2") == "note"
    caps = [cap for cap in bench.live.bundle.caps if cap.name.startswith(place)]
    assert len(caps) == 1
    if caps[0].scope == "total":
        (key,) = (await bench.client.call([("KEYS", "lg:{%t:*}:h")]))[0]
        (raw,) = await bench.client.call([("GET", key)])
        assert total_count(raw, bench.hands.ms) == 1
    else:
        (raw,) = await bench.client.call([("GET", "lg:{ada}:h" if caps[0].scope == "person" else "lg:{%a:home}:h")])
        assert live_counts([raw], np.frombuffer(caps[0].cap_id, dtype="<u8"), np.array([bench.hands.ms])).tolist() == [[1]]


async def test_exclusions_hold_meanwhile_and_after_the_exposure(bench: Bench) -> None:
    """A deferred choice excludes the others while it may still be shown, no longer if it was not, and for good once it was."""
    await decide(bench, "loan", "r1", deferred=True)
    assert await shown(bench, "card", "r2", dry_run=True) == "note"
    bench.hands.ms += 11 * MINUTE
    answer = await decide(bench, "loan", "r3", deferred=True)
    assert await shown(bench, "card", "r4", dry_run=True) == "note"
    await see(bench, answer, "e1")
    bench.hands.ms += DAY
    assert await shown(bench, "card", "r5") == "note"


@pytest.mark.parametrize("channel", ["", "email"])
async def test_a_contact_counts_with_the_first_exposure(bench: Bench, channel: str) -> None:
    """A deferred letter is a contact once it was seen, whether the event says the channel or not; its lease lasts as long as the answer."""
    email = Context(channel="email")
    answer = await decide(bench, "letter", "r1", deferred=True, context=email)
    bench.hands.ms += 119 * MINUTE
    assert await shown(bench, "letter", "r2", context=email) == ""
    await see(bench, answer, "e1", channel=channel)
    bench.hands.ms += DAY
    assert await shown(bench, "letter", "r3", context=email) == ""


async def test_a_retry_has_the_same_id_and_one_lease(bench: Bench) -> None:
    """The same request again is the same deferred decision, with one row in the log."""
    first = await decide(bench, "once", "r1", deferred=True)
    again = await decide(bench, "once", "r1", deferred=True)
    assert first == again
    (record,) = bench.records
    assert (record.decision_id, record.deferred) == (first.decision_id, True)


async def test_an_ordinary_decision_is_counted_by_no_exposure(bench: Bench) -> None:
    """What is not deferred counts when it is decided, and its exposure concerns no cap that counts decisions."""
    answer = await decide(bench, "once", "r1")
    assert not is_deferred(answer.decision_id)
    found = Counting(bench.live).event(
        "exposure",
        EventKey("ada", "e1"),
        decision_id=answer.decision_id,
        offer_id="once",
        account_id="",
        channel="",
        time_zone="",
        occurred_at_ms=NOW_MS,
        now_ms=NOW_MS,
    )
    assert found is None


def test_the_mark_stays_within_an_id() -> None:
    """A deferred id is the id with another version digit: as long, as unique, in the same order, and marked once."""
    plain = "0190f3c2a1b27c3d8e4f5a6b7c8d9e0f"
    marked = deferred_id(plain)
    assert (len(marked), deferred_id(marked), is_deferred(marked), is_deferred(plain)) == (32, marked, True, False)
    assert marked[:12] + marked[13:] == plain[:12] + plain[13:]
    assert deferred_id("") == ""
    assert not is_deferred("")
