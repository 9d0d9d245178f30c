"""Per-decision review: through a real server, and the queue in every store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_controls import key_of
from liftgate.adapters.redis_review_queue import RedisReviewQueue
from liftgate.adapters.system import SystemClock
from liftgate.domain import consent, profile
from liftgate.domain.verdict import Asked, Verdict, parse, review_id_of
from liftgate.record.find import is_decision_id
from liftgate.record.parquet import read_log
from liftgate.v1.decision_pb2 import DecideRequest, DecideResponse
from tests.app.conftest import Serve
from tests.app.conftest import serve as serve  # the fixture
from tests.control.operators import run, write

REVIEWED = Path(__file__).parents[1] / "cases" / "bundles" / "reviewed"


def asked(number: int, person: str = "person-0") -> Asked:
    """Return a decision that waits."""
    review_id = review_id_of(person.encode(), f"offer-{number}", "digest")
    return Asked(
        review_id, "0" * 32, person, "ab", f"offer-{number}", "desk", "bank", "digest", "compliance", 60_000, 1_000 + number, "why"
    )


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ms = SystemClock().now_ms()

    def now_ms(self) -> int:
        """See `pipeline.ports.Clock`."""
        return self.ms


@pytest.fixture
async def client() -> AsyncIterator[RedisClient]:
    """A client of an empty store."""
    with EmbeddedValkey() as valkey:
        client = connect(valkey.url, budget_ms=5_000)
        yield client
        await client.close()


async def test_what_waits_is_listed_once_and_settled_with_the_person(client: RedisClient) -> None:
    """Asked twice it waits once; a verdict is stored with the person beside others and takes it out; every key has an end."""
    queue = RedisReviewQueue(client, SystemClock())
    assert await queue.put([asked(1), asked(2)]) == 0
    assert await queue.put([asked(1)]) == 0
    assert [one.offer_id for one in await queue.waiting()] == ["offer-1", "offer-2"]
    until = SystemClock().now_ms() + 60_000
    for number, approved in ((1, True), (2, False)):
        one = await queue.get(asked(number).review_id)
        assert one == asked(number)
        await queue.settle(asked(number), Verdict(approved, "ben", 5_000, one.asked_at_ms, until, one.review_id, one.digest))
    assert list(await queue.waiting()) == []
    (raw, ends) = await client.call([("GET", redis_keys.verdicts("person-0")), ("PTTL", redis_keys.verdicts("person-0"))])
    assert {offer: verdict.approved for offer, verdict in parse(raw).items()} == {"offer-1": True, "offer-2": False}
    assert 0 < ends <= 60_000
    await queue.put([asked(3)])
    for key in (key_of("queue"), key_of(f"d:{asked(3).review_id}")):
        (ends,) = await client.call([("PTTL", key)])
        assert ends > 0


async def test_a_verdict_can_be_taken_back(client: RedisClient) -> None:
    """What stands is found under its id and withdrawn once; the person's other verdicts stay, and it can be asked for again."""
    queue, until = RedisReviewQueue(client, SystemClock()), SystemClock().now_ms() + 60_000
    verdicts = [Verdict(True, "ben", 1, 1, until, asked(number).review_id, "digest") for number in range(2)]
    for number, verdict in enumerate(verdicts):
        await queue.put([asked(number)])
        await queue.settle(asked(number), verdict)
    assert await queue.settled(asked(0).review_id) == (asked(0), verdicts[0])
    assert await queue.withdraw(asked(0))
    assert not await queue.withdraw(asked(0))
    assert await queue.settled(asked(0).review_id) is None
    assert await queue.settled(asked(1).review_id) == (asked(1), verdicts[1])
    (raw,) = await client.call([("GET", redis_keys.verdicts("person-0"))])
    assert list(parse(raw)) == ["offer-1"]
    await queue.put([asked(0)])
    assert [one.offer_id for one in await queue.waiting()] == ["offer-0"]
    (ends,) = await client.call([("PTTL", key_of(f"s:{asked(1).review_id}"))])
    assert 0 < ends <= 60_000


async def test_the_queue_is_bounded_and_forgets(client: RedisClient) -> None:
    """What does not fit is counted and left out; what nobody looked at in time makes room."""
    clock, ttl_ms = Hands(), 60_000
    queue = RedisReviewQueue(client, clock, ttl_ms=ttl_ms, limit=3)
    assert await queue.put([asked(number) for number in range(5)]) == 2
    clock.ms += ttl_ms - 1
    assert len(await queue.waiting()) == 3
    assert await queue.put([asked(9)]) == 1
    clock.ms += 2
    assert list(await queue.waiting()) == []
    assert await queue.put([asked(9)]) == 0


