"""Reservations over people, accounts and totals at once: all charged, or none. On every backend but a Cluster."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from liftgate.adapters import redis_keys
from liftgate.domain.contact_history import live_counts
from liftgate.domain.total_counter import bucket_until, total_count
from liftgate.pipeline.ports import AccountClaim, Amendment, Charge, Claim, ClaimOutcome, ClaimStatus, PersonKey, TotalUse, Watch
from tests.contract.conftest import Backend
from tests.contract.test_profile_store import SCHEMA
from tests.contract.test_reservations import CAP_A, CAP_B, DAY, MADE, MINUTE, NOW, charge, claim

HOME, BUDGET, OTHER = b"cap-home", b"budget\0\xff", b"other\0\0\0"
REACHED = ClaimStatus.CAP_REACHED


def total(
    limit: int = 3, count: int = 1, cap: bytes = BUDGET, most: int = 10**9, until: float = NOW + DAY, leased: bool = False
) -> TotalUse:
    """Return a charge on a total counter, or a watch on it with `count` 0."""
    return TotalUse(cap, b"receipt" + cap[:1], most, limit, until, leased, count)


def wide(
    i: int,
    *charges: Charge,
    account: tuple[Charge, ...] = (),
    totals: tuple[TotalUse, ...] = (),
    person: str = "p",
    ghost: bool = False,
    watch: Watch | None = None,
    now_ms: int = NOW,
) -> Claim:
    """Return the i-th claim over all scopes, of the account `home`."""
    shared = AccountClaim("home", account, watch or Watch())
    return replace(claim(i, *charges, person=person, ghost=ghost, now_ms=now_ms), account=shared, totals=totals)


async def used(backend: Backend, person: str = "p", ghost: bool = False, now_ms: int = NOW) -> tuple[int, int, int]:
    """Return what counts now: of CAP_A by the person, of HOME by the account, of BUDGET in total."""
    fetched = await backend.profiles().fetch([PersonKey(person, ghost, account_id="home")], SCHEMA, None, [BUDGET])
    now = np.array([now_ms])
    own = int(live_counts(fetched.history, np.frombuffer(CAP_A, dtype="<u8"), now)[0, 0])
    shared = int(live_counts([fetched.account_history.get(0)], np.frombuffer(HOME, dtype="<u8"), now)[0, 0])
    return own, shared, total_count(fetched.totals[0], now_ms)


async def test_every_scope_is_charged_once(single_backend: Backend) -> None:
    """A made claim counts once with the person, the account and in total, and is read back in one fetch, in either layout."""
    reservations = single_backend.reservations()
    made = wide(1, charge(), account=(charge(HOME),), totals=(total(),))
    assert list(await reservations.reserve([made])) == [MADE]
    assert await used(single_backend) == (1, 1, 1)
    if single_backend.client is not None:
        fetched = await single_backend.profiles("hash").fetch([PersonKey("p", False, account_id="home")], SCHEMA, None, [OTHER, BUDGET])
        assert [total_count(raw, NOW) for raw in fetched.totals] == [0, 1]
        assert len(fetched.account_history[0] or b"") == 32


@pytest.mark.parametrize("full", ["person", "account", "total", "second total", "watched total", "watched account"])
async def test_one_full_cap_charges_nothing(single_backend: Backend, full: str) -> None:
    """Whichever of several caps is full, nothing is charged anywhere, and the claim is told which one and what counts."""
    reservations = single_backend.reservations()
    assert list(await reservations.reserve([wide(i, charge(), account=(charge(HOME),), totals=(total(),)) for i in range(2)])) == [MADE] * 2
    before = await used(single_backend)
    own, home, budget = charge(limit=9), charge(HOME, 9), total(9)
    more: tuple[TotalUse, ...] = (total(9, cap=OTHER),)
    watch = Watch()
    place = {"person": 0, "account": 1, "total": 2, "second total": 3}.get(full, -1)
    if full == "person":
        own = charge(limit=2)
    elif full == "account":
        home = charge(HOME, 2)
    elif full == "total":
        budget = total(2)
    elif full == "second total":
        more = (total(0, cap=OTHER),)
    elif full == "watched total":
        more = (total(9, count=0, most=1),)
    else:
        watch = Watch(((HOME, 1),))
    late = wide(9, own, account=(home,), totals=(budget, *more), watch=watch)
    (outcome,) = await reservations.reserve([late])
    assert (outcome.status, outcome.charge) == (REACHED, place)
    assert outcome.total_counts == (2, 2 if full == "watched total" else 0)
    assert len(outcome.account_history) == 64
    assert await used(single_backend) == before == (2, 2, 2)
    assert list(await reservations.look([late])) == [MADE], "a lost claim's request_id is not remembered"


async def test_ghosts_of_an_account_see_the_real_ones_and_are_seen_by_none(single_backend: Backend) -> None:
    """A held-out person of a household is judged by real and ghost entries together; the others by the real ones alone."""
    reservations = single_backend.reservations()

    async def one(i: int, ghost: bool) -> ClaimStatus:
        (outcome,) = await reservations.reserve([wide(i, account=(charge(HOME, 3),), person=f"p{ghost}", ghost=ghost)])
        return outcome.status

    assert [await one(1, False), await one(2, True), await one(3, True), await one(4, True)] == [ClaimStatus.MADE] * 3 + [REACHED]
    assert (await used(single_backend, ghost=False))[1] == 1
    assert (await used(single_backend, ghost=True))[1] == 3
    assert [await one(5, False), await one(6, False), await one(7, False)] == [ClaimStatus.MADE] * 2 + [REACHED]


async def test_ghosts_obey_a_real_total_and_spend_none_of_it(single_backend: Backend) -> None:
    """Held-out people are denied when everybody's budget is used up, and use up nothing that anybody else could have had."""
    reservations = single_backend.reservations()
    ghosts = [wide(i, totals=(total(2),), person=f"g{i}", ghost=True) for i in range(5)]
    assert [outcome.status for outcome in await reservations.reserve(ghosts)] == [ClaimStatus.MADE] * 5
    assert (await used(single_backend))[2] == 0
    real = [wide(i, totals=(total(2),), person=f"p{i}") for i in range(10, 13)]
    assert [outcome.status for outcome in await reservations.reserve(real)] == [ClaimStatus.MADE] * 2 + [REACHED]
    (late,) = await reservations.reserve([wide(20, totals=(total(2),), person="g", ghost=True)])
    assert late == ClaimOutcome(REACHED, 0, total_counts=(2,))


