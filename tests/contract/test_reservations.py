"""The Reservations port, sentence by sentence, on every backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic

import numpy as np
import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import RedisClient
from liftgate.domain.contact_history import ENTRY, live_counts
from liftgate.pipeline.ports import Amendment, Charge, Claim, ClaimOutcome, ClaimStatus, PersonKey
from tests.contract.conftest import Backend
from tests.contract.test_profile_store import AWKWARD_IDS, SCHEMA

NOW = 1_767_225_600_000
DAY = 86_400_000
MINUTE = 60_000
"""Lifetimes of keys run on the server's clock: nothing here may end while a slow machine gets to its next line."""
MADE = ClaimOutcome(ClaimStatus.MADE)
MISMATCH = ClaimOutcome(ClaimStatus.MISMATCH)

CAP_A, CAP_B = b"cap-a\0\0\xff", b"cap-b\0\0\0"


def charge(cap: bytes = CAP_A, limit: int = 3, lease_ms: int = DAY, window_ms: int = 7 * DAY, now_ms: int = NOW) -> Charge:
    """Return a charge on a cap: a lease of a day in a window of a week unless said otherwise."""
    return Charge(cap, limit, now_ms + lease_ms, now_ms + window_ms)


def claim(i: int, *charges: Charge, person: str = "p", request: str | None = None, ghost: bool = False, now_ms: int = NOW) -> Claim:
    """Return the i-th claim, with an id, an answer and a record of its own."""
    return Claim(
        person_id=person,
        ghost=ghost,
        request_id=f"r{i}" if request is None else request,
        fingerprint=b"finger\0\xff",
        reservation_id=i.to_bytes(8, "big"),
        charges=charges,
        now_ms=now_ms,
        response=b"response \0 %d" % i,
        record=b"record \r\n %d" % i,
    )


def entry(cap: bytes, i: int, live_until_ms: float, until_ms: float) -> bytes:
    """Return a stored entry of the i-th claim."""
    return ENTRY.pack(cap, i.to_bytes(8, "big"), live_until_ms, until_ms)


async def test_made_charges_every_cap_once(backend: Backend) -> None:
    """MADE appends one entry a charge, with the reservation's id, and the lease and window as claimed."""
    reservations = backend.reservations()
    assert list(await reservations.reserve([claim(1, charge(CAP_A), charge(CAP_B, lease_ms=7 * DAY))])) == [MADE]
    expected = entry(CAP_A, 1, NOW + DAY, NOW + 7 * DAY) + entry(CAP_B, 1, NOW + 7 * DAY, NOW + 7 * DAY)
    assert await backend.history("p") == expected
    fetched = await backend.profiles().fetch([PersonKey("p", False)], SCHEMA)
    assert list(fetched.history) == [expected]
    caps = np.frombuffer(CAP_A + CAP_B, dtype="<u8")
    assert live_counts(fetched.history, caps, np.array([NOW])).tolist() == [[1, 1]]


async def test_cap_reached_changes_nothing_and_names_the_charge(backend: Backend) -> None:
    """Without room for one charge none is made, `charge` is the first without room, `history` is what the check saw."""
    reservations = backend.reservations()
    first = [claim(i, charge(CAP_A, 5), charge(CAP_B, 2)) for i in range(2)]
    assert list(await reservations.reserve(first)) == [MADE, MADE]
    before = await backend.history("p")
    late = claim(9, charge(CAP_A, 5), charge(CAP_B, 2))
    (outcome,) = await reservations.reserve([late])
    assert outcome == ClaimOutcome(ClaimStatus.CAP_REACHED, charge=1, history=before or b"")
    assert await backend.history("p") == before
    assert list(await reservations.look([late])) == [MADE], "a lost claim's request_id is not remembered"
    assert list(await reservations.reserve([claim(9, charge(CAP_A, 5))])) == [MADE], "and can be claimed again with another choice"


