"""Claims and events of people who are held out of some offers: judged by both histories, each charged its part. On every backend."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from liftgate.domain.contact_history import live_counts
from liftgate.domain.total_counter import total_count
from liftgate.pipeline.contact_ports import TotalCount
from liftgate.pipeline.ports import MARKER, AccountClaim, Amendment, Charge, Claim, ClaimOutcome, ClaimStatus, PersonKey, TotalUse, Watch
from tests.contract.conftest import Backend
from tests.contract.test_contact_events import COUNTED, LEASE, cap, counts, event
from tests.contract.test_profile_store import SCHEMA
from tests.contract.test_reservations import CAP_A, CAP_B, DAY, MADE, NOW, charge, claim, entry
from tests.contract.test_shared_caps import BUDGET, HOME, total

REACHED = ClaimStatus.CAP_REACHED


def partly(
    i: int,
    *charges: Charge,
    withheld: tuple[Charge, ...] = (),
    watch: Watch | None = None,
    account: AccountClaim | None = None,
    totals: tuple[TotalUse, ...] = (),
    person: str = "p",
) -> Claim:
    """Return the i-th claim of somebody partly held out."""
    made = claim(i, *charges, person=person)
    return replace(made, partly=True, withheld=withheld, watch=watch or Watch(), account=account, totals=totals)


async def sides(backend: Backend, cap_id: bytes = CAP_A, now_ms: int = NOW) -> tuple[int, int]:
    """Return what counts of a cap by the person: real, ghost."""
    return await counts(backend, cap_id, False, now_ms), await counts(backend, cap_id, True, now_ms)


async def test_what_is_shown_counts_for_real_and_what_is_withheld_among_ghosts(backend: Backend) -> None:
    """A made claim charges its charges to the real history and what it withholds to the ghost one."""
    reservations = backend.reservations()
    assert list(await reservations.reserve([partly(1, charge(CAP_A), withheld=(charge(CAP_B),))])) == [MADE]
    assert await backend.history("p") == entry(CAP_A, 1, NOW + DAY, NOW + 7 * DAY)
    assert await backend.history("p", ghost=True) == entry(CAP_B, 1, NOW + DAY, NOW + 7 * DAY)


async def test_room_is_that_of_both_together(backend: Backend) -> None:
    """Real and ghost entries use up one limit; who is refused sees them all, and others of the person the real ones alone."""
    reservations = backend.reservations()
    some = [partly(1, charge(limit=3)), partly(2, withheld=(charge(limit=3),)), partly(3, charge(limit=3))]
    assert list(await reservations.reserve(some)) == [MADE] * 3
    assert await sides(backend) == (2, 1)
    for late in (partly(4, charge(limit=3)), partly(5, withheld=(charge(limit=3),))):
        (outcome,) = await reservations.reserve([late])
        assert (outcome.status, outcome.charge) == (REACHED, 0)
        assert live_counts([outcome.history], np.frombuffer(CAP_A, dtype="<u8"), np.array([NOW])).tolist() == [[3]]
    assert await sides(backend) == (2, 1)
    assert list(await reservations.reserve([claim(6, charge(limit=3))])) == [MADE], "nobody else is held to what was not shown"


async def test_one_claim_is_judged_whole(backend: Backend) -> None:
    """What one claim shows and withholds of one cap needs room for both; the index of what had none counts on from the shown ones."""
    reservations = backend.reservations()
    late = partly(1, charge(CAP_A, 9), charge(CAP_B, 1), withheld=(charge(CAP_A, 9), charge(CAP_B, 1)))
    assert list(await reservations.reserve([late])) == [ClaimOutcome(REACHED, charge=3, history=b"")]
    assert await sides(backend) == (0, 0)
    assert list(await reservations.reserve([partly(1, charge(CAP_B, 2), withheld=(charge(CAP_B, 2),))])) == [MADE]
    assert await sides(backend, CAP_B) == (1, 1)


async def test_a_watch_sees_both(backend: Backend) -> None:
    """A claim that watches a cap is refused when real and ghost entries together are more than stated."""
    reservations = backend.reservations()
    await reservations.reserve([partly(1, charge(limit=9), withheld=(charge(limit=9),))])
    (outcome,) = await reservations.reserve([partly(2, watch=Watch(((CAP_A, 1),)))])
    assert (outcome.status, outcome.charge) == (REACHED, -1)
    assert list(await reservations.reserve([partly(2, watch=Watch(((CAP_A, 2),)))])) == [MADE]
    assert list(await reservations.reserve([replace(claim(3), watch=Watch(((CAP_A, 1),)))])) == [MADE]


@pytest.mark.parametrize("ghost", [False, True])
async def test_damage_on_either_side_fails_closed(backend: Backend, ghost: bool) -> None:
    """A damaged real or ghost history refuses the claim, and is left as it is."""
    await backend.put_history("p", b"x" * 33, ghost)
    (outcome,) = await backend.reservations().reserve([partly(1, withheld=(charge(),))])
    assert (outcome.status, outcome.charge) == (REACHED, 0)
    assert live_counts([outcome.history], np.frombuffer(CAP_A, dtype="<u8"), np.array([NOW])).min() > 10**9
    assert await backend.history("p", ghost) == b"x" * 33
    assert list(await backend.reservations().reserve([partly(2)])) == [MADE], "a claim without caps does not depend on it"


async def test_markers_keep_two_on_a_side(backend: Backend) -> None:
    """Charges that only say that something happened do not grow a history, whichever side they are on."""
    reservations = backend.reservations()
    for i in range(1, 8):
        marks = (charge(CAP_A, MARKER),)
        assert list(await reservations.reserve([partly(i, *(marks if i % 2 else ()), withheld=() if i % 2 else marks)])) == [MADE]
    assert max(await sides(backend)) <= 2
    assert min(await sides(backend)) >= 1


async def test_a_retry_is_answered_and_charged_once(backend: Backend) -> None:
    """The request_id is remembered with both charges; a repeat charges neither side again."""
    reservations = backend.reservations()
    made = partly(1, charge(), withheld=(charge(CAP_B),))
    await reservations.reserve([made])
    (again,) = await reservations.reserve([made])
    assert (again.status, again.response) == (ClaimStatus.DUPLICATE_PENDING, made.response)
    assert (await sides(backend), await sides(backend, CAP_B)) == ((1, 0), (0, 1))


async def test_an_amendment_gives_both_back(single_backend: Backend) -> None:
    """Undoing a claim takes its entries out of all four histories and its counts out of both counters, and nobody else's."""
    backend = single_backend
    reservations = backend.reservations()

    def one(i: int, person: str) -> Claim:
        account = AccountClaim("home", (charge(HOME, 9),), withheld=(charge(HOME, 9),))
        use = replace(total(9, count=1), withheld=2)
        return partly(i, charge(CAP_A, 9), withheld=(charge(CAP_A, 9),), account=account, totals=(use,), person=person)

    first, second = one(1, "p"), one(2, "p")
    assert list(await reservations.reserve([first, second])) == [MADE] * 2
    await reservations.amend([Amendment(first, b"")])
    await reservations.amend([Amendment(first, b"")])
    assert await sides(backend) == (1, 1)
    assert await shared(backend) == (1, 1, 1, 2)
    assert list(await reservations.look([first])) == [MADE]


