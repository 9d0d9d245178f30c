"""The closed lists in Python and in the contract are the same lists."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest

from liftgate.domain.event import EventKind, Reliability
from liftgate.domain.reason import Arm, Branch, InputState, Reason
from liftgate.pipeline.audit import Act
from liftgate.pipeline.stages import Stage
from liftgate.v1 import audit_pb2, event_service_pb2, reason_pb2, record_pb2

PAIRS = [
    (Reason, reason_pb2.Reason, "REASON_"),
    (Arm, reason_pb2.Arm, "ARM_"),
    (Branch, reason_pb2.Branch, "BRANCH_"),
    (Stage, reason_pb2.Stage, "STAGE_"),
    (InputState, record_pb2.InputState, "INPUT_STATE_"),
    (EventKind, event_service_pb2.EventKind, "EVENT_KIND_"),
    (Reliability, event_service_pb2.Reliability, "RELIABILITY_"),
    (Act, audit_pb2.AuditAct, "AUDIT_ACT_"),
]


@pytest.mark.parametrize(("ours", "contract", "prefix"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS])
def test_every_name_and_number_equals_the_contracts(ours: type[IntEnum], contract: Any, prefix: str) -> None:
    """Each enum has exactly the proto's members with exactly the proto's numbers (Stage has no unspecified one)."""
    wanted = {name.removeprefix(prefix): number for name, number in contract.items()}
    if ours is Stage:
        assert wanted.pop("UNSPECIFIED") == 0
    assert {member.name: int(member) for member in ours} == wanted


def test_reasons_fit_one_byte_and_their_ranges() -> None:
    """Candidate reasons lie in 1-59, decision reasons in 60-127, as the batch's columns need."""
    for reason in Reason:
        text = reason_pb2.Reason.DESCRIPTOR.values_by_number[reason]
        assert text is not None
        assert 0 <= reason < 128