async def test_charges_of_one_claim_count_against_each_other(backend: Backend) -> None:
    """Two charges on one cap with room for one: the second has no room, and neither is made."""
    reservations = backend.reservations()
    (outcome,) = await reservations.reserve([claim(1, charge(CAP_A, 1), charge(CAP_A, 1))])
    assert outcome == ClaimOutcome(ClaimStatus.CAP_REACHED, charge=1, history=b"")
    assert not await backend.history("p")
    assert list(await reservations.reserve([claim(1, charge(CAP_A, 2), charge(CAP_A, 2))])) == [MADE]


async def test_claims_are_made_in_order(backend: Backend) -> None:
    """In one batch the earlier claim of a person gets the last room."""
    reservations = backend.reservations()
    outcomes = await reservations.reserve([claim(i, charge(limit=2)) for i in range(4)])
    reached = ClaimStatus.CAP_REACHED
    assert [outcome.status for outcome in outcomes] == [ClaimStatus.MADE, ClaimStatus.MADE, reached, reached]
    history = await backend.history("p")
    assert history is not None
    assert [row[1] for row in ENTRY.iter_unpack(history)] == [(0).to_bytes(8, "big"), (1).to_bytes(8, "big")]


async def test_neighbours_do_not_matter(backend: Backend) -> None:
    """People of one batch have counters of their own, also over many chunks and servers."""
    reservations = backend.reservations()
    claims = [claim(i, charge(limit=1), person=f"p{i % 100}") for i in range(200)]
    outcomes = await reservations.reserve(claims)
    assert [outcome.status for outcome in outcomes] == [ClaimStatus.MADE] * 100 + [ClaimStatus.CAP_REACHED] * 100
    assert list(await reservations.reserve([])) == []


@pytest.mark.parametrize("limit", [0, 1])
async def test_a_limit_is_at_most(backend: Backend, limit: int) -> None:
    """A limit of n lets n through, a limit of none lets none."""
    outcomes = await backend.reservations().reserve([claim(i, charge(limit=limit)) for i in range(3)])
    assert sum(outcome.status is ClaimStatus.MADE for outcome in outcomes) == limit


async def test_a_lease_ends_exactly(backend: Backend) -> None:
    """An entry counts while now < live_until_ms, not at it, so that the counter recovers without anybody's help."""
    reservations = backend.reservations()
    assert list(await reservations.reserve([claim(1, charge(limit=1, lease_ms=MINUTE))])) == [MADE]
    (outcome,) = await reservations.reserve([claim(2, charge(limit=1), now_ms=NOW + MINUTE - 1)])
    assert (outcome.status, outcome.history) == (ClaimStatus.CAP_REACHED, entry(CAP_A, 1, NOW + MINUTE, NOW + 7 * DAY))
    assert list(await reservations.reserve([claim(3, charge(limit=1, now_ms=NOW + MINUTE), now_ms=NOW + MINUTE)])) == [MADE]
    assert await backend.history("p") == entry(CAP_A, 3, NOW + MINUTE + DAY, NOW + MINUTE + 7 * DAY), "the dead entry is gone"


async def test_the_fresh_history_is_pruned(backend: Backend) -> None:
    """CAP_REACHED shows live entries only, and what is stored stays as it was."""
    dead, live = entry(CAP_A, 1, NOW, NOW + DAY), entry(CAP_A, 2, NOW + 1, NOW + DAY)
    await backend.put_history("p", dead + live + dead)
    (outcome,) = await backend.reservations().reserve([claim(3, charge(limit=1))])
    assert outcome == ClaimOutcome(ClaimStatus.CAP_REACHED, charge=0, history=live)
    assert await backend.history("p") == dead + live + dead


@pytest.mark.parametrize("damage", [b"x", b"x" * 31, b"x" * 33])
async def test_a_damaged_history_fails_closed(backend: Backend, damage: bytes) -> None:
    """With a history that is no multiple of 32 bytes every cap counts as used up, also for whoever reads what comes back."""
    await backend.put_history("p", damage)
    reservations = backend.reservations()
    (outcome,) = await reservations.reserve([claim(1, charge(limit=10**9))])
    assert (outcome.status, outcome.charge) == (ClaimStatus.CAP_REACHED, 0)
    assert live_counts([outcome.history], np.frombuffer(CAP_A, dtype="<u8"), np.array([NOW])).min() > 10**9
    assert await backend.history("p") == damage
    assert list(await reservations.reserve([claim(2)])) == [MADE], "a claim without caps does not depend on it"


