"""What a record says of a slate as a whole."""

from __future__ import annotations

import numpy as np

from liftgate.record.codec import decode_decision
from liftgate.record.slate_part import slate_part
from liftgate.v1.record_pb2 import DecisionRecord, SlotProbabilities


def test_it_is_what_the_generated_code_writes() -> None:
    """Joint and marginals, written fast, parse to the message that the generated code builds."""
    marginals = np.random.default_rng(1).random((3, 7))
    want = DecisionRecord(slate_joint_probability=0.125, slot_marginals=[SlotProbabilities(probability=row) for row in marginals.tolist()])
    assert decode_decision(slate_part(0.125, marginals)) == want
    assert slate_part(0.125, marginals[:, 2:]) == slate_part(0.125, marginals[:, 2:].copy())


def test_unknown_marginals_are_absent() -> None:
    """A slate whose marginals cost too much has its joint alone, and a joint of 0 is there too."""
    assert decode_decision(slate_part(0.0, None)).HasField("slate_joint_probability")
    assert not decode_decision(slate_part(0.5, None)).slot_marginals