async def test_a_slate_is_charged_for_each_of_its_offers(single_backend: Backend) -> None:
    """Two charges on a total with room for one are none."""
    reservations = single_backend.reservations()
    (outcome,) = await reservations.reserve([wide(1, totals=(total(1, count=2),))])
    assert outcome.status is REACHED
    assert list(await reservations.reserve([wide(1, totals=(total(2, count=2),))])) == [MADE]
    assert (await used(single_backend))[2] == 2


async def test_totals_end_with_their_windows(single_backend: Backend) -> None:
    """A bucket counts while now < its end, and what has ended is dropped when the counter is written next."""
    reservations = single_backend.reservations()
    for i, until in enumerate((NOW + 10 * MINUTE, NOW + 20 * MINUTE, NOW + 20 * MINUTE)):
        await reservations.reserve([wide(i, totals=(total(until=until),))])
    moments = [NOW, NOW + 10 * MINUTE - 1, NOW + 10 * MINUTE, NOW + 20 * MINUTE - 1, NOW + 20 * MINUTE]
    assert [(await used(single_backend, now_ms=moment))[2] for moment in moments] == [3, 3, 2, 2, 0]
    await reservations.reserve([wide(9, totals=(total(until=NOW + 50 * MINUTE),), now_ms=NOW + 30 * MINUTE)])
    fetched = await single_backend.profiles().fetch([PersonKey("p", False)], SCHEMA, None, [BUDGET])
    assert total_count(fetched.totals[0], NOW) == 1 if single_backend.client else True


