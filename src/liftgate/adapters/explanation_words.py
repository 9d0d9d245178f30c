"""A decision in one sentence that a person without training understands."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.adapters.explanation import SENTENCES
from liftgate.adapters.explanation_arms import of_arms
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.v1.record_pb2 import DecisionRecord


def summary(record: DecisionRecord) -> str:
    """Return what was answered and why, from the record alone."""
    return _answered(record) + of_arms(record)


def _answered(record: DecisionRecord) -> str:
    place, names = record.placement_id, in_words(_shown(record))
    if int(record.arm) == Arm.HOLDOUT:
        answer = f"{place} shows {names}, the default" if record.offered else f"{place} shows nothing"
        return f"The person is in a holdout, so {answer}; {_would_be(record)}."
    sentence = _sentence(record.reason)
    if int(record.branch) != Branch.FALLBACK and (record.mode or record.withheld_offer):
        return _apart(record, place, names)
    if record.default_served:
        return f"{place} shows {names}, the default: {_lower(sentence)}"
    if not record.offered:
        return f"{place} shows nothing: {_lower(sentence)}"
    tail = "" if int(record.reason) == Reason.OFFERED else f" {sentence}"
    return f"{place} shows {names}{_how(record)}.{tail}"


def _shown(record: DecisionRecord) -> list[str]:
    """Return what was answered, with a note where a default stands beside others."""
    return [f"{name} (the default there)" if i in record.default_slot else name for i, name in enumerate(record.offered)]


def in_words(names: Sequence[str]) -> str:
    """Return names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing"


def answers_otherwise(record: DecisionRecord) -> bool:
    """Say whether `would_offer` is what was drawn, and not what was answered."""
    return int(record.arm) == Arm.HOLDOUT or bool(record.mode) or bool(record.withheld_offer)


def chosen_text(record: DecisionRecord, offer_id: str) -> str:
    """Return what is said of an offer that the policy chose."""
    passed = "It passed every guardrail and would have been chosen"
    if int(record.arm) == Arm.HOLDOUT:
        return f"{passed}; the person is in a holdout."
    if record.mode:
        return f"{passed}; the placement only learns." if record.mode == "apprentice" else f"{passed}; the placement only logs."
    if offer_id in record.withheld_offer:
        return "It passed every guardrail and was chosen; the person is in a holdout of it or of its programme, so it was not shown."
    return SENTENCES[Reason.CHOSEN]


def _apart(record: DecisionRecord, place: str, names: str) -> str:
    """Return the sentence of an answer that is not what was chosen."""
    if record.mode == "logging_only":
        return f"{place} only logs and shows nothing; {_would_be(record)}."
    if record.mode:
        own = f"{names}, the caller's own choice" if record.offered else "nothing of the caller's own choice"
        return f"{place} learns beside the caller and shows {own}; {_would_be(record)}."
    withheld = f"the person is in a holdout of {in_words(record.withheld_offer)}, or of its programme"
    shown = f"{names}, the default" if record.default_served else names
    return f"{place} shows {shown}: {withheld}; {_would_be(record)}."


def _would_be(record: DecisionRecord) -> str:
    if not record.would_offer:
        return "nothing would have been shown either"
    names = in_words(record.would_offer)
    return f"{names}, the default, would have been shown" if record.would_offer_default else f"{names} would have been offered"


def _how(record: DecisionRecord) -> str:
    if not record.slots or record.offered[0] not in record.candidate_offer_id:
        return ""
    count = sum(int(reason) in (Reason.ALLOWED, Reason.CHOSEN) for reason in record.candidate_reason)
    vector = record.slots[0].probability
    chance = vector[list(record.candidate_offer_id).index(record.offered[0])]
    among = "the only allowed offer" if count == 1 else f"drawn from {count} allowed offers"
    first = "" if len(record.offered) == 1 else " for the first slot"
    return f", {among}, with probability {chance:.3g}{first}"


def _sentence(number: int) -> str:
    try:
        return SENTENCES[Reason(number)]
    except ValueError:
        return SENTENCES[Reason.UNSPECIFIED]


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
