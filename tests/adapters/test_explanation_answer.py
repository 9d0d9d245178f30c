"""What is said of answers that are not what was chosen."""

from __future__ import annotations

import pytest

from liftgate.adapters.explanation_of_record import explain_record
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.v1.record_pb2 import DecisionRecord, SlotProbabilities

VECTOR = [SlotProbabilities(probability=[0.9, 0.1])]


def record(**fields: object) -> DecisionRecord:
    """Return a record of two allowed offers, the first of which was chosen."""
    common: dict[str, object] = {
        "placement_id": "hero",
        "arm": int(Arm.TREATMENT),
        "branch": int(Branch.HOLDOUT),
        "candidate_offer_id": ["ship", "gift"],
        "candidate_reason": [int(Reason.CHOSEN), int(Reason.ALLOWED)],
        "slots": VECTOR,
        "would_offer": ["ship"],
    }
    return DecisionRecord(**(common | fields))  # type: ignore[arg-type]


CASES = {
    "withheld, nothing shown": (
        record(reason=int(Reason.OFFER_HELD_OUT), withheld_offer=["ship"]),
        "hero shows nothing: the person is in a holdout of ship, or of its programme; ship would have been offered.",
        "so it was not shown",
    ),
    "withheld, default": (
        record(reason=int(Reason.OFFER_HELD_OUT), withheld_offer=["ship"], offered=["welcome"], default_served=True),
        "hero shows welcome, the default: the person is in a holdout of ship, or of its programme; ship would have been offered.",
        "so it was not shown",
    ),
    "withheld, next best": (
        record(reason=int(Reason.OFFER_HELD_OUT), withheld_offer=["ship"], offered=["gift"]),
        "hero shows gift: the person is in a holdout of ship, or of its programme; ship would have been offered.",
        "so it was not shown",
    ),
    "apprentice": (
        record(branch=int(Branch.BASELINE), reason=int(Reason.BASELINE_SERVED), mode="apprentice", offered=["gift"]),
        "hero learns beside the caller and shows gift, the caller's own choice; ship would have been offered.",
        "the placement only learns",
    ),
    "apprentice, nothing": (
        record(branch=int(Branch.BASELINE), reason=int(Reason.BASELINE_SERVED), mode="apprentice"),
        "hero learns beside the caller and shows nothing of the caller's own choice; ship would have been offered.",
        "the placement only learns",
    ),
    "logging only": (
        record(branch=int(Branch.BASELINE), reason=int(Reason.LOGGED_ONLY), mode="logging_only"),
        "hero only logs and shows nothing; ship would have been offered.",
        "the placement only logs",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_summary_says_what_was_answered_and_what_would_have_been(case: str) -> None:
    """The sentence names both; the chosen offer's text says why it was not shown; the slot is told with what was drawn for it."""
    one, sentence, chosen = CASES[case]
    explained = explain_record(one, None)
    assert explained.summary == sentence
    assert chosen in explained.candidates[0].text
    assert (explained.slots[0].offer_id, explained.slots[0].selection_probability) == ("ship", 0.9)


def test_a_failure_is_told_as_ever() -> None:
    """Where the fallback answered, why it did is what matters, whatever the placement's mode."""
    one = record(branch=int(Branch.FALLBACK), reason=int(Reason.PROFILE_STORE_UNAVAILABLE), mode="logging_only")
    assert explain_record(one, None).summary.startswith("hero shows nothing: the profile store did not answer")
