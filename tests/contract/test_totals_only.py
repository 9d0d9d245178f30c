"""Claims over one person's history and total counters, as most of a bundle with total caps are: judged like the fake, whatever comes."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from liftgate.adapters import redis_keys
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.total_counter import BUCKET
from liftgate.pipeline.ports import AccountClaim, Charge, Claim, ClaimOutcome, ClaimStatus, TotalUse, Watch
from tests.contract.conftest import Backend
from tests.contract.test_reservations import CAP_A, CAP_B, DAY, MADE, MINUTE, NOW, charge, claim

BUDGETS = [b"budget-%d" % i for i in range(3)]
PEOPLE = [f"p{i}" for i in range(5)]
MAX_ENTRIES = 512


def use(budget: int = 0, limit: int = 3, count: int = 1, most: int = 10**9, until: float = NOW + DAY, leased: bool = False) -> TotalUse:
    """Return a charge on one of the counters, or a watch on it with `count` 0."""
    return TotalUse(BUDGETS[budget], b"receipt%d" % budget, most, limit, until, leased, count)


async def counter(backend: Backend, budget: int, ghost: bool = False) -> dict[float, float]:
    """Return a stored counter's buckets that count anything at `NOW`."""
    if backend.client is None:
        buckets = backend.fake_profiles.totals.get((BUDGETS[budget], ghost), {})
    else:
        (raw,) = await backend.client.call([("GET", redis_keys.total(BUDGETS[budget], ghost))], 5.0)
        buckets = dict(BUCKET.iter_unpack(raw or b""))
    return {until: count for until, count in buckets.items() if until > NOW and count}


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_comes_is_judged_and_stored_as_by_the_fake(single_backend: Backend, seed: int) -> None:
    """Calls of many claims, uses shared between them or not, full or not: the same outcomes, histories and counters, byte for byte."""
    rng = random.Random(seed)
    model = Backend("fake")
    ours, theirs = single_backend.reservations(), model.reservations()
    limits, steps = [rng.choice([1, 4, 12, 40]) for _ in BUDGETS], (10 * MINUTE, DAY)

    def uses() -> tuple[TotalUse, ...]:
        budgets = sorted(rng.sample(range(3), rng.randint(0, 3)))
        found = []
        for b in budgets:
            count, step = rng.choice([0, 0, 1, 1, 2]), rng.choice(steps)
            found.append(use(b, limits[b], count, rng.choice([limits[b] - 1, limits[b], 10**9]), NOW + step, step < DAY))
        return tuple(found)

    number = 0
    for _ in range(4):
        known, charged = [uses() for _ in range(4)], [(), (charge(CAP_A, 4),), (charge(CAP_A, 4), charge(CAP_B, 2, 10 * MINUTE))]
        watches = [Watch(), Watch(((CAP_A, 2),)), Watch(((CAP_A, 0), (CAP_B, 1)))]
        claims: list[Claim] = []
        for _ in range(rng.choice([1, 2, 25, 70])):
            number += 1
            made = claim(rng.randint(1, number), *rng.choice(charged), person=rng.choice(PEOPLE), ghost=rng.random() < 0.2)
            made = replace(made, reservation_id=number.to_bytes(8, "big"), request_id=rng.choice([made.request_id, "", f"n{number}"]))
            shared = rng.choice(known)
            alone = tuple(replace(each) for each in shared)
            claims.append(replace(made, watch=rng.choice(watches), totals=rng.choice([shared, alone]), now_ms=NOW + rng.choice([0, 0, 5])))
        outcomes = await ours.reserve(claims)
        assert list(outcomes) == list(await theirs.reserve([replace(each) for each in claims]))
    for person in PEOPLE:
        for ghost in (False, True):
            assert (await single_backend.history(person, ghost) or b"") == (await model.history(person, ghost) or b"")
    for b in range(3):
        for ghost in (False, True):
            assert await counter(single_backend, b, ghost) == await counter(model, b, ghost)


async def test_a_counter_fills_up_within_one_call(single_backend: Backend) -> None:
    """Of five claims that share one use of a counter with room for three, the first three are made; the rest change nothing."""
    shared = (use(limit=3),)
    claims = [replace(claim(i, charge(), person=f"p{i}"), totals=shared) for i in range(5)]
    outcomes = await single_backend.reservations().reserve(claims)
    assert list(outcomes) == [MADE] * 3 + [ClaimOutcome(ClaimStatus.CAP_REACHED, 1, total_counts=(3,))] * 2
    assert await counter(single_backend, 0) == {NOW + DAY: 3}
    assert [bool(await single_backend.history(f"p{i}")) for i in range(5)] == [True] * 3 + [False] * 2


async def test_a_watched_counter_loses_a_claim_that_charges_nothing(single_backend: Backend) -> None:
    """A use that is only watched is judged too, beside one that is charged and would have room."""
    reservations = single_backend.reservations()
    assert list(await reservations.reserve([replace(claim(1), totals=(use(0), use(1, count=0)))])) == [MADE]
    (lost,) = await reservations.reserve([replace(claim(2), totals=(use(0, count=0, most=0), use(1)))])
    assert lost.status is ClaimStatus.CAP_REACHED
    assert lost.charge == -1
    assert await counter(single_backend, 1) == {}


async def test_a_full_history_takes_no_receipts(single_backend: Backend) -> None:
    """Receipts count as entries: where they would be more than a history has, the claim is lost and the counter stays."""
    full = b"".join(ENTRY.pack(b"another.", i.to_bytes(8, "big"), NOW + DAY, NOW + DAY) for i in range(MAX_ENTRIES - 2))
    await single_backend.put_history("p", full)
    reservations = single_backend.reservations()
    charged: tuple[Charge, ...] = (charge(),)
    lost, made = await reservations.reserve([replace(claim(i, *charged), totals=(use(limit=9, count=3 - i),)) for i in (1, 2)])
    assert (lost.status, made) == (ClaimStatus.CAP_REACHED, MADE)
    assert await counter(single_backend, 0) == {NOW + DAY: 1}
    assert len(await single_backend.history("p") or b"") == 32 * MAX_ENTRIES


@pytest.mark.parametrize(
    ("room", "late", "place"),
    [
        pytest.param(1, claim(9, charge()), 1, id="the person's charge fits, no receipt does"),
        pytest.param(2, claim(9, charge()), 1, id="one receipt fits, its second total's does not"),
        pytest.param(0, claim(9), 0, id="there are no other charges"),
        pytest.param(
            1, replace(claim(9), account=AccountClaim("home", (charge(), charge(CAP_B)))), 2, id="the account's charges come before"
        ),
        pytest.param(1, replace(claim(9), partly=True, withheld=(charge(CAP_B),)), 1, id="the other side has room"),
    ],
)
async def test_receipts_without_room_name_the_first_total(single_backend: Backend, room: int, late: Claim, place: int) -> None:
    """Where receipts do not fit, the charge named is the first total's; the histories and counters that are told are those before."""
    full = b"".join(ENTRY.pack(b"another.", i.to_bytes(8, "big"), NOW + DAY, NOW + DAY) for i in range(MAX_ENTRIES - room))
    await single_backend.put_history("p", full)
    asked = replace(late, totals=(use(2, count=0), use(0, limit=9), use(1, limit=9, count=2)))
    (lost,) = await single_backend.reservations().reserve([asked])
    assert (lost.status, lost.charge, lost.history, lost.total_counts) == (ClaimStatus.CAP_REACHED, place, full, (0, 0, 0))
    assert [await counter(single_backend, b) for b in range(3)] == [{}, {}, {}]
    assert await single_backend.history("p") == full
