"""The ContactEvents port, sentence by sentence, on every backend."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.adapters.redis_events import RedisEventsSeen
from liftgate.domain.contact_history import ENTRY, live_counts
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.pause import Pause
from liftgate.domain.total_counter import total_count
from liftgate.pipeline.contact_ports import CapCount, ContactEvent, CountStatus, TotalCount
from liftgate.pipeline.event_ports import EventKey, Seen
from liftgate.pipeline.ports import PersonKey
from tests.contract.conftest import BUDGET_MS, Backend
from tests.contract.test_profile_store import SCHEMA
from tests.contract.test_reservations import CAP_A, CAP_B, DAY, MADE, MINUTE, NOW, charge, claim
from tests.contract.test_shared_caps import BUDGET, HOME, total, wide

LEASE = 600_000
COUNTED, KNOWN = CountStatus.COUNTED, CountStatus.KNOWN
PAUSED, OUTCOMES = b"paused\0\0", b"outcomes"


def cap(cap_id: bytes = CAP_A, until: float = NOW + 7 * DAY, leased_only: bool = False, lease_window: bool = False) -> CapCount:
    """Return a count against a cap, for a week unless said otherwise."""
    return CapCount(cap_id, until, leased_only, lease_window)


def event(
    name: str,
    *caps: CapCount,
    of: int = 0,
    now_ms: int = NOW,
    at: int | None = None,
    held_out: bool = False,
    unsure: bool = False,
    account: tuple[CapCount, ...] = (),
    totals: tuple[TotalCount, ...] = (),
    pauses: tuple[Pause, ...] = (),
    person: str = "p",
) -> ContactEvent:
    """Return an event of the `of`-th claim's decision, 0: of none that is known."""
    reservation = of.to_bytes(8, "big") if of else b""
    shared = "home" if account else ""
    key = EventKey(person, name)
    return ContactEvent(key, reservation, now_ms, now_ms if at is None else at, held_out, unsure, shared, caps, account, totals, pauses)


def pause(after: int = 1, within: int = 0, lasts: int = 30 * DAY) -> Pause:
    """Return a pause after dismissals."""
    return Pause(PAUSED, OUTCOMES, "dismiss", after, within, lasts, frozenset({0}), None)


async def counts(backend: Backend, cap_id: bytes = CAP_A, ghost: bool = False, now_ms: int = NOW) -> int:
    """Return what counts of a cap by the person."""
    ids = np.frombuffer(cap_id, dtype="<u8")
    return int(live_counts([await backend.history("p", ghost)], ids, np.array([now_ms]))[0, 0])


async def test_an_exposure_commits_the_lease_of_its_decision(backend: Backend) -> None:
    """The decision's entry lives to the end of the exposure's own window and nothing is added; others' leases stay leases."""
    reservations, contacts = backend.reservations(), backend.contacts()
    leased = [claim(i, charge(lease_ms=LEASE)) for i in (1, 2)]
    assert list(await reservations.reserve(leased)) == [MADE, MADE]
    later = NOW + LEASE // 2
    assert list(await contacts.count([event("e1", cap(until=later + 7 * DAY), of=1, now_ms=later)])) == [COUNTED]
    assert await counts(backend, now_ms=later) == 2
    assert await counts(backend, now_ms=NOW + LEASE) == 1, "the other lease has ended"
    assert await counts(backend, now_ms=later + 7 * DAY - 1) == 1
    assert await counts(backend, now_ms=later + 7 * DAY) == 0


async def test_an_event_counts_once(backend: Backend) -> None:
    """The same event again, in one call or later, is KNOWN and changes nothing; it is known as logged."""
    contacts = backend.contacts()
    one = event("e1", cap())
    assert list(await contacts.count([one, one])) == [COUNTED, KNOWN]
    assert list(await backend.contacts().count([one])) == [KNOWN] if backend.client else True
    assert await counts(backend) == 1
    if backend.client is not None:
        assert (await RedisEventsSeen(backend.client, budget_ms=BUDGET_MS).look([one.key])).seen == [Seen.LOGGED]


