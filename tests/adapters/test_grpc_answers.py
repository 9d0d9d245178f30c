"""Decisions become the bytes that proto readers understand, field by field."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.adapters.grpc_answers import GrpcAnswers, batch_response
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.v1.decision_pb2 import DecideResponse
from liftgate.v1.decision_service_pb2 import DecideBatchResponse
from tests.adapters.shop import DIGEST
from tests.adapters.walked import SHOP, decided, held_out, walked

ANSWERS = GrpcAnswers()


def test_an_offer_with_its_numbers() -> None:
    """One chosen offer carries its payload, propensity, value and probability, and the head says the rest."""
    answer = DecideResponse.FromString(ANSWERS.encode(walked(), SHOP, decided()))
    assert (answer.decision_id, answer.bundle_digest, answer.valid_until_ms, answer.degraded) == ("0" * 31 + "1", DIGEST, 61_000, False)
    assert (int(answer.arm), int(answer.branch), int(answer.reason)) == (Arm.TREATMENT, Branch.EXPLOIT, Reason.OFFERED)
    (slot,) = answer.slots
    assert (slot.offer_id, slot.payload_json, slot.is_default) == ("gift", '{"title":"gift"}', False)
    assert (slot.propensity, slot.value, slot.selection_probability) == pytest.approx((0.3, 3.0, 0.04))
    assert not answer.HasField("explanation")


def test_each_slot_has_its_own_probability() -> None:
    """The probability of a slot's offer is that of the slot's own vector."""
    answer = DecideResponse.FromString(ANSWERS.encode(walked(slots=3), SHOP, decided(offered=(5, 1, 3))))
    assert [slot.offer_id for slot in answer.slots] == ["capped", "free-shipping", "gift"]
    assert [slot.selection_probability for slot in answer.slots] == pytest.approx([0.06, 0.03, 0.06])


def test_rows_are_not_mixed_up() -> None:
    """A decision is answered from its own row of the batch."""
    batch = walked(n=3)
    batch.probability[0, 2, 3] = 0.77
    batch.propensity[2, 3] = 0.66
    (slot,) = DecideResponse.FromString(ANSWERS.encode(batch, SHOP, decided(row=2))).slots
    assert (slot.selection_probability, slot.propensity) == (0.77, 0.66)


def test_a_default_offer_is_marked_and_has_no_numbers() -> None:
    """A default offer has probability 1, no propensity and no value."""
    decision = decided(offered=(0,), default_served=True, branch=Branch.DEFAULT, reason=Reason.NO_OFFER_ALLOWED)
    (slot,) = DecideResponse.FromString(ANSWERS.encode(walked(), SHOP, decision)).slots
    assert (slot.offer_id, slot.is_default, slot.selection_probability, slot.payload_json) == ("welcome", True, 1.0, "")
    assert not slot.HasField("propensity")
    assert not slot.HasField("value")


def test_a_propensity_that_is_not_known_is_absent() -> None:
    """NaN never goes out as a propensity."""
    batch = walked()
    batch.propensity[:] = np.nan
    (slot,) = DecideResponse.FromString(ANSWERS.encode(batch, SHOP, decided())).slots
    assert not slot.HasField("propensity")


def test_a_dry_run_has_no_decision_id() -> None:
    """What is in no log has no id to look it up by."""
    assert DecideResponse.FromString(ANSWERS.encode(walked(dry_run=True), SHOP, decided())).decision_id == ""


def test_held_out_people_are_answered_nothing_but_what_was_decided() -> None:
    """What would have been offered is nowhere in the slots."""
    answer = DecideResponse.FromString(ANSWERS.encode(walked(), SHOP, held_out()))
    assert (int(answer.arm), int(answer.reason), len(answer.slots)) == (Arm.HOLDOUT, Reason.HELD_OUT, 0)
    assert b"gift" not in answer.SerializeToString()


def test_the_explanation_comes_when_asked_for() -> None:
    """`explain` adds the explanation and changes nothing else."""
    plain = DecideResponse.FromString(ANSWERS.encode(walked(), SHOP, decided()))
    explained = DecideResponse.FromString(ANSWERS.encode(walked(explain=True), SHOP, decided()))
    assert explained.HasField("explanation")
    explained.ClearField("explanation")
    assert explained == plain


def test_the_same_decision_has_the_same_bytes() -> None:
    """Encoding is deterministic."""
    assert ANSWERS.encode(walked(explain=True), SHOP, decided()) == ANSWERS.encode(walked(explain=True), SHOP, decided())


@pytest.mark.parametrize("sizes", [[], [0], [1, 127, 128, 300], [20_000]])
def test_a_batch_response_is_its_answers_in_order(sizes: list[int]) -> None:
    """Framed answers read back as the generated code reads them."""
    answers = [DecideResponse(decision_id="x" * size).SerializeToString() for size in sizes]
    read = DecideBatchResponse.FromString(batch_response(answers))
    assert [len(answer.decision_id) for answer in read.responses] == sizes


def test_answers_written_together_are_those_written_one_by_one() -> None:
    """Chosen offers, defaults, none, several slots, dry runs, explanations and unknown propensities: the same bytes."""
    batch = walked(n=4, slots=3)
    batch.propensity[3] = np.nan
    behind = decided(offered=(5, 0), row=1)
    behind.default_slots = (1,)
    chances = decided(row=2)
    chances.chances = (0.5,)
    refused = decided(row=1)
    refused.refused = ((3, Reason.NOT_STARTED),)
    decisions = [
        decided(),
        decided(offered=(5, 1, 3), row=1),
        decided(offered=(0,), row=2, default_served=True, branch=Branch.DEFAULT, reason=Reason.NO_OFFER_ALLOWED),
        decided(offered=(), row=1, branch=Branch.DEFAULT, reason=Reason.NO_OFFER_ALLOWED),
        decided(row=3),
        behind,
        chances,
        refused,
        held_out(),
    ]
    for some in (batch, walked(n=4, slots=3, dry_run=True), walked(n=4, slots=3, explain=True)):
        for _ in range(2):
            assert ANSWERS.encode_all(some, SHOP, decisions) == [GrpcAnswers().encode(some, SHOP, decision) for decision in decisions]


def test_answers_of_known_kinds_are_those_written_one_by_one() -> None:
    """Of one kind or of several, with an unknown propensity among them or with several slots: each row's own numbers, the same bytes."""
    answers = GrpcAnswers()
    batch = walked(n=8, slots=3)
    batch.probability[0] *= np.arange(1, 9)[:, None]
    shown = [decided(row=row, decision_id=f"{row:032x}", valid_until_ms=61_000 + row % 2, kind=1) for row in range(8)]
    default = decided(offered=(0,), row=2, default_served=True, branch=Branch.DEFAULT, reason=Reason.NO_OFFER_ALLOWED, kind=2)
    nothing = decided(offered=(), row=5, branch=Branch.DEFAULT, reason=Reason.NO_OFFER_ALLOWED, kind=3)
    several = decided(offered=(5, 1, 3), row=1, kind=4)
    unknown = walked(n=8)
    unknown.propensity[6] = np.nan
    for some, decisions in (
        (batch, shown),
        (batch, [*shown, default, nothing]),
        (batch, [*shown, several]),
        (unknown, [*shown, default]),
        (batch, [nothing] * 8),
    ):
        for _ in range(2):
            assert answers.encode_all(some, SHOP, decisions) == [GrpcAnswers().encode(some, SHOP, decision) for decision in decisions]