async def shared(backend: Backend, now_ms: int = NOW) -> tuple[int, int, int, int]:
    """Return what counts of HOME by the account, and of BUDGET in total: real, ghost, real, ghost."""
    ids, now = np.frombuffer(HOME, dtype="<u8"), np.array([now_ms])
    found = []
    for ghost in (False, True):
        fetched = await backend.profiles().fetch([PersonKey("p", ghost, account_id="home")], SCHEMA)
        found.append(int(live_counts([fetched.account_history.get(0)], ids, now)[0, 0]))
    if backend.client is None:
        buckets = [backend.fake_profiles.totals.get((BUDGET, ghost), {}) for ghost in (False, True)]
        totals = [int(sum(count for until, count in each.items() if until > now_ms)) for each in buckets]
    else:
        from liftgate.adapters import redis_keys

        raws = [await backend.client.call([("GET", redis_keys.total(BUDGET, ghost))]) for ghost in (False, True)]
        totals = [total_count(raw, now_ms) for (raw,) in raws]
    return found[0], found[1] - found[0], totals[0], totals[1]


async def test_accounts_and_totals_are_charged_their_parts(single_backend: Backend) -> None:
    """Of an account both entries are judged, and each is charged its part; of a total what is withheld needs room and spends none."""
    backend = single_backend
    reservations = backend.reservations()

    def one(i: int, limit: int, count: int, withheld: int) -> Claim:
        account = AccountClaim("home", (charge(HOME, 3),), withheld=(charge(HOME, 3),))
        return partly(i, account=account, totals=(replace(total(limit, count=count), withheld=withheld),))

    assert list(await reservations.reserve([one(1, 3, 1, 2)])) == [MADE]
    assert await shared(backend) == (1, 1, 1, 2)
    (outcome,) = await reservations.reserve([one(2, 9, 1, 1)])
    assert (outcome.status, outcome.charge, outcome.total_counts) == (REACHED, 1, (1,)), "the second of two on the account has no room"
    (outcome,) = await reservations.reserve([partly(3, totals=(replace(total(3, count=1), withheld=2),))])
    assert (outcome.status, outcome.charge) == (REACHED, 0)
    assert await shared(backend) == (1, 1, 1, 2)
    (outcome,) = await reservations.reserve([partly(4, totals=(replace(total(3, count=0), withheld=2),))])
    assert outcome == MADE
    assert await shared(backend) == (1, 1, 1, 4)