async def test_an_event_that_counts_nowhere_is_known_all_the_same(backend: Backend) -> None:
    """Without caps, pauses and features an event is COUNTED once, and what is only to be remembered is KNOWN."""
    contacts = backend.contacts()
    bare, other = event("e1"), event("e2", cap())
    assert list(await contacts.count([bare, bare], [other.key])) == [COUNTED, KNOWN]
    assert list(await contacts.count([other])) == [KNOWN]
    assert await counts(backend) == 0


async def test_a_second_exposure_of_a_decision_counts_by_itself(backend: Backend) -> None:
    """Two exposures of one decision are two events: the first takes the lease, the second stands alone."""
    contacts = backend.contacts()
    await backend.reservations().reserve([claim(1, charge(lease_ms=LEASE))])
    await contacts.count([event("e1", cap(), of=1), event("e2", cap(), of=1)])
    assert await counts(backend, now_ms=NOW + LEASE) == 2


async def test_a_late_exposure_still_counts(backend: Backend) -> None:
    """After the lease has ended an exposure counts by itself, for the window of its own time; not at all when that has ended too."""
    contacts = backend.contacts()
    await backend.reservations().reserve([claim(1, charge(lease_ms=LEASE))])
    late = NOW + 2 * LEASE
    assert await counts(backend, now_ms=late) == 0
    shown_at = NOW + LEASE // 2
    await contacts.count([event("e1", cap(until=shown_at + 7 * DAY), of=1, now_ms=late, at=shown_at)])
    assert await counts(backend, now_ms=shown_at + 7 * DAY - 1) == 1
    assert await counts(backend, now_ms=shown_at + 7 * DAY) == 0
    assert list(await contacts.count([event("e2", cap(until=late), of=1, now_ms=late, at=shown_at)])) == [COUNTED]
    assert await counts(backend, now_ms=late) == 1


async def test_the_lease_window_wins_while_it_lasts(backend: Backend) -> None:
    """A lease knows the end of the person's own day; an exposure in the next one counts there."""
    contacts = backend.contacts()
    midnight = NOW + MINUTE
    await backend.reservations().reserve([claim(i, charge(lease_ms=LEASE, window_ms=MINUTE)) for i in (1, 2)])
    before = event("e1", cap(until=NOW + 9 * MINUTE, lease_window=True), of=1, now_ms=midnight - 1)
    after = event("e2", cap(until=NOW + 9 * MINUTE, lease_window=True), of=2, now_ms=midnight)
    await contacts.count([before])
    assert [await counts(backend, now_ms=moment) for moment in (midnight - 1, midnight, NOW + LEASE)] == [2, 1, 0]
    await contacts.count([after])
    assert [await counts(backend, now_ms=moment) for moment in (midnight, NOW + 9 * MINUTE - 1, NOW + 9 * MINUTE)] == [1, 1, 0]


async def test_an_event_without_an_offer_takes_what_is_held(backend: Backend) -> None:
    """Leased only: caps without a lease of the decision are left alone."""
    contacts = backend.contacts()
    await backend.reservations().reserve([claim(1, charge(lease_ms=LEASE))])
    await contacts.count([event("e1", cap(leased_only=True), cap(CAP_B, leased_only=True), of=1)])
    assert (await counts(backend, now_ms=NOW + LEASE), await counts(backend, CAP_B)) == (1, 0)


async def test_one_event_takes_one_lease_of_a_slate(backend: Backend) -> None:
    """Two offers of a slate under one cap hold two leases; the exposure of one commits one."""
    contacts = backend.contacts()
    await backend.reservations().reserve([claim(1, charge(lease_ms=LEASE), charge(lease_ms=LEASE))])
    await contacts.count([event("e1", cap(), of=1)])
    assert (await counts(backend), await counts(backend, now_ms=NOW + LEASE)) == (2, 1)
    await contacts.count([event("e2", cap(), of=1)])
    assert await counts(backend, now_ms=NOW + LEASE) == 2


async def test_ghosts_stay_ghosts(backend: Backend) -> None:
    """An exposure reported for a held-out decision commits the ghost lease and touches nothing real."""
    contacts = backend.contacts()
    await backend.reservations().reserve([claim(1, charge(lease_ms=LEASE), ghost=True)])
    await contacts.count([event("e1", cap(), of=1)])
    assert (await counts(backend, ghost=True, now_ms=NOW + LEASE), await counts(backend)) == (1, 0)
    await contacts.count([event("e2", cap(), held_out=True), event("e3", cap(), of=9, held_out=True)])
    assert (await counts(backend, ghost=True), await counts(backend)) == (3, 0)


