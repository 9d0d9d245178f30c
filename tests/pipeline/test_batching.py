"""Requests share a batch, never a fate; duplicates get one decision."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from liftgate.adapters import redis_keys
from liftgate.domain.errors import Expired, LogUnavailable, Overloaded, RequestIdReused
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.batching import Limits
from liftgate.v1.decision_pb2 import DecideResponse
from tests.pipeline.workbench import workbench


def _ask(request_id: str, person: str = "person-0", placement: str = "two", body: bytes = b"same....") -> DecideRequest:
    return DecideRequest(request_id, person, placement, fingerprint=body)


async def test_what_arrives_together_is_one_batch(valkey_url: str, tmp_path: Path) -> None:
    """Requests of one turn of the loop share one batch, and those that arrive while it runs share the next."""
    async with workbench(valkey_url, tmp_path) as bench:
        first = [asyncio.create_task(bench.batcher.submit(_ask(f"first-{i}"), bench.live)) for i in range(10)]
        while not bench.watcher.batches and not bench.batcher._running:
            await asyncio.sleep(0)
        second = [asyncio.create_task(bench.batcher.submit(_ask(f"second-{i}"), bench.live)) for i in range(7)]
        await asyncio.gather(*first, *second)
        assert bench.watcher.batches == [10, 7]


@pytest.mark.parametrize(("turns", "together"), [(4, 6), (0, 1)])
async def test_a_busy_service_waits_for_what_trickles_in(valkey_url: str, tmp_path: Path, turns: int, together: int) -> None:
    """After a batch of several, requests that come one after the other share the next; without gathering the first of them is alone."""
    async with workbench(valkey_url, tmp_path, limits=Limits(gather_turns=turns)) as bench:
        await asyncio.gather(*[bench.batcher.submit(_ask(f"busy-{i}"), bench.live) for i in range(2)])
        trickle = []
        for i in range(6):
            trickle.append(asyncio.create_task(bench.batcher.submit(_ask(f"trickle-{i}"), bench.live)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.gather(*trickle)
        await bench.batcher.drain()
        assert bench.watcher.batches[:2] == [2, together]


async def test_single_requests_wait_for_nobody(valkey_url: str, tmp_path: Path) -> None:
    """After a batch of one the next starts on the loop's next turn, however long a busy service would gather."""
    async with workbench(valkey_url, tmp_path, limits=Limits(gather_turns=1_000_000)) as bench:
        for i in range(3):
            await bench.batcher.submit(_ask(f"alone-{i}"), bench.live)
        await bench.batcher.drain()
        assert bench.watcher.batches == [1, 1, 1]


async def test_a_cancelled_neighbour_changes_nothing(valkey_url: str, tmp_path: Path) -> None:
    """Callers that leave, before or while the batch runs, change no answer of those who stay."""
    async with workbench(valkey_url, tmp_path) as bench:
        tasks = [asyncio.create_task(bench.batcher.submit(_ask(f"neighbour-{i}"), bench.live)) for i in range(20)]
        await asyncio.sleep(0)
        for task in tasks[:5]:
            task.cancel()
        while not bench.batcher._running:
            await asyncio.sleep(0)
        for task in tasks[5:10]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in done[:10])
        answers = [DecideResponse.FromString(result) for result in done[10:] if isinstance(result, bytes)]
        assert [Reason(answer.reason) for answer in answers] == [Reason.UNKNOWN_PERSON] * 10


async def test_one_bad_row_falls_alone(valkey_url: str, tmp_path: Path) -> None:
    """A request that breaks a stage gets the fallback; every other request of its batch gets its decision."""
    async with workbench(valkey_url, tmp_path) as bench:
        bad = DecideRequest("bad", "person-0", "two", candidates=("no such offer",), idempotent=False)
        tasks = [bench.batcher.submit(_ask(f"row-{i}"), bench.live) for i in range(6)]
        answers = await asyncio.gather(*tasks[:3], bench.batcher.submit(bad, bench.live), *tasks[3:])
        reasons = [Reason(DecideResponse.FromString(raw).reason) for raw in answers]
        assert reasons == [Reason.UNKNOWN_PERSON] * 3 + [Reason.STAGE_FAILED] + [Reason.UNKNOWN_PERSON] * 3
        assert len(bench.records) == 7