async def test_verdicts_that_meet_are_both_kept(client: RedisClient) -> None:
    """Two reviewers about two offers for one person at once: neither verdict is lost."""
    queue, until = RedisReviewQueue(client, SystemClock()), SystemClock().now_ms() + 60_000
    verdicts = [(asked(number), Verdict(True, "ben", 1, 1, until, asked(number).review_id, "digest")) for number in range(4)]
    await asyncio.gather(*(queue.settle(one, verdict) for one, verdict in verdicts))
    (raw,) = await client.call([("GET", redis_keys.verdicts("person-0"))])
    assert sorted(parse(raw)) == [f"offer-{number}" for number in range(4)]


@pytest.mark.slow
def test_a_decision_waits_for_its_verdict_and_the_record_says_who_and_how_long(serve: Serve, tmp_path: Path) -> None:
    """The best of the others is shown until somebody says yes to this person; then it is, with verdict, reviewer and latency on record."""
    import grpc

    from liftgate.bundle.load import load_bundle

    schema = load_bundle(REVIEWED).schema
    with EmbeddedValkey() as valkey:

        async def store() -> None:
            client = connect(valkey.url, budget_ms=5_000)
            packed = profile.pack(schema, [40.0, 0.0, 1.0, 0.0], int(time.time()))
            agreed = consent.document({"personalization": {"status": "granted"}})
            await client.call([("SET", redis_keys.profile("person-0"), packed), ("SET", redis_keys.consent("person-0"), agreed)])
            await client.close()

        asyncio.run(store())
        server = serve(bundle=REVIEWED, redis=valkey.url, operators=write(tmp_path))
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            call = channel.unary_unary(
                "/liftgate.v1.DecisionService/Decide",
                request_serializer=DecideRequest.SerializeToString,
                response_deserializer=DecideResponse.FromString,
            )

            def decide() -> DecideResponse:
                answer: DecideResponse = call(DecideRequest(person_id="person-0", placement_id="desk"), timeout=20)
                return answer

            first = decide()
            assert [slot.offer_id for slot in first.slots] == ["plain"]
            assert first.review_id.startswith("d-")
            assert decide().review_id == first.review_id
            until = time.monotonic() + 20
            while not (waiting := run("ben", server.port, "review", "list", "--decisions")[1]["items"]):
                assert time.monotonic() < until
            (item,) = waiting
            assert (item["review_id"], item["subject"], item["kind"]) == (first.review_id, "offer/mortgage", "decision")
            assert is_decision_id(item["decision_id"])
            assert "plain was shown instead" in item["explanation"]
            assert "person-0" not in str(item)
            shown = run("ben", server.port, "review", "show", first.review_id[:10])[1]
            assert (shown["item"]["review_id"], "be shown mortgage in desk?" in shown["words"][0]) == (first.review_id, True)
            assert "person-0" not in str(shown)
            assert run("dora", server.port, "review", "approve", first.review_id)[0] == 2
            assert run("ben", server.port, "review", "withdraw", first.review_id, "--reason", "no")[0] == 2
            assert run("ben", server.port, "review", "approve", first.review_id[:9])[0] == 2
            assert run("ben", server.port, "review", "approve", first.review_id[:10])[0] == 0
            last = decide()
            assert [slot.offer_id for slot in last.slots] == ["mortgage"]
            assert last.review_id == ""
            assert run("ben", server.port, "review", "list", "--decisions")[1]["items"] == []
            assert run("ben", server.port, "review", "approve", first.review_id)[0] == 2
            assert run("dora", server.port, "review", "withdraw", first.review_id, "--reason", "no")[0] == 2
            assert [slot.offer_id for slot in decide().slots] == ["mortgage"]
            code, answer = run("ben", server.port, "review", "withdraw", first.review_id, "--reason", "income was misread")
            assert (code, answer["item"]["state"]) == (0, "WITHDRAWN")
            assert [slot.offer_id for slot in decide().slots] == ["plain"]
            assert run("ben", server.port, "review", "withdraw", first.review_id, "--reason", "again")[0] == 2
        assert server.end() == 0
    rows = {row["decision_id"]: row for row in read_log(tmp_path / "log", "decision")}
    assert rows[first.decision_id]["review_requested"] == {"offer_id": "mortgage", "review_id": first.review_id}
    (verdict,) = rows[last.decision_id]["review_verdicts"]
    assert (verdict["offer_id"], verdict["approved"], verdict["reviewer"], verdict["review_id"]) == (
        "mortgage",
        True,
        "ben",
        first.review_id,
    )
    assert 0 < verdict["latency_ms"] < 120_000