async def test_a_shared_lease_is_committed_on_its_side(single_backend: Backend) -> None:
    """An exposure of a withheld offer moves the ghost lease of a total counter, one of a shown offer the real one."""
    backend = single_backend
    use = replace(total(9, count=1, until=NOW + LEASE, leased=True), withheld=1)
    assert list(await backend.reservations().reserve([partly(1, totals=(use,))])) == [MADE]
    counted = TotalCount(BUDGET, use.receipt_id, NOW + DAY, False)
    await backend.contacts().count([replace(event("e1", of=1, held_out=True, totals=(counted,)), partly=True)])
    assert (await shared(backend, NOW + LEASE))[2:] == (0, 1)
    await backend.contacts().count([replace(event("e2", of=1, totals=(counted,)), partly=True)])
    assert (await shared(backend, NOW + LEASE))[2:] == (1, 1)


@pytest.mark.parametrize("withheld", [False, True])
async def test_an_event_commits_the_lease_where_it_lies(backend: Backend, withheld: bool) -> None:
    """The exposure of a shown offer counts for real, that of a withheld one among ghosts; the other lease stays a lease."""
    await backend.reservations().reserve([partly(1, charge(lease_ms=LEASE), withheld=(charge(lease_ms=LEASE),))])
    seen = replace(event("e1", cap(), of=1, held_out=withheld), partly=True)
    assert list(await backend.contacts().count([seen])) == [COUNTED]
    assert await sides(backend, now_ms=NOW + LEASE) == ((0, 1) if withheld else (1, 0))


async def test_what_the_bundle_does_not_say_the_lease_does(backend: Backend) -> None:
    """Whatever is thought of the person now, a lease on one side alone is the one that counts."""
    reservations, contacts = backend.reservations(), backend.contacts()
    await reservations.reserve([partly(1, charge(lease_ms=LEASE)), partly(2, withheld=(charge(lease_ms=LEASE),))])
    await contacts.count([replace(event(f"e{i}", cap(), of=i, held_out=i == 1), partly=True) for i in (1, 2)])
    assert await sides(backend, now_ms=NOW + LEASE) == (1, 1)


async def test_an_event_of_a_whole_answer_commits_both_sides(backend: Backend) -> None:
    """Where the event names no offer, what was shown and what would have been are both activated, and nothing is added."""
    await backend.reservations().reserve([partly(1, charge(lease_ms=LEASE), withheld=(charge(CAP_B, lease_ms=LEASE),))])
    whole = replace(event("e1", cap(leased_only=True), cap(CAP_B, leased_only=True), of=1), partly=True, both=True)
    await backend.contacts().count([whole])
    assert await sides(backend, now_ms=NOW + LEASE) == (1, 0)
    assert await sides(backend, CAP_B, now_ms=NOW + LEASE) == (0, 1)


