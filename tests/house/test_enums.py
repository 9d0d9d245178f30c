"""The closed lists in Python and in the contract are the same lists."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from liftgate.adapters.explanation import FALLBACK_STAGE
from liftgate.domain.event import EventKind, Reliability
from liftgate.domain.reason import Arm, Branch, InputState, Reason
from liftgate.pipeline.audit import Act
from liftgate.pipeline.stages import Stage
from liftgate.v1 import audit_pb2, event_service_pb2, reason_pb2, record_pb2

_CONSENT = [reason for reason in Reason if reason.name.startswith("CONSENT_") and reason is not Reason.CONSENT_REVOKED]
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


def test_reasons_keep_to_their_ranges() -> None:
    """What fallbacks are for lies in 60-127, what objects to an offer in 1-59, and all fit the batch's column of signed bytes."""
    assert {*FALLBACK_STAGE, Reason.OFFERED, Reason.NO_OFFER_ALLOWED} <= {reason for reason in Reason if reason >= 60}
    assert {Reason.ALLOWED, Reason.CHOSEN, *_CONSENT} <= {reason for reason in Reason if 1 <= reason < 60}
    assert max(Reason) <= np.iinfo(np.int8).max