async def test_expired_work_is_dropped_before_it_costs(valkey_url: str, tmp_path: Path) -> None:
    """A request whose deadline has passed when its batch forms is refused as expired and leaves no record."""
    async with workbench(valkey_url, tmp_path) as bench:
        now = asyncio.get_running_loop().time()
        late = bench.batcher.submit(_ask("late"), bench.live, deadline=now - 0.001)
        fine = bench.batcher.submit(_ask("fine"), bench.live, deadline=now + 10)
        results = await asyncio.gather(late, fine, return_exceptions=True)
        assert isinstance(results[0], Expired)
        assert isinstance(results[1], bytes)
        assert [record.request_id for record in bench.records] == ["fine"]


async def test_a_full_queue_refuses(valkey_url: str, tmp_path: Path) -> None:
    """One request more than the queue holds is Overloaded at once; those in the queue are answered."""
    async with workbench(valkey_url, tmp_path, limits=Limits(max_queue=8)) as bench:
        tasks = [asyncio.create_task(bench.batcher.submit(_ask(f"queue-{i}"), bench.live)) for i in range(12)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(result, Overloaded) for result in results) == 4
        assert sum(isinstance(result, bytes) for result in results) == 8


async def test_a_retry_gets_the_same_bytes_and_one_row(valkey_url: str, tmp_path: Path) -> None:
    """A request_id that comes again, at once or later, to this worker or another, is answered byte for byte from one decision."""
    async with workbench(valkey_url, tmp_path / "a") as one, workbench(valkey_url, tmp_path / "b") as other:
        calls = [bench.batcher.submit(_ask("again", placement="capped"), bench.live) for bench in (one, one, other, other, one)]
        answers = list(await asyncio.gather(*calls))
        one.hands.ms += 30_000
        answers.append(await one.batcher.submit(_ask("again", placement="capped"), one.live))
        answers.append(await other.batcher.submit(_ask("again", placement="capped"), other.live))
        assert len(set(answers)) == 1
        rows = one.records + other.records
        assert [row.request_id for row in rows] == ["again"]


async def test_another_body_under_the_same_request_id_is_refused(valkey_url: str, tmp_path: Path) -> None:
    """A request_id that comes again with another body is refused: while the first runs, later, and on another worker."""
    async with workbench(valkey_url, tmp_path / "a") as one, workbench(valkey_url, tmp_path / "b") as other:
        results = await asyncio.gather(
            one.batcher.submit(_ask("twice", body=b"first..."), one.live),
            one.batcher.submit(_ask("twice", body=b"second.."), one.live),
            return_exceptions=True,
        )
        assert isinstance(results[0], bytes)
        assert isinstance(results[1], RequestIdReused)
        with pytest.raises(RequestIdReused):
            await other.batcher.submit(_ask("twice", body=b"second.."), other.live)
        assert len(one.records + other.records) == 1


async def test_a_crash_between_reservation_and_log_loses_nothing(valkey_url: str, tmp_path: Path) -> None:
    """A retry of a decision whose worker died before its log write is told that decision, and its record is recovered once."""
    async with workbench(valkey_url, tmp_path / "a") as dead, workbench(valkey_url, tmp_path / "b") as alive:
        dead.faults.on = {"log_away", "confirms_lost"}
        with pytest.raises(LogUnavailable):
            await dead.batcher.submit(_ask("orphan", placement="capped"), dead.live)
        answers = await asyncio.gather(*(alive.batcher.submit(_ask("orphan", placement="capped"), alive.live) for _ in range(3)))
        assert len(set(answers)) == 1
        (row,) = alive.records
        assert row.recovered
        assert row.decision_id == DecideResponse.FromString(answers[0]).decision_id
        assert alive.watcher.joins.count(True) == 1


