"""Both ports while one of three servers is away: its people are told apart, everybody else is answered. On the fake and on a Cluster."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
import redis
from redis.crc import key_slot

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.profile import ProfileState, pack
from liftgate.pipeline.ports import Amendment, ClaimStatus, Fetched, PersonKey, ProfileStore, Reservations
from tests.contract.cluster import Cluster, serves_all
from tests.contract.conftest import Backend, empty
from tests.contract.test_profile_store import SCHEMA, VALUES
from tests.contract.test_reservations import CAP_A, MADE, NOW, charge, claim

BUDGET_MS = 400.0
"""What each call to the frozen server costs here, until its breaker is open."""
PEOPLE = [f"p{i}" for i in range(24)]
_SLOTS_EACH = -(-16384 // 3)


def is_away(person_id: str) -> bool:
    """Say whether somebody lies on the server that is taken away, the second of three."""
    return bool(key_slot(redis_keys.tag(person_id)) // _SLOTS_EACH == 1)


AWAY = {row for row, person in enumerate(PEOPLE) if is_away(person)}


class Parted:
    """Two ports over the same people, one of whose three servers can be taken away."""

    def __init__(self, backend: Backend, cluster: Cluster | None) -> None:
        self.backend = backend
        self._cluster = cluster
        self.reservations: Reservations = backend.reservations()
        if backend.client is not None:
            self.reservations = RedisReservations(backend.client, budget_ms=BUDGET_MS)

    def profiles(self, layout: Any = "packed") -> ProfileStore:
        """Return the ProfileStore."""
        client = self.backend.client
        return self.backend.profiles() if client is None else RedisProfiles(client, layout, budget_ms=BUDGET_MS)

    async def prime(self) -> None:
        """Let every server know the scripts: who is told NOSCRIPT while another server hangs has no time left."""
        claims = [claim(i, person=person, request="prime") for i, person in enumerate(PEOPLE)]
        await self.reservations.reserve(claims)
        await self.reservations.confirm(claims)
        await self.reservations.amend([Amendment(one, b"") for one in claims])

    def take_away(self) -> None:
        """Freeze the server."""
        if self._cluster is not None:
            os.kill(self._cluster.nodes[1].pid, signal.SIGSTOP)
        else:
            fake: Any = self.reservations
            self.backend.fake_profiles.away = fake.away = is_away

    async def bring_back(self) -> None:
        """Let it go on, and return when everybody is answered again."""
        if self._cluster is None:
            fake: Any = self.reservations
            self.backend.fake_profiles.away = fake.away = None
            return
        os.kill(self._cluster.nodes[1].pid, signal.SIGCONT)
        async with asyncio.timeout(15):
            while True:
                try:
                    if not (await self.profiles().fetch(everybody(), SCHEMA)).away:
                        return
                except StoreUnavailable:
                    pass
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    """A Cluster of this module's own: its servers are frozen."""
    with Cluster(3) as cluster:
        yield cluster


@pytest.fixture(params=["fake", "cluster"])
async def parted(request: pytest.FixtureRequest) -> AsyncIterator[Parted]:
    """Each implementation in turn, empty and whole."""
    if request.param == "fake":
        yield Parted(Backend("fake"), None)
        return
    cluster: Cluster = request.getfixturevalue("three")
    client = connect(cluster.url, BUDGET_MS)
    await empty(client)
    try:
        parted = Parted(Backend("cluster", client), cluster)
        await parted.prime()
        yield parted
    finally:
        os.kill(cluster.nodes[1].pid, signal.SIGCONT)
        await client.close()
        _whole_again(cluster)


def _whole_again(cluster: Cluster) -> None:
    deadline = time.monotonic() + 15
    for node in cluster.nodes:
        with redis.Redis(port=node.port) as client:
            while not serves_all(client):
                assert time.monotonic() < deadline, "the Cluster did not come together again"
                time.sleep(0.05)


def everybody() -> list[PersonKey]:
    """Ask for everything that there is about everybody."""
    return [PersonKey(person, True, both=True, certain=True, verdicts=True, lists=True, features=True) for person in PEOPLE]


def said(fetched: Fetched, row: int) -> str:
    """Return all that is said of a row, as text: NaN is not equal to itself."""
    by_row = (fetched.real_history, fetched.lists, fetched.verdicts, fetched.features)
    state = int(fetched.profiles.state[row])
    return str((state, fetched.profiles.value[row].tolist(), fetched.consent[row], fetched.history[row], [one[row] for one in by_row]))


async def _fill(backend: Backend) -> None:
    for i, person in enumerate(PEOPLE):
        await backend.put_packed(person, pack(SCHEMA, VALUES, 100 + i))
        await backend.put_consent(person, b"consent %d" % i)
        await backend.put_history(person, b"h" * 32)
        await backend.put_history(person, b"g" * 32, ghost=True)