async def test_a_history_has_a_longest_length(backend: Backend) -> None:
    """512 live entries are all that a person can have; then every cap counts as reached."""
    await backend.put_history("p", b"".join(entry(CAP_B, i, NOW + DAY, NOW + DAY) for i in range(511)))
    reservations = backend.reservations()
    (outcome,) = await reservations.reserve([claim(1, charge(CAP_A, 9), charge(CAP_A, 9))])
    assert (outcome.status, outcome.charge) == (ClaimStatus.CAP_REACHED, 1)
    first, second = await reservations.reserve([claim(2, charge(CAP_A, 9)), claim(3, charge(CAP_A, 9))])
    assert first == MADE
    assert (second.status, second.charge, len(second.history)) == (ClaimStatus.CAP_REACHED, 0, 512 * 32)


async def test_ghosts_have_counters_of_their_own(backend: Backend) -> None:
    """A held-out person's claims never touch the real history, nor the other way round."""
    reservations = backend.reservations()
    outcomes = await reservations.reserve([claim(i, charge(limit=1), ghost=i % 2 == 1) for i in range(4)])
    assert [outcome.status for outcome in outcomes] == [ClaimStatus.MADE] * 2 + [ClaimStatus.CAP_REACHED] * 2
    assert await backend.history("p") == entry(CAP_A, 0, NOW + DAY, NOW + 7 * DAY)
    assert await backend.history("p", ghost=True) == entry(CAP_A, 1, NOW + DAY, NOW + 7 * DAY)


async def test_a_known_request_is_answered_from_memory(backend: Backend) -> None:
    """Pending gives response and record, logged gives the response; nothing is charged a second time."""
    reservations = backend.reservations()
    made = claim(1, charge())
    assert list(await reservations.reserve([made])) == [MADE]
    history = await backend.history("p")
    retry = replace(claim(2, charge()), request_id="r1")
    pending = ClaimOutcome(ClaimStatus.DUPLICATE_PENDING, response=made.response, record=made.record)
    assert list(await reservations.reserve([retry])) == [pending]
    assert list(await reservations.look([retry])) == [pending]
    await reservations.confirm([made])
    await reservations.confirm([made, made])
    logged = ClaimOutcome(ClaimStatus.DUPLICATE_LOGGED, response=made.response)
    assert list(await reservations.reserve([retry])) == [logged]
    assert list(await reservations.look([retry])) == [logged]
    assert await backend.history("p") == history


async def test_memory_comes_before_caps(backend: Backend) -> None:
    """A retry is told its answer even when the cap has been reached since."""
    reservations = backend.reservations()
    made = claim(1, charge(limit=1))
    assert list(await reservations.reserve([made])) == [MADE]
    (outcome,) = await reservations.reserve([made])
    assert outcome.status is ClaimStatus.DUPLICATE_PENDING


async def test_another_body_is_a_mismatch(backend: Backend) -> None:
    """A known request_id with another fingerprint is MISMATCH, before and after confirm, and changes nothing."""
    reservations = backend.reservations()
    made = claim(1, charge())
    await reservations.reserve([made])
    other = replace(claim(2, charge()), request_id="r1", fingerprint=b"another!")
    assert list(await reservations.reserve([other])) == [MISMATCH]
    assert list(await reservations.look([other])) == [MISMATCH]
    await reservations.confirm([other])
    (outcome,) = await reservations.look([made])
    assert outcome.status is ClaimStatus.DUPLICATE_PENDING, "confirm with another fingerprint drops nothing"
    await reservations.confirm([made])
    assert list(await reservations.reserve([other])) == [MISMATCH]
    history = await backend.history("p")
    assert history is not None
    assert len(history) == ENTRY.size


