"""N0 is a fair comparison only while it gives the same answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.v1 import decision_pb2, decision_service_pb2_grpc, reason_pb2

from . import contenders, people, shop, traffic
from .processes import cores, free_ports, serving

_KEY = "0123456789abcdef0123456789abcdef"
# A busy machine must not turn answers into fallbacks, and draws must not need people's own keys.
_PATIENT = contenders.liftgate(
    "native", 20, "patient", ("--fetch-budget-ms", "5000", "--reserve-budget-ms", "5000", "--pseudonyms", "keyed", "--pseudonym-key", _KEY)
)
_PLAIN = replace(contenders.N0, command=lambda place: [*contenders.N0.command(place), "--pseudonym-key", _KEY])


def _answers(contender: contenders.Contender, place: contenders.Place, count: int) -> list[decision_pb2.DecideResponse]:
    address = f"127.0.0.1:{place.port}"
    with serving(contender.command(place), place.port, cores()[0], place.log / "output"), grpc.insecure_channel(address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)  # type: ignore[no-untyped-call]
        numbers = [traffic.person_number(step) for step in range(count)]
        return [stub.Decide(traffic.request(number, f"same-{number}"), timeout=10) for number in numbers]


@pytest.mark.slow
def test_the_plain_server_and_liftgate_give_the_same_answers(tmp_path: Path) -> None:
    """For 300 requests over the bench's people both offer the same, for the same reason, with the same probabilities."""
    shop.write(tmp_path / "shops" / "20", 20)
    with EmbeddedValkey(tcp=True) as valkey:
        people.restore(valkey.port, people.image(shop.compiled(tmp_path / "shops" / "20")))
        answers = []
        for contender in (_PLAIN, _PATIENT):
            log = tmp_path / contender.name
            log.mkdir()
            place = contenders.Place(*free_ports(), valkey.port, tmp_path / "shops", log)
            answers.append(_answers(contender, place, 300))
    for plain, full in zip(*answers, strict=True):
        assert (plain.arm, plain.branch, plain.reason) == (full.arm, full.branch, full.reason)
        assert [slot.offer_id for slot in plain.slots] == [slot.offer_id for slot in full.slots]
        for one, other in zip(plain.slots, full.slots, strict=True):
            assert one.propensity == pytest.approx(other.propensity, rel=1e-5)
            assert one.selection_probability == pytest.approx(other.selection_probability)
        assert not full.degraded
    # All of it would hold for servers that answer nothing.
    assert len({slot.offer_id for answer in answers[0] for slot in answer.slots}) > 5
    assert {answer.arm for answer in answers[0]} == {reason_pb2.ARM_TREATMENT, reason_pb2.ARM_HOLDOUT}
    assert {answer.branch for answer in answers[0]} >= {reason_pb2.BRANCH_EXPLOIT, reason_pb2.BRANCH_EXPLORE}