async def test_where_nobody_knows_both_sides_count(backend: Backend) -> None:
    """Whether someone is held out depends on their consent and nothing is held for the decision: it counts on both sides."""
    contacts = backend.contacts()
    await contacts.count([event("e1", cap(), held_out=True, unsure=True)])
    assert (await counts(backend, ghost=True), await counts(backend)) == (1, 1)
    await backend.reservations().reserve([claim(1, charge(lease_ms=LEASE))])
    await contacts.count([event("e2", cap(), of=1, held_out=True, unsure=True)])
    assert (await counts(backend, ghost=True, now_ms=NOW + LEASE), await counts(backend, now_ms=NOW + LEASE)) == (1, 2)


async def test_a_full_history_is_said(backend: Backend) -> None:
    """1,024 entries are all that events can fill; what finds no place is IN_PART and not silently dropped."""
    await backend.put_history("p", ENTRY.pack(CAP_B, b"someone!", NOW + DAY, NOW + DAY) * 1023)
    contacts = backend.contacts()
    assert list(await contacts.count([event("e1", cap()), event("e2", cap())])) == [COUNTED, CountStatus.IN_PART]


async def test_a_damaged_history_is_left_alone(backend: Backend) -> None:
    """Events do not mend a damaged history by writing over it: it goes on failing closed."""
    await backend.put_history("p", b"x" * 33)
    assert list(await backend.contacts().count([event("e1", cap())])) == [CountStatus.IN_PART]
    assert await backend.history("p") == b"x" * 33


async def test_clicks_on_an_account_and_in_total(single_backend: Backend) -> None:
    """Accounts and totals count events that nothing was held for."""
    await single_backend.contacts().count(
        [event(f"e{i}", account=(cap(HOME),), totals=(TotalCount(BUDGET, b"receiptb", NOW + DAY, False),)) for i in range(3)]
    )
    fetched = await single_backend.profiles().fetch([PersonKey("p", False, account_id="home")], SCHEMA, None, [BUDGET])
    ids = np.frombuffer(HOME, dtype="<u8")
    assert live_counts([fetched.account_history[0]], ids, np.array([NOW])).tolist() == [[3]]
    assert total_count(fetched.totals[0], NOW) == 3


async def test_a_total_lease_moves_to_its_window(single_backend: Backend) -> None:
    """The lease on a total counter becomes a count in the exposure's own bucket; unexposed leases end."""
    reservations, contacts = single_backend.reservations(), single_backend.contacts()
    use = total(9, until=NOW + LEASE, leased=True)
    await reservations.reserve([wide(i, account=(charge(HOME, lease_ms=LEASE),), totals=(use,)) for i in (1, 2)])

    async def shown(now_ms: int) -> int:
        fetched = await single_backend.profiles().fetch([PersonKey("p", False)], SCHEMA, None, [BUDGET])
        return total_count(fetched.totals[0], now_ms)

    assert await shown(NOW) == 2
    exposed = event("e1", of=1, account=(cap(HOME),), totals=(TotalCount(BUDGET, use.receipt_id, NOW + 7 * DAY, False),))
    await contacts.count([exposed, exposed])
    assert [await shown(moment) for moment in (NOW, NOW + LEASE - 1, NOW + LEASE, NOW + 7 * DAY)] == [2, 2, 1, 0]
    late = replace(exposed, key=EventKey("p", "e2"), reservation_id=(2).to_bytes(8, "big"), now_ms=NOW + LEASE)
    await contacts.count([late])
    assert await shown(NOW + LEASE) == 2, "a late exposure still counts"