async def test_a_crash_between_log_and_reply_is_one_decision(valkey_url: str, tmp_path: Path) -> None:
    """A retry of a decision that was logged but never confirmed gives the same bytes; both rows carry one decision_id."""
    async with workbench(valkey_url, tmp_path / "a") as dead, workbench(valkey_url, tmp_path / "b") as alive:
        dead.faults.on = {"confirms_lost"}
        first = await dead.batcher.submit(_ask("unconfirmed"), dead.live)
        again = await alive.batcher.submit(_ask("unconfirmed"), alive.live)
        assert first == again
        assert {row.decision_id for row in dead.records + alive.records} == {DecideResponse.FromString(first).decision_id}


async def test_while_redis_is_away_a_worker_remembers_its_own_answers(valkey_url: str, tmp_path: Path) -> None:
    """With the store away a retry to the same worker is the same fallback byte for byte, in the log once."""
    async with workbench(valkey_url, tmp_path) as bench:
        bench.faults.on = {"profiles_away"}
        first = await bench.batcher.submit(_ask("away"), bench.live)
        assert await bench.batcher.submit(_ask("away"), bench.live) == first
        with pytest.raises(RequestIdReused):
            await bench.batcher.submit(_ask("away", body=b"other..."), bench.live)
        assert len(bench.records) == 1


async def test_a_batch_call_joins_and_is_joined(valkey_url: str, tmp_path: Path) -> None:
    """DecideBatch with duplicates inside and beside it decides each request_id once, in the caller's order."""
    async with workbench(valkey_url, tmp_path) as bench:
        asked = [_ask(f"many-{i % 40}", person=f"many-{i % 40}") for i in range(100)]
        many, single = await asyncio.gather(
            bench.batcher.submit_many(asked, bench.live), bench.batcher.submit(_ask("many-7", person="many-7"), bench.live)
        )
        assert many[7] == many[47] == many[87] == single
        assert len({record.request_id for record in bench.records}) == 40 == len(bench.records)


async def test_a_refused_request_in_a_batch_call_leaves_the_others_answered(valkey_url: str, tmp_path: Path) -> None:
    """When one request of a DecideBatch is refused, a later duplicate of its neighbours is still answered."""
    async with workbench(valkey_url, tmp_path) as bench:
        asked = [_ask("left"), _ask("middle", body=b"one....."), _ask("middle", body=b"two....."), _ask("right")]
        with pytest.raises(RequestIdReused):
            await bench.batcher.submit_many(asked, bench.live)
        await asyncio.wait_for(bench.batcher.submit(_ask("left"), bench.live), 5)
        await asyncio.wait_for(bench.batcher.submit(_ask("right"), bench.live), 5)
        assert sorted(record.request_id for record in bench.records) == ["left", "middle", "right"]


async def test_an_error_of_one_request_fails_its_batch_call_and_the_others_are_decided(valkey_url: str, tmp_path: Path) -> None:
    """A request_id that the store knows with another body is the call's error; every other request of the call is in the log."""
    async with workbench(valkey_url, tmp_path) as bench:
        await bench.batcher.submit(_ask("known", body=b"one....."), bench.live)
        asked = [_ask("one"), _ask("known", body=b"two....."), _ask("two")]
        with pytest.raises(RequestIdReused):
            await bench.batcher.submit_many(asked, bench.live)
        await bench.batcher.drain()
        assert sorted(record.request_id for record in bench.records) == ["known", "one", "two"]


async def test_a_batch_call_that_was_left_is_not_walked_but_for_who_joined_it(valkey_url: str, tmp_path: Path) -> None:
    """Requests of a cancelled batch call cost nothing any more; one that another caller waits for is decided and told."""
    async with workbench(valkey_url, tmp_path) as bench:
        left = asyncio.create_task(bench.batcher.submit_many([_ask(f"left-{i}") for i in range(5)], bench.live))
        joined = asyncio.create_task(bench.batcher.submit(_ask("left-3"), bench.live))
        while not bench.batcher.queue_depth:
            await asyncio.sleep(0)
        left.cancel()
        assert DecideResponse.FromString(await joined).decision_id
        assert left.cancelled()
        await bench.batcher.drain()
        assert [record.request_id for record in bench.records] == ["left-3"]
        assert len(await bench.batcher.submit_many([_ask(f"left-{i}") for i in range(5)], bench.live)) == 5


