"""A Cluster of three, one server dead or frozen: its people fall back, the others get whole decisions, and nothing is lost or overspent."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from liftgate.adapters import redis_keys
from liftgate.adapters.person_keys import PersonKeys
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import Command, connect
from liftgate.adapters.redis_cluster import ClusterClient
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.input import InputSchema
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.batching import Batcher
from liftgate.pipeline.ports import Charge, Claim, Fetched, PersonKey, ProfileStore
from liftgate.record.parquet import read_log
from liftgate.v1.decision_pb2 import DecideResponse
from liftgate.v1.reason_pb2 import Reason
from tests.contract.cluster import Cluster
from tests.contract.test_parts import is_away
from tests.contract.test_profile_store import SCHEMA
from tests.pipeline.workbench import Bench, workbench

BUDGET_MS = 1_500
"""Far beyond what a server takes that is neither dead nor frozen, on a busy machine too."""
HANGS_S = 10.0
"""Far beyond what anything here takes that does not wait for a frozen server for as long as it may."""
CAP = 3
HASHED = Pseudonyms("", b"h" * 32)


class Whole:
    """A Cluster's client that gives nobody an answer when somebody cannot have theirs: the control."""

    clustered = True

    def __init__(self, client: Any) -> None:
        self.client, self.budget_s = client, client.budget_s

    async def call(self, commands: Sequence[Command], budget_s: float | None = None) -> list[Any]:
        """Pass it on."""
        replies: list[Any] = await self.client.call(commands, budget_s)
        return replies


async def ask(bench: Bench, people: Sequence[str], tag: str, placement: str = "thrice") -> dict[str, DecideResponse]:
    """Ask for all of them at once, as one batch or few."""
    requests = [DecideRequest(f"{tag}-{person}", person, placement) for person in people]
    answers = await asyncio.gather(*(bench.batcher.submit(request, bench.live) for request in requests))
    return {person: DecideResponse.FromString(answer) for person, answer in zip(people, answers, strict=True)}


def treated(bench: Bench, n: int) -> list[str]:
    """Return n people whom no layer holds out."""
    people = [f"someone-{i}" for i in range(2 * n)]
    held = bench.live.layers.held_out(people)
    return [person for person, out in zip(people, held.tolist(), strict=True) if not any(out)][:n]


@pytest.mark.parametrize("in_parts", [True, False])
async def test_only_the_people_of_a_dead_server_fall_back(tmp_path: Path, in_parts: bool) -> None:
    """With one of three servers killed its people get status OK and their fallback, all others whole decisions, and the log has everybody.

    The control arm asks for all or nothing: there nearly everybody falls back, so the test can tell.
    """
    answers: list[tuple[str, DecideResponse]] = []
    with Cluster(3) as cluster:
        async with workbench(cluster.url, tmp_path / "log", budget_ms=BUDGET_MS) as bench:
            if not in_parts:
                client: Any = Whole(bench.client)
                stores: dict[str, Any] = {"profiles": RedisProfiles(client, budget_ms=BUDGET_MS)}
                stores["reservations"] = RedisReservations(client, budget_ms=BUDGET_MS)
                bench.batcher = Batcher(replace(bench.ports, **stores))
            people = treated(bench, 90)
            before = await ask(bench, people, "before")
            assert not any(answer.degraded for answer in before.values())
            cluster.nodes[1].kill()
            for number in range(8):
                answers += (await ask(bench, people, f"during-{number}")).items()
            await bench.batcher.drain()
    degraded = Counter(is_away(person) for person, answer in answers if answer.degraded)
    everybody = Counter(is_away(person) for person, _ in answers)
    assert degraded[True] == everybody[True] > 0
    if not in_parts:
        assert degraded[False] == everybody[False], "the harness cannot see a batch that falls back as a whole"
        return
    assert degraded[False] == 0
    assert {answer.reason for person, answer in answers if is_away(person)} == {Reason.REASON_PROFILE_STORE_UNAVAILABLE}
    offered = Counter((person, slot.offer_id) for person, answer in (*before.items(), *answers) for slot in answer.slots)
    assert all(offered[person, "thrice"] == CAP and offered[person, "plain"] > 0 for person in people if not is_away(person))
    rows = {row["decision_id"] for row in read_log(tmp_path / "log", "decision")}
    assert rows == {answer.decision_id for answer in before.values()} | {answer.decision_id for _, answer in answers}