async def test_ghost_leases_on_totals_stay_ghosts(single_backend: Backend) -> None:
    """An exposure for a held-out decision moves nothing of the real counter."""
    use = total(9, until=NOW + LEASE, leased=True)
    await single_backend.reservations().reserve([wide(1, totals=(use,), ghost=True)])
    await single_backend.contacts().count([event("e1", of=1, totals=(TotalCount(BUDGET, use.receipt_id, NOW + DAY, False),))])
    fetched = await single_backend.profiles().fetch([PersonKey("p", False)], SCHEMA, None, [BUDGET])
    assert total_count(fetched.totals[0], NOW) == 0


async def test_a_cool_down_begins_with_its_outcome(backend: Backend) -> None:
    """One outcome pauses for as long as declared, from when it happened, and for reservations too."""
    await backend.contacts().count([event("e1", pauses=(pause(lasts=DAY),), at=NOW - 1000)])
    assert [await counts(backend, PAUSED, now_ms=NOW - 1000 + late) for late in (1000, DAY - 1, DAY)] == [1, 1, 0]


async def test_pauses_hold_for_held_out_people_too(backend: Backend) -> None:
    """What a person did is true in both worlds."""
    await backend.contacts().count([event("e1", pauses=(pause(),), held_out=True)])
    assert (await counts(backend, PAUSED), await counts(backend, PAUSED, ghost=True)) == (1, 1)
    await backend.contacts().count([event("e2", pauses=(pause(),), person="q")])
    assert await backend.history("q", ghost=True) in (None, b"")


def reference(times: list[int], one: Pause, now_ms: int) -> bool:
    """Say whether someone with outcomes at these times is paused: the whole rule, on a list."""
    for last in times:
        before = [t for t in times if t <= last]
        enough = one.after == 1 or len([t for t in before if last - t < one.within_ms]) >= one.after
        if enough and last <= now_ms < last + one.lasts_ms:
            return True
    return False


@pytest.mark.parametrize("seed", range(12))
async def test_pauses_agree_with_the_rule_in_any_order(backend: Backend, seed: int) -> None:
    """Generated outcomes, told in any order and late: at every moment after the last it is paused where the rule on a list says so."""
    rng = random.Random(seed)
    for case in range(25 if backend.name == "fake" else 8):
        person = f"p{case}"
        after = rng.randint(1, 4)
        one = pause(after, 0 if after == 1 else rng.randint(1, 30) * MINUTE, rng.randint(1, 40) * MINUTE)
        times = [NOW + rng.randint(0, 60) * MINUTE for _ in range(rng.randint(1, 10))]
        told = list(times)
        rng.shuffle(told)
        now = NOW + 60 * MINUTE
        # Told from the first moment on: what is late only counts as far as it matters still.
        await backend.contacts().count([event(f"e{i}", pauses=(one,), at=t, now_ms=max(told), person=person) for i, t in enumerate(told)])
        raw = await backend.history(person)
        ids = np.frombuffer(PAUSED, dtype="<u8")
        for moment in range(max(times), now + 45 * MINUTE, 3 * MINUTE):
            paused = int(live_counts([raw], ids, np.array([moment]))[0, 0]) > 0
            assert paused == reference(times, one, moment), (one, sorted(t - NOW for t in times), moment - NOW)


async def test_a_store_that_is_away_says_so() -> None:
    """Counting raises StoreUnavailable where nothing listens."""
    away = connect("redis://127.0.0.1:1", 500)
    with pytest.raises(StoreUnavailable):
        await RedisContactEvents(away, budget_ms=500).count([event("e1", cap())])
    assert list(await RedisContactEvents(away).count([])) == []
    await away.close()


def test_a_horizon_of_nothing_is_refused() -> None:
    """A time to live of 0 would mean for ever."""
    with pytest.raises(ValueError, match="horizon"):
        RedisContactEvents(connect("redis://127.0.0.1:1"), horizon_ms=0)


async def test_awkward_keys(backend: Backend) -> None:
    """Ids of people and events are bytes like any others."""
    contacts = backend.contacts()
    events = [event(name, cap(), person=person) for person in ("a}", "{", "%", "é") for name in ("e", "{e}", "e:x")]
    assert set(await contacts.count(events)) == {COUNTED}
    assert set(await contacts.count(events)) == {KNOWN}
    if backend.client is not None:
        (known,) = await backend.client.call([("GET", redis_keys.event("a}", "{e}"))], 5.0)
        assert known == b"L"