async def test_one_batch_with_a_request_twice(backend: Backend) -> None:
    """The first is MADE, the second learns what the first decided."""
    first, second = claim(1, charge()), replace(claim(2, charge()), request_id="r1")
    outcomes = await backend.reservations().reserve([first, second])
    assert list(outcomes) == [MADE, ClaimOutcome(ClaimStatus.DUPLICATE_PENDING, response=first.response, record=first.record)]


async def test_without_a_request_id_nothing_is_remembered(backend: Backend) -> None:
    """Claims with an empty request_id are all new; look and confirm pass over them."""
    reservations = backend.reservations()
    anonymous = claim(1, charge(limit=2), request="")
    assert list(await reservations.reserve([anonymous, anonymous])) == [MADE, MADE]
    await reservations.confirm([anonymous])
    assert list(await reservations.look([anonymous, claim(7), anonymous])) == [MADE, MADE, MADE]
    assert list(await reservations.look([])) == []
    await reservations.confirm([])


async def test_look_changes_nothing(backend: Backend) -> None:
    """Looking neither charges nor remembers."""
    reservations = backend.reservations()
    assert list(await reservations.look([claim(1, charge())])) == [MADE]
    assert await backend.history("p") is None
    assert list(await reservations.reserve([claim(1, charge())])) == [MADE]


async def test_request_ids_belong_to_a_person(backend: Backend) -> None:
    """Two people may use the same request_id."""
    outcomes = await backend.reservations().reserve([claim(1, person="a", request="same"), claim(2, person="b", request="same")])
    assert list(outcomes) == [MADE, MADE]


async def test_memory_ends_with_the_horizon(backend: Backend) -> None:
    """After the retry horizon the request_id is new; confirm does not lengthen it, and confirming what is gone does nothing."""
    reservations = backend.reservations(horizon_ms=700)
    made, began = claim(1), monotonic()
    assert list(await reservations.reserve([made, claim(2)])) == [MADE, MADE]
    await reservations.confirm([made])
    (outcome,) = await reservations.look([made])
    # Unless this machine was so busy that the horizon had gone by.
    assert outcome.status is ClaimStatus.DUPLICATE_LOGGED or monotonic() - began > 0.7
    await asyncio.sleep(0.8)
    await reservations.confirm([made, claim(2)])
    assert list(await reservations.look([made, claim(2)])) == [MADE, MADE]
    assert list(await reservations.reserve([made])) == [MADE]


async def test_awkward_ids(backend: Backend) -> None:
    """Ids of people and requests are bytes like any others, and none is taken for another."""
    reservations = backend.reservations()
    claims = [
        claim(i * 100 + j, charge(limit=20), person=p, request=r) for i, p in enumerate(AWKWARD_IDS) for j, r in enumerate(AWKWARD_IDS) if r
    ]
    assert set(await reservations.reserve(claims)) == {MADE}
    await reservations.confirm(claims)
    looked = await reservations.look(claims)
    assert [outcome.response for outcome in looked] == [made.response for made in claims]


@pytest.mark.parametrize("size", [0, 1, 1000])
async def test_answers_and_records_of_any_size(backend: Backend, size: int) -> None:
    """What is remembered comes back byte for byte, empty or large."""
    reservations = backend.reservations()
    made = replace(claim(1), response=bytes(range(256)) * size, record=b"\xff\0" * 300 * size)
    await reservations.reserve([made])
    (outcome,) = await reservations.reserve([made])
    assert (outcome.response, outcome.record) == (made.response, made.record)


async def test_64_at_once_never_exceed_the_cap(backend: Backend) -> None:
    """64 concurrent claims for one person and a cap of 3 make exactly 3, whatever the interleaving."""
    for seed in range(25):
        person = f"p{seed}"
        one, two = backend.reservations(), backend.reservations()
        calls = [(one if i * (seed + 1) % 3 else two).reserve([claim(i, charge(), charge(CAP_B, 50), person=person)]) for i in range(64)]
        outcomes = [outcome for (outcome,) in await asyncio.gather(*calls)]
        assert sum(outcome.status is ClaimStatus.MADE for outcome in outcomes) == 3
        history = await backend.history(person)
        assert history is not None
        assert len(history) == 3 * 2 * ENTRY.size