class FrozenAfter:
    """The real store; once `pid` is set, that server stops as soon as the next fetch has its answer."""

    def __init__(self, inner: ProfileStore) -> None:
        self._inner = inner
        self.pid = 0

    async def fetch(
        self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float | None = None, totals: Sequence[bytes] = ()
    ) -> Fetched:
        """See `ProfileStore`."""
        fetched = await self._inner.fetch(people, schema, budget_s, totals)
        if self.pid:
            os.kill(self.pid, signal.SIGSTOP)
            self.pid = 0
        return fetched


@pytest.mark.slow
@pytest.mark.parametrize("limits", [True, False])
async def test_caps_hold_through_a_server_that_froze_between_fetch_and_reserve(tmp_path: Path, limits: bool) -> None:
    """Its people fall back, the others' claims are made; in the end everybody has seen what their cap allows, and never more.

    What the frozen server made of claims that nobody heard of is given back. The control arm drives it without limits: there it is more.
    """
    seen: Counter[str] = Counter()
    with Cluster(3) as cluster:
        async with workbench(cluster.url, tmp_path / "log", budget_ms=BUDGET_MS) as bench:
            freezing = FrozenAfter(bench.ports.profiles)
            bench.batcher = Batcher(replace(bench.ports, profiles=freezing))
            if not limits:
                bench.faults.on.add("limits_off")
            people = treated(bench, 60)
            seen += _thrice(await ask(bench, people, "before"))
            try:
                freezing.pid = cluster.nodes[1].pid
                frozen = await ask(bench, people, "frozen")
            finally:
                os.kill(cluster.nodes[1].pid, signal.SIGCONT)
            degraded = {person: answer.reason for person, answer in frozen.items() if answer.degraded}
            assert degraded == {person: Reason.REASON_RESERVATION_UNAVAILABLE for person in people if is_away(person)}
            seen += _thrice(frozen)
            await _answering(bench, people)
            # At once: what each is chosen from was read before any of them was charged.
            for answers in await asyncio.gather(*(ask(bench, people, f"after-{number}") for number in range(5))):
                seen += _thrice(answers)
            await bench.batcher.drain()
    if not limits:
        assert max(seen.values()) > CAP, "the harness cannot see a cap that does not hold"
        return
    assert set(seen.values()) == {CAP}
    assert len(seen) == len(people)


def _thrice(answers: dict[str, DecideResponse]) -> Counter[str]:
    return Counter(person for person, answer in answers.items() if any(slot.offer_id == "thrice" for slot in answer.slots))


async def _answering(bench: Bench, people: Sequence[str]) -> None:
    """Return when every server answers and what claims left behind is put right: then people's histories hold what they saw alone."""
    store = RedisProfiles(bench.client, budget_ms=BUDGET_MS)
    async with asyncio.timeout(20):
        while True:
            await asyncio.sleep(0.05)
            try:
                fetched = await store.fetch([PersonKey(person, False) for person in people], bench.live.bundle.schema)
            except StoreUnavailable:
                continue
            waiting = [
                person
                for person, history in zip(people, fetched.history, strict=True)
                if is_away(person) and len(history or b"") > ENTRY.size
            ]
            if not fetched.away and not waiting:
                return


