"""An open loop sends what is due, and every request that was due is accounted for."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from liftgate.load.connections import Unreachable
from liftgate.load.run import open_run
from liftgate.load.schedule import Step, plan
from liftgate.v1 import decision_pb2
from tests.load.conftest import NOTHING, OFFER, Bodies, PeerOf, Serve
from tests.ports import free_port


def accounted(data: dict[str, Any]) -> bool:
    """Return whether good and failed replies are together what was sent."""
    return bool(data["ok"] + sum(data["failed"].values()) == data["sent"])


def test_the_whole_schedule_is_sent_and_every_reply_counted(serve: Serve, peer: PeerOf, bodies: Bodies) -> None:
    """Each request of the schedule reaches the server once, with a request_id of its own, and its answer is counted by reason."""
    seen: list[str] = []

    def answer(request: decision_pb2.DecideRequest, _: Any) -> bytes:
        seen.append(request.request_id)
        return OFFER if request.person_id[-1] != "3" else NOTHING

    schedule = plan([Step(300, 1.0)], "poisson", seed=4)
    with serve(answer) as port:
        outcome = open_run(peer(port), bodies(), schedule, connections=3)
    data = outcome.data
    assert len(schedule.due_ns) == data["sent"] == data["ok"] == len(seen) == len(set(seen))
    assert data["failed"] == {}
    assert 0 < data["reasons"]["NO_OFFER_ALLOWED"] < data["reasons"]["OFFERED"] == data["offered"]
    assert sorted(outcome.start_ns.tolist()) == schedule.due_ns.tolist()


def test_another_method_of_another_service_can_be_loaded(serve: Serve, peer: PeerOf, bodies: Bodies) -> None:
    """Whatever takes a DecideRequest will do; a method that is not there fails by its status."""
    schedule = plan([Step(100, 0.3)], "constant")
    with serve(lambda request, _: OFFER, method="/shop.Offers/Next") as port:
        good = open_run(peer(port, "/shop.Offers/Next"), bodies(), schedule, 1).data
        bad = open_run(peer(port), bodies(), schedule, 1).data
    assert good["ok"] == 30
    assert bad["ok"] == 0
    (cause,) = bad["failed"]
    assert cause.startswith("grpc-status 12")
    assert bad["failed"][cause] == 30


def test_a_server_that_comes_back_is_loaded_again(serve: Serve, peer: PeerOf, bodies: Bodies) -> None:
    """While nobody listens requests fail by name, and later ones are answered; none is left out of the account."""
    started, ended = threading.Event(), threading.Event()

    def once() -> None:
        with serve(lambda request, _: OFFER, port=port):
            started.set()
            ended.wait(30)

    port = free_port()
    first = threading.Thread(target=once)
    first.start()
    assert started.wait(10)

    def away() -> None:
        time.sleep(0.3)
        ended.set()
        first.join()
        time.sleep(0.4)
        with serve(lambda request, _: OFFER, port=port):
            over.wait(30)

    over = threading.Event()
    other = threading.Thread(target=away)
    other.start()
    try:
        data = open_run(peer(port), bodies(), plan([Step(200, 3.0)], "constant"), connections=2).data
    finally:
        over.set()
        other.join()
    assert data["sent"] == 600
    assert accounted(data)
    assert data["failed"]["not connected"] > 0
    assert data["ok"] > 180, "of 600; before the server went only the first 60 were due"


@pytest.mark.parametrize(("connections", "limit"), [(1, 2), (2, 3), (4, 2)])
def test_a_limit_of_calls_in_flight_is_kept_and_told(serve: Serve, peer: PeerOf, bodies: Bodies, connections: int, limit: int) -> None:
    """The limit, whole and no more, is at the server at once over all connections; everything is sent in the end, and what waited is
    counted."""
    now = most = 0
    lock = threading.Lock()

    def answer(_: decision_pb2.DecideRequest, __: Any) -> bytes:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return OFFER

    with serve(answer) as port:
        data = open_run(peer(port), bodies(), plan([Step(400, 0.5)], "constant"), connections=connections, in_flight=limit).data
    assert most == limit
    assert data["ok"] == 200
    assert data["generator"]["held_back"] > 0


def test_replies_that_never_come_are_failures(serve: Serve, peer: PeerOf, bodies: Bodies, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call without a reply by the end of the wait is counted as failed, not left out."""
    monkeypatch.setattr("liftgate.load.run.DRAIN_S", 0.2)
    hold = threading.Event()

    def answer(request: decision_pb2.DecideRequest, _: Any) -> bytes:
        if request.person_id[-1] == "0":
            hold.wait(20)
        return OFFER

    with serve(answer) as port:
        try:
            data = open_run(peer(port), bodies(), plan([Step(50, 0.4)], "constant"), connections=1).data
        finally:
            hold.set()
    assert accounted(data)
    assert any(cause.startswith("no reply within") for cause in data["failed"])


def test_nothing_there_is_said_at_once(peer: PeerOf, bodies: Bodies, serve: Serve) -> None:
    """A port that nobody listens on is not loaded."""
    with serve(lambda request, _: OFFER) as port:
        pass
    with pytest.raises(Unreachable, match="refused"):
        open_run(peer(port), bodies(), plan([Step(50, 0.4)], "constant"), connections=1)