def test_buckets_never_end_early_and_are_few() -> None:
    """A rolling window's bucket ends at most a 64th late and never early; a window has at most 128 of them."""
    for length in (1, 63, 64, 1000, 86_400_000, 604_800_000):
        moments = [NOW + length * i // 200 for i in range(200)]
        ends = [bucket_until(moment, length) for moment in moments]
        assert all(moment + length <= end <= moment + length + max(length // 64, 1) for moment, end in zip(moments, ends, strict=True))
        assert len(set(ends)) <= 128


async def test_amending_gives_back_every_scope_once(single_backend: Backend) -> None:
    """Charges of a claim that came to nothing are given back with person, account and total; doing it again changes nothing."""
    reservations = single_backend.reservations()
    kept, gone = (wide(i, charge(), account=(charge(HOME),), totals=(total(9),)) for i in (1, 2))
    await reservations.reserve([kept, gone])
    for _ in range(2):
        await reservations.amend([Amendment(gone, b"another answer")])
        assert await used(single_backend) == (1, 1, 1)
    never = wide(3, charge(), account=(charge(HOME),), totals=(total(9),))
    await reservations.amend([Amendment(never, b"")])
    assert await used(single_backend) == (1, 1, 1), "a claim that was never made gives nothing back"


async def test_an_answer_that_stands_keeps_its_charges(single_backend: Backend) -> None:
    """Amending with the claim's own answer remembers it as logged and leaves its charges alone."""
    reservations = single_backend.reservations()
    soft = wide(1, charge(), account=(charge(HOME),), totals=(total(9),))
    await reservations.reserve([soft])
    await reservations.amend([Amendment(soft, soft.response)])
    assert await used(single_backend) == (1, 1, 1)
    assert list(await reservations.reserve([soft])) == [ClaimOutcome(ClaimStatus.DUPLICATE_LOGGED, response=soft.response)]


@pytest.mark.parametrize("scope", ["account", "total"])
async def test_damage_fails_closed(single_backend: Backend, scope: str) -> None:
    """A damaged account history or total counter counts as used up, for whoever reads it and for every claim."""
    if single_backend.client is None:
        single_backend.fake_profiles.accounts["home", False] = b"x"
        if scope == "total":
            pytest.skip("the fake keeps totals as numbers")
    elif scope == "account":
        await single_backend.put(redis_keys.account("home", False), b"x" * 33)
    else:
        await single_backend.put(redis_keys.total(BUDGET, False), b"x" * 17)
    (outcome,) = await single_backend.reservations().reserve([wide(1, account=(charge(HOME, 9),), totals=(total(9),))])
    assert outcome.status is REACHED
    person, account, everybody = await used(single_backend)
    assert person == 0
    assert (account if scope == "account" else everybody) > 10**9


async def test_an_account_is_no_person(single_backend: Backend) -> None:
    """An account and a person of the same name, braces and percent signs included, share nothing."""
    reservations = single_backend.reservations()
    for i, name in enumerate(["home", "%a:home", "a:home", "{%a:home}", "%", "}"]):
        both = replace(wide(i, charge(limit=1), person=name), account=AccountClaim(name, (charge(CAP_B, 1),)))
        assert list(await reservations.reserve([both])) == [MADE], name
    assert redis_keys.account("home", False) != redis_keys.history("%a:home", False)


@pytest.mark.parametrize("seed", range(8))
async def test_concurrent_mixes_never_go_above(single_backend: Backend, seed: int) -> None:
    """64 claims at once over generated mixes of people, accounts, totals, limits and windows: no counter ever exceeds its limit."""
    rng = random.Random(seed)
    people, limits = [f"p{i}" for i in range(4)], {CAP_A: rng.randint(1, 6), HOME: rng.randint(1, 12), BUDGET: rng.randint(1, 20)}
    one, two = single_backend.reservations(), single_backend.reservations()

    def anything(i: int) -> Claim:
        scopes = rng.sample(["person", "account", "total"], rng.randint(1, 3))
        lease = rng.choice([10 * MINUTE, DAY])
        return wide(
            i,
            *((charge(CAP_A, limits[CAP_A], lease),) if "person" in scopes else ()),
            account=(charge(HOME, limits[HOME], lease),) if "account" in scopes else (),
            totals=(total(limits[BUDGET], until=NOW + lease, leased=lease < DAY),) if "total" in scopes else (),
            person=rng.choice(people),
            ghost=rng.random() < 0.1,
        )

    claims = [anything(i) for i in range(64)]
    outcomes = await asyncio.gather(*((one if rng.random() < 0.5 else two).reserve([each]) for each in claims))
    made = [each for each, (outcome,) in zip(claims, outcomes, strict=True) if outcome.status is ClaimStatus.MADE]
    own = Counter(each.person_id for each in made if each.charges and not each.ghost)
    assert all(count <= limits[CAP_A] for count in own.values())
    shared = sum(len(each.account.charges) for each in made if each.account and not each.ghost)
    everybody = sum(use.count for each in made if not each.ghost for use in each.totals)
    assert (shared <= limits[HOME], everybody <= limits[BUDGET]) == (True, True)
    assert await used(single_backend, people[0]) == (own[people[0]], shared, everybody), "what is stored is what was made"