@pytest.mark.parametrize("layout", ["packed", "hash"])
async def test_a_fetch_tells_whose_server_is_away(parted: Parted, layout: Any) -> None:
    """Those whose server is away are UNAVAILABLE and nothing is said of them; of the others exactly what is said on other days."""
    await _fill(parted.backend)
    store = parted.profiles(layout)
    whole = await store.fetch(everybody(), SCHEMA)
    assert not whole.away
    parted.take_away()
    for _ in range(8):
        # While the server's breaker is closed, and when it is open.
        fetched = await store.fetch(everybody(), SCHEMA)
        assert set(fetched.away) == AWAY
        for row in range(len(PEOPLE)):
            if row not in AWAY:
                assert said(fetched, row) == said(whole, row)
                continue
            assert fetched.profiles.state[row] == ProfileState.UNAVAILABLE
            assert np.isnan(fetched.profiles.value[row]).all()
            assert np.isnan(fetched.profiles.at_s[row]).all()
            assert (fetched.consent[row], fetched.history[row]) == (None, None)
            assert not any(row in one for one in (fetched.real_history, fetched.lists, fetched.verdicts, fetched.features))
    await parted.bring_back()
    again = await store.fetch(everybody(), SCHEMA)
    assert [again.consent, again.history, again.profiles.state.tolist()] == [whole.consent, whole.history, whole.profiles.state.tolist()]


async def test_when_nobody_is_answered_the_store_is_away(parted: Parted) -> None:
    """A batch of people of that server alone is StoreUnavailable, as with one server; a batch of the others is whole."""
    parted.take_away()
    mine, others = ([PersonKey(person, False) for person in PEOPLE if is_away(person) is away] for away in (True, False))
    with pytest.raises(StoreUnavailable):
        await parted.profiles().fetch(mine, SCHEMA)
    assert not (await parted.profiles().fetch(others, SCHEMA)).away
    with pytest.raises(StoreUnavailable):
        await parted.reservations.reserve([claim(i, person=one.person_id) for i, one in enumerate(mine)])
    assert list(await parted.reservations.reserve([claim(99, person=others[0].person_id)])) == [MADE]


async def test_claims_are_made_or_unsure_by_server(parted: Parted) -> None:
    """Claims of the living are made and charged, the others UNSURE; amended once the server is back, those hold no place and no answer."""
    parted.take_away()
    claims = [claim(i, charge(CAP_A, 1), person=person) for i, person in enumerate(PEOPLE)]
    outcomes = await parted.reservations.reserve(claims)
    assert {row for row, outcome in enumerate(outcomes) if outcome.status is ClaimStatus.UNSURE} == AWAY
    assert all(outcome == MADE for row, outcome in enumerate(outcomes) if row not in AWAY)
    rivals = [claim(100 + i, charge(CAP_A, 1), person=person) for i, person in enumerate(PEOPLE)]
    second = await parted.reservations.reserve(rivals)
    assert all(second[row].status is (ClaimStatus.UNSURE if row in AWAY else ClaimStatus.CAP_REACHED) for row in range(len(PEOPLE)))
    await parted.bring_back()
    unsure = [each[row] for each in (claims, rivals) for row in AWAY]
    assert not list(await parted.reservations.amend([Amendment(one, b"") for one in unsure]))
    for row, person in enumerate(PEOPLE):
        history = await parted.backend.history(person) or b""
        assert len(history) == (0 if row in AWAY else 32)
    third = await parted.reservations.reserve([claim(200 + i, charge(CAP_A, 1), person=person) for i, person in enumerate(PEOPLE)])
    assert {row for row, outcome in enumerate(third) if outcome == MADE} == AWAY


async def test_what_can_be_confirmed_is(parted: Parted) -> None:
    """Confirmations of the living take effect although the call says StoreUnavailable; the others stay pending, and can be sent again."""
    claims = [claim(i, person=person) for i, person in enumerate(PEOPLE)]
    assert all(outcome == MADE for outcome in await parted.reservations.reserve(claims))
    parted.take_away()
    with pytest.raises(StoreUnavailable):
        await parted.reservations.confirm(claims)
    with pytest.raises(StoreUnavailable):
        await parted.reservations.look(claims)
    living = [one for row, one in enumerate(claims) if row not in AWAY]
    assert {outcome.status for outcome in await parted.reservations.look(living)} == {ClaimStatus.DUPLICATE_LOGGED}
    await parted.bring_back()
    await parted.reservations.confirm(claims)
    assert {outcome.status for outcome in await parted.reservations.look(claims)} == {ClaimStatus.DUPLICATE_LOGGED}


async def test_what_can_be_amended_is(parted: Parted) -> None:
    """Amendments of the living take effect, those of the others are named, and take effect once the server is back."""
    claims = [claim(i, charge(CAP_A, 1), person=person, now_ms=NOW) for i, person in enumerate(PEOPLE)]
    await parted.reservations.reserve(claims)
    parted.take_away()
    amendments = [Amendment(one, b"") for one in claims]
    assert set(await parted.reservations.amend(amendments)) == AWAY
    assert len(await parted.reservations.amend([amendments[row] for row in AWAY])) == len(AWAY)
    living = [person for row, person in enumerate(PEOPLE) if row not in AWAY]
    assert not any([await parted.backend.history(person) for person in living])
    await parted.bring_back()
    assert not list(await parted.reservations.amend(amendments))
    assert not any([await parted.backend.history(person) for person in PEOPLE])