async def test_the_same_request_at_once_is_made_once(backend: Backend) -> None:
    """Of 32 concurrent claims with one request_id one is MADE and all others learn its answer."""
    reservations = backend.reservations()
    for seed in range(10):
        claims = [replace(claim(i, charge(limit=99), person=f"p{seed}"), request_id="same") for i in range(32)]
        outcomes = [outcome for (outcome,) in await asyncio.gather(*(reservations.reserve([one]) for one in claims))]
        made = [one for one, outcome in zip(claims, outcomes, strict=True) if outcome.status is ClaimStatus.MADE]
        assert len(made) == 1
        assert {outcome.response for outcome in outcomes if outcome.status is not ClaimStatus.MADE} == {made[0].response}
        history = await backend.history(f"p{seed}")
        assert history is not None
        assert len(history) == ENTRY.size


async def _records(client: RedisClient) -> list[bytes]:
    """Return every value that a record, or several, may lie in."""
    found: list[bytes] = []
    for server in await client.servers(1.0):
        scans = await server.call([("SCAN", "0", "MATCH", pattern, "COUNT", 100_000) for pattern in ("lg:{*}:q:*", "lg:{%q:*")])
        found += await server.call([("GET", name) for _, names in scans for name in names])
    return sorted(found)


async def test_what_is_not_made_leaves_no_record(redis_backend: Backend) -> None:
    """A record lies in the store for the claim that was made, from then until it is confirmed; losers and duplicates leave none."""
    client, reservations = redis_backend.client, redis_backend.reservations()
    assert client is not None
    made, lost = claim(1, charge(limit=1)), claim(2, charge(limit=1))
    retry = replace(claim(3, charge(limit=1)), request_id="r1")
    other = replace(claim(4, charge(limit=1)), request_id="r1", fingerprint=b"another!")
    wanted = [ClaimStatus.MADE, ClaimStatus.CAP_REACHED, ClaimStatus.DUPLICATE_PENDING, ClaimStatus.MISMATCH]
    assert [(await reservations.reserve([one]))[0].status for one in (made, lost, retry, other)] == wanted
    assert await _records(client) == [made.record]
    await reservations.confirm([retry])
    assert await _records(client) == [], "whoever recovers a record confirms it"
    (outcome,) = await reservations.look([made])
    assert outcome == ClaimOutcome(ClaimStatus.DUPLICATE_LOGGED, response=made.response)


async def test_records_that_lie_together_are_told_apart(redis_backend: Backend) -> None:
    """Of claims made in one call each is pending with its own record, until it is confirmed itself; nothing is left in the end."""
    client, reservations = redis_backend.client, redis_backend.reservations()
    assert client is not None
    claims = [replace(claim(i, charge(limit=9)), request_id=f"r{i}", record=b"record %d" % i * i) for i in (1, 2, 3, 4)]
    lost = replace(claim(5, charge(limit=1)), request_id="r5")
    assert [outcome.status for outcome in await reservations.reserve([*claims[:2], lost, *claims[2:]])].count(ClaimStatus.MADE) == 4
    stored = await _records(client)

    async def pending() -> list[bytes]:
        return [outcome.record for outcome in await reservations.look(claims)]

    assert await pending() == [one.record for one in claims]
    # Somebody else's retry, which came with others that are made, and recovers one of these.
    retry, beside = replace(claims[0], kept=None), replace(claim(6, charge(limit=9)), request_id="r6")
    assert [outcome.status for outcome in await reservations.reserve([retry, beside])] == [ClaimStatus.DUPLICATE_PENDING, ClaimStatus.MADE]
    await reservations.confirm([retry])
    assert await pending() == [b"", *[one.record for one in claims[1:]]]
    assert (await reservations.look([beside]))[0].record == beside.record
    await reservations.confirm([claims[1]])
    assert await pending() == [b"", b"", claims[2].record, claims[3].record]
    await reservations.amend([Amendment(claims[2], b"instead")])
    assert await pending() == [b"", b"", b"", claims[3].record]
    assert await _records(client) != []
    await reservations.confirm(claims)
    await reservations.confirm([beside])
    assert await pending() == [b""] * 4
    answers = [outcome.response for outcome in await reservations.look([*claims, beside])]
    assert answers == [claims[0].response, claims[1].response, b"instead", claims[3].response, beside.response]
    assert await _records(client) == []
    if not client.clustered:
        assert len(stored) == 1, "one value for all of them"