@pytest.mark.slow
async def test_rows_of_a_batch_keep_apart(tmp_path: Path) -> None:
    """Of two in a batch the first is unsure and the second came too late: each answer and record is of its own person."""
    with Cluster(3) as cluster:
        async with workbench(cluster.url, tmp_path / "log", budget_ms=BUDGET_MS) as bench:
            people = treated(bench, 60)
            away, living = (next(person for person in people if is_away(person) is where) for where in (True, False))
            await ask(bench, [away, living], "before", "two")
            freezing = FrozenAfter(bench.ports.profiles)
            bench.batcher = Batcher(replace(bench.ports, profiles=freezing))
            bundle = bench.live.bundle
            cap = bundle.caps[bundle.offer_caps[bundle.offer_index["thrice"]][0]]
            until = bench.hands.ms + 86_400_000
            bench.faults.rivals = [
                Claim(living, False, "", b"finger--", b"rival--%d" % i, (Charge(cap.cap_id, CAP, until, until),), bench.hands.ms, b"", b"")
                for i in range(CAP)
            ]
            try:
                freezing.pid = cluster.nodes[1].pid
                answers = await ask(bench, [away, living], "frozen")
            finally:
                os.kill(cluster.nodes[1].pid, signal.SIGCONT)
            assert answers[away].reason == Reason.REASON_RESERVATION_UNAVAILABLE
            assert [slot.offer_id for slot in answers[living].slots] == ["plain"]
            records = {record.decision_id: record for record in bench.records}
            reasons = {person: list(records[answers[person].decision_id].candidate_reason) for person in (away, living)}
            assert Reason.REASON_FREQUENCY_CAP in reasons[living]
            assert Reason.REASON_FREQUENCY_CAP not in reasons[away]
            await _answering(bench, [away, living])
            await bench.batcher.drain()


@pytest.mark.slow
async def test_an_open_breaker_costs_nobody_a_wait() -> None:
    """Once the frozen server's breaker is open, a batch with a minute to spare is answered for the others at once, probes included."""
    with Cluster(3) as cluster:
        client = connect(cluster.url, 400)
        assert isinstance(client, ClusterClient)
        commands: list[Command] = [("GET", redis_keys.profile(f"p{i}")) for i in range(30)]
        wanted = [i for i in range(30) if is_away(f"p{i}")]
        assert await client.parts(commands, 5.0) == ([None] * 30, [])
        os.kill(cluster.nodes[1].pid, signal.SIGSTOP)
        try:
            for _ in range(5):
                assert sorted((await client.parts(commands, 0.4))[1]) == wanted
            for _ in range(15):
                _, away = await asyncio.wait_for(client.parts(commands, 60.0), HANGS_S)
                assert sorted(away) == wanted
                await asyncio.sleep(0.02)
        finally:
            os.kill(cluster.nodes[1].pid, signal.SIGCONT)
        async with asyncio.timeout(15):
            while (await client.parts(commands, 5.0))[1]:
                await asyncio.sleep(0.02)
        await client.close()


async def test_keys_while_a_tombstone_cannot_be_read() -> None:
    """New to a worker, whose tombstone is away: with a key they were not erased and are decided, without one they fall back.

    Nobody's key is forgotten because their server is away, and an erased person gets none.
    """
    ring = PersonKeys(Pseudonyms.of_people(b"k" * 32), HASHED)
    people = [f"p{i}" for i in range(60)]

    def buried(person: str) -> bool:
        return bool(key_slot(ring.tombstone(person)) // -(-16384 // 3) == 1)

    async def fetch(keys: PersonKeys, some: Sequence[str]) -> dict[str, bytes | str | None]:
        store = RedisProfiles(client, budget_ms=BUDGET_MS, keys=keys)
        fetched = await store.fetch([PersonKey(person, False, keyed=True) for person in some], SCHEMA)
        return {person: "away" if row in fetched.away else fetched.keys[row] for row, person in enumerate(some)}

    with Cluster(3) as cluster:
        client = connect(cluster.url, BUDGET_MS)
        met, unmet = people[:40], people[40:]
        known = await fetch(ring, met)
        assert all(isinstance(key, bytes) for key in known.values())
        erased = next(person for person in met if not is_away(person) and not buried(person))
        await RedisErasure(client, HASHED, settle_s=0.0).erase(erased, "", 1_800_000_000_000, lambda: 5.0)
        cluster.nodes[1].kill()
        fresh = PersonKeys(Pseudonyms.of_people(b"k" * 32), HASHED)
        for keys in (ring, fresh):
            found = await fetch(keys, people)
            for person in met:
                assert found[person] == ("away" if is_away(person) else None if person == erased else known[person])
            for person in unmet:
                assert (found[person] == "away") is (is_away(person) or buried(person))
            if keys is ring:
                assert all(keys.pseudonym(person, None) == keys.pseudonym(person, known[person]) for person in met if is_away(person))  # type: ignore[arg-type]
        assert any(buried(person) and not is_away(person) for person in met)
        assert any(buried(person) and not is_away(person) for person in unmet)
        await client.close()