async def test_a_draw_is_a_pure_function_of_salt_and_request(valkey_url: str, tmp_path: Path) -> None:
    """Two workers that cannot see each other's memory draw alike for one request_id, and unlike for another."""
    async with workbench(valkey_url, tmp_path / "a") as one, workbench(valkey_url, tmp_path / "b") as other:
        for i in range(20):
            for bench in (one, other):
                request = DecideRequest(f"pure-{i}", "person-0", "two", idempotent=False)
                await bench.batcher.submit(request, bench.live)
        assert [list(r.draws) for r in one.records] == [list(r.draws) for r in other.records]
        assert len({r.draws[0] for r in one.records}) == 20


async def test_a_retry_after_a_failed_log_write_is_in_the_log(valkey_url: str, tmp_path: Path) -> None:
    """A decision refused for its log is not remembered as logged: a retry once the disk is back is recovered into the log."""
    async with workbench(valkey_url, tmp_path) as bench:
        bench.faults.on = {"log_away"}
        with pytest.raises(LogUnavailable):
            await bench.batcher.submit(_ask("disk-full", placement="capped"), bench.live)
        await bench.batcher.drain()
        bench.faults.on = set()
        answer = DecideResponse.FromString(await bench.batcher.submit(_ask("disk-full", placement="capped"), bench.live))
        (row,) = bench.records
        assert row.decision_id == answer.decision_id


async def test_a_default_served_without_a_log_is_what_a_retry_gets(valkey_url: str, tmp_path: Path) -> None:
    """With serve_default, the default that was answered is told again, here and elsewhere, and its unlogged choice's cap is free."""
    async with (
        workbench(valkey_url, tmp_path / "a", on_log_failure="serve_default") as one,
        workbench(valkey_url, tmp_path / "b") as other,
    ):
        await one.forget("person-1")
        one.faults.on = {"log_away"}
        first = await one.batcher.submit(_ask("unlogged", person="person-1", placement="capped"), one.live)
        await one.batcher.drain()
        one.faults.on = set()
        assert await one.batcher.submit(_ask("unlogged", person="person-1", placement="capped"), one.live) == first
        assert await other.batcher.submit(_ask("unlogged", person="person-1", placement="capped"), other.live) == first
        assert one.records + other.records == []
        again = DecideResponse.FromString(await other.batcher.submit(_ask("free-again", "person-1", "capped"), other.live))
        assert [slot.offer_id for slot in again.slots] == ["rare"]


@pytest.mark.parametrize("placement", ["capped", "two"])
async def test_a_reservation_whose_reply_is_lost_is_amended(placement: str, valkey_url: str, tmp_path: Path) -> None:
    """What is answered when nobody hears whether a claim was made is what retries get, on any worker, once Redis answers again."""
    async with workbench(valkey_url, tmp_path / "a") as one, workbench(valkey_url, tmp_path / "b") as other:
        await one.forget("person-2")
        request = _ask(f"lost-{placement}", person="person-2", placement=placement)
        one.faults.on = {"reply_lost"}
        first = await one.batcher.submit(request, one.live)
        assert await one.batcher.submit(request, one.live) == first
        one.faults.on = set()
        async with asyncio.timeout(20):
            # A claim's own value ends with its reservation.
            while not (await one.client.call([("GET", redis_keys.request("person-2", request.request_id))]))[0].endswith(first):
                await asyncio.sleep(0.01)
        assert await other.batcher.submit(request, other.live) == first
        assert len(one.records + other.records) == 1
        again = DecideResponse.FromString(await other.batcher.submit(_ask("after", "person-2", "capped"), other.live))
        assert [slot.offer_id for slot in again.slots] == ["rare"]


async def test_a_batch_call_keeps_its_deadline_and_the_queue(valkey_url: str, tmp_path: Path) -> None:
    """DecideBatch past its deadline is dropped before it costs, and one more than the queue holds is refused."""
    async with workbench(valkey_url, tmp_path, limits=Limits(max_queue=8)) as bench:
        asked = [DecideRequest(f"late-{i}", "person-0", "two") for i in range(100)]
        with pytest.raises(Expired):
            await bench.batcher.submit_many(asked, bench.live, deadline=asyncio.get_running_loop().time() - 1)
        assert bench.records == []
        first = asyncio.create_task(bench.batcher.submit_many(asked, bench.live))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await bench.batcher.submit_many(asked, bench.live)
        assert len(await first) == 100