async def test_claims_of_which_none_is_made_leave_no_records(redis_backend: Backend) -> None:
    """Where every claim of a call is lost or a duplicate nothing of theirs lies in the store, and the first call's records still do."""
    client, reservations = redis_backend.client, redis_backend.reservations()
    assert client is not None
    claims = [replace(claim(i, charge(limit=2)), request_id=f"r{i}") for i in (1, 2)]
    await reservations.reserve(claims)
    stored = await _records(client)
    again = [*[replace(one, kept=None) for one in claims], replace(claim(3, charge(limit=2)), request_id="r3")]
    statuses = [outcome.status for outcome in await reservations.reserve(again)]
    assert statuses == [ClaimStatus.DUPLICATE_PENDING, ClaimStatus.DUPLICATE_PENDING, ClaimStatus.CAP_REACHED]
    assert await _records(client) == stored != []
    assert [outcome.record for outcome in await reservations.look(claims)] == [one.record for one in claims]


async def test_an_amended_claim_leaves_no_record(redis_backend: Backend) -> None:
    """Amending a claim that was made, was not made, or was confirmed removes its record, and of the last nothing else."""
    client, reservations = redis_backend.client, redis_backend.reservations()
    assert client is not None
    made, confirmed, never = claim(1, charge()), claim(2, charge()), claim(3, charge())
    for one in (made, confirmed):
        await reservations.reserve([one])
    await reservations.confirm([confirmed])
    await client.call([("SET", redis_keys.record("p", never.reservation_id.hex().encode()), never.record)])
    await reservations.amend([Amendment(one, b"instead") for one in (made, confirmed, never)])
    looked = await reservations.look([made, confirmed, never])
    assert [outcome.response for outcome in looked] == [b"instead", confirmed.response, b"instead"]
    assert {outcome.status for outcome in looked} == {ClaimStatus.DUPLICATE_LOGGED}
    names = [redis_keys.record("p", one.reservation_id.hex().encode()) for one in (made, confirmed, never)]
    assert await client.call([("EXISTS", name) for name in names]) == [0, 0, 0]


async def test_answers_that_older_workers_left_are_read(redis_backend: Backend) -> None:
    """A value with its record inside is pending until it is confirmed, one without a reservation is logged, ours reads as logged there."""
    client, reservations = redis_backend.client, redis_backend.reservations()
    assert client is not None
    asked = claim(1)
    key = redis_keys.request("p", "r1")
    body = asked.fingerprint + len(asked.response).to_bytes(4, "little") + asked.response
    await client.call([("SET", key, b"P" + body + asked.record, "PX", MINUTE)])
    pending = ClaimOutcome(ClaimStatus.DUPLICATE_PENDING, response=asked.response, record=asked.record)
    assert [*await reservations.look([asked]), *await reservations.reserve([asked])] == [pending, pending]
    await reservations.confirm([asked])
    logged = ClaimOutcome(ClaimStatus.DUPLICATE_LOGGED, response=asked.response)
    assert [*await reservations.look([asked]), *await reservations.reserve([asked])] == [logged, logged]
    value, life = await client.call([("GET", key), ("PTTL", key)])
    assert (value, 0 < life <= MINUTE) == (b"L" + body, True)
    ours = claim(5)
    await reservations.reserve([ours])
    (stored,) = await client.call([("GET", redis_keys.request("p", "r5"))])
    assert stored.startswith(b"L" + ours.fingerprint + len(ours.response).to_bytes(4, "little") + ours.response)