async def test_a_click_counts_for_real(backend: Backend) -> None:
    """What nothing was held for counts for real, where both worlds of the person see it; a withheld decision's among its ghosts."""
    contacts = backend.contacts()
    await contacts.count([replace(event("e1", cap(), held_out=True), partly=True), replace(event("e2", cap()), partly=True)])
    assert await sides(backend) == (2, 0)
    await backend.reservations().reserve([partly(1, withheld=(charge(CAP_B, lease_ms=LEASE),))])
    await contacts.count([replace(event("e3", cap(), of=1, held_out=True), partly=True)])
    assert await sides(backend) == (2, 1)


async def test_a_deferred_decision_counts_once(backend: Backend) -> None:
    """Its lease becomes a count by the first exposure; further ones, and one after the lease has ended, add no second."""
    reservations, contacts = backend.reservations(), backend.contacts()
    await reservations.reserve([claim(1, charge(lease_ms=LEASE))])
    once = replace(cap(), once=True)
    await contacts.count([event("e1", once, of=1), event("e2", once, of=1)])
    assert await counts(backend, now_ms=NOW + LEASE) == 1
    late = NOW + 2 * LEASE
    await reservations.reserve([claim(2, charge(lease_ms=LEASE))])
    await contacts.count([event(f"l{i}", once, of=2, now_ms=late) for i in range(3)])
    assert await counts(backend, now_ms=late) == 2
    await contacts.count([event("e4", replace(once, leased_only=True), of=3)])
    assert await counts(backend) == 2, "leased only: nothing was held"


async def test_a_deferred_decision_spends_a_budget_once(single_backend: Backend) -> None:
    """The lease on a total counter moves to its window by the first exposure; further ones move and add nothing."""
    backend = single_backend
    use = total(9, until=NOW + LEASE, leased=True)
    await backend.reservations().reserve([replace(claim(i), totals=(use,)) for i in (1, 2)])
    counted = TotalCount(BUDGET, use.receipt_id, NOW + DAY, False, once=True)
    await backend.contacts().count([event(f"e{i}", of=1, totals=(counted,)) for i in range(3)])
    assert (await shared(backend))[2] == 2
    assert (await shared(backend, NOW + LEASE))[2] == 1
    late = [event(f"l{i}", of=2, totals=(counted,), now_ms=NOW + LEASE) for i in range(2)]
    await backend.contacts().count(late)
    assert (await shared(backend, NOW + LEASE))[2] == 2, "late, and once all the same"


@pytest.mark.parametrize("seed", range(6))
async def test_generated_claims_agree_with_a_ledger(backend: Backend, seed: int) -> None:
    """Generated claims of people of all three kinds, at once: never more real entries than a limit, and never more of both together."""
    rng = random.Random(seed)
    limits = {CAP_A: rng.randint(1, 4), CAP_B: rng.randint(1, 4)}
    people = {f"p{i}": i % 3 for i in range(6)}
    claims = []
    for i in range(1, 121):
        person = rng.choice(list(people))
        some, others = (tuple(charge(cap_id, limits[cap_id]) for cap_id in limits if rng.random() < 0.6) for _ in range(2))
        kind = people[person]
        claims.append(partly(i, *some, withheld=others, person=person) if kind == 1 else claim(i, *some, person=person, ghost=kind == 2))
    calls = [backend.reservations().reserve(claims[at : at + 5]) for at in range(0, len(claims), 5)]
    outcomes = [outcome for chunk in await asyncio.gather(*calls) for outcome in chunk]
    made = [one for one, outcome in zip(claims, outcomes, strict=True) if outcome == MADE]
    real: Counter[tuple[str, bytes]] = Counter()
    ghost: Counter[tuple[str, bytes]] = Counter()
    for one in made:
        (ghost if one.ghost else real).update((one.person_id, each.cap_id) for each in one.charges)
        ghost.update((one.person_id, each.cap_id) for each in one.withheld)
    assert all(count <= limits[key[1]] for key, count in real.items())
    assert all(real[key] + ghost[key] <= limits[key[1]] for key in real | ghost if people[key[0]] == 1)
    met = sum(real[person, cap_id] + ghost[person, cap_id] == limits[cap_id] for person in people for cap_id in limits)
    assert met >= 6, "limits are met, or the test shows nothing"
    for person in people:
        for cap_id in limits:
            ids = np.frombuffer(cap_id, dtype="<u8")
            stored = [live_counts([await backend.history(person, side)], ids, np.array([NOW]))[0, 0] for side in (False, True)]
            assert stored == [real[person, cap_id], ghost[person, cap_id]]