async def test_single_requests_go_before_batch_calls(valkey_url: str, tmp_path: Path) -> None:
    """A single request that arrives behind a thousand of a batch call is in the next batch, not behind them."""
    async with workbench(valkey_url, tmp_path, limits=Limits(max_batch=16, batches_in_flight=1)) as bench:
        many = asyncio.create_task(bench.batcher.submit_many([_ask(f"bulk-{i}") for i in range(500)], bench.live))
        while len(bench.watcher.batches) < 2:
            await asyncio.sleep(0)
        done = len(bench.records)
        await bench.batcher.submit(_ask("urgent"), bench.live)
        assert len(bench.records) - done <= 3 * 16
        await many


@pytest.mark.parametrize(("most", "further_from"), [(4, 32), (8, 4)], ids=["full", "large"])
async def test_a_second_batch_walks_only_when_it_is_large(valkey_url: str, tmp_path: Path, most: int, further_from: int) -> None:
    """While a batch waits for the log, three more requests wait for it, and a fourth, with whom they are large or full, starts them."""
    limits = Limits(max_batch=most, batches_in_flight=2, further_from=further_from)
    async with workbench(valkey_url, tmp_path, limits=limits) as bench:
        append, written = bench.log.append, asyncio.Event()
        appending = 0

        async def held(records: object) -> None:
            nonlocal appending
            appending += 1
            await written.wait()
            await append(records)  # type: ignore[arg-type]

        bench.log.append = held  # type: ignore[method-assign]
        tasks = [asyncio.create_task(bench.batcher.submit(_ask("first", "person-1"), bench.live))]
        while not appending:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(bench.batcher.submit(_ask(f"more-{i}", f"person-{i}"), bench.live)) for i in range(2, 5)]
        await asyncio.sleep(0.05)
        assert (appending, bench.batcher.queue_depth) == (1, 3)
        tasks.append(asyncio.create_task(bench.batcher.submit(_ask("fourth", "person-5"), bench.live)))
        while appending < 2:
            await asyncio.sleep(0.001)
        assert bench.batcher.queue_depth == 0
        written.set()
        assert all(DecideResponse.FromString(raw).decision_id for raw in await asyncio.gather(*tasks))


async def test_a_broken_walk_gives_its_caps_back(valkey_url: str, tmp_path: Path) -> None:
    """When a stage breaks after the reservation, its caps and request_id are free again before the rows walk alone."""
    async with workbench(valkey_url, tmp_path) as bench:
        await bench.forget("person-3")
        append, failures = bench.log.append, [RuntimeError("once")]

        async def broken(records: object) -> None:
            if failures:
                raise failures.pop()
            await append(records)  # type: ignore[arg-type]

        bench.log.append = broken  # type: ignore[method-assign]
        answers = await asyncio.gather(
            *(bench.batcher.submit(_ask(f"broken-{i}", "person-3", "thrice"), bench.live) for i in range(3)),
        )
        offers = [slot.offer_id for raw in answers for slot in DecideResponse.FromString(raw).slots]
        assert offers == ["thrice"] * 3


async def test_a_batch_call_alone_goes_in_twice_the_batches(valkey_url: str, tmp_path: Path) -> None:
    """Requests of batch calls fill batches of twice the size while nobody waits alone, and share one of the usual size with who does."""
    async with workbench(valkey_url, tmp_path, limits=Limits(max_batch=16)) as bench:
        await bench.batcher.submit_many([_ask(f"bulk-{i}") for i in range(40)], bench.live)
        await bench.batcher.drain()
        assert bench.watcher.batches == [32, 8]
        alone = [asyncio.create_task(bench.batcher.submit(_ask(f"alone-{i}"), bench.live)) for i in range(4)]
        many = asyncio.create_task(bench.batcher.submit_many([_ask(f"more-{i}") for i in range(40)], bench.live))
        await asyncio.gather(*alone, many)
        await bench.batcher.drain()
        assert bench.watcher.batches == [32, 8, 16, 28]
