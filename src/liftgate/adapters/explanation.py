"""Why this offer and why not the others, in words: one sentence for each reason, one entry for each candidate.

A caller who asks for the explanation of a held-out person's decision is told what would have been offered: support and
analysts need it. It stands in the explanation alone, never in `slots`, so a front end that shows slots cannot leak it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.reason import Arm, Reason
from liftgate.v1 import decision_pb2

SENTENCES: Mapping[Reason, str] = {
    Reason.UNSPECIFIED: "The reason is not known to this version.",
    Reason.ALLOWED: "It passed every guardrail and was not chosen.",
    Reason.CHOSEN: "It passed every guardrail and was chosen.",
    Reason.NOT_REQUESTED: "The caller's own list of offers leaves it out.",
    Reason.CONSENT_MISSING: "Consent for a purpose that it needs is not on record, and unknown is no.",
    Reason.CONSENT_DENIED: "Consent for a purpose that it needs was refused, taken back or is pending.",
    Reason.CONSENT_EXPIRED: "Consent for a purpose that it needs has expired, or is dated after the service's clock.",
    Reason.CONSENT_UNREADABLE: "The stored consent cannot be read, and unknown is no.",
    Reason.CONSENT_GPC: "The browser or device sent Global Privacy Control, which denies a purpose that it needs.",
    Reason.CONSENT_UNAVAILABLE: "Consent could not be looked up because the store is away, and unknown is no.",
    Reason.CHANNEL_NOT_ALLOWED: "It is not meant for this channel.",
    Reason.NOT_STARTED: "It has not started yet.",
    Reason.ENDED: "It ended before this moment.",
    Reason.NOT_ELIGIBLE: "The person does not fulfil its condition (eligible_if).",
    Reason.ELIGIBILITY_UNKNOWN: "Its condition (eligible_if) needs something that is not known, and unknown is no.",
    Reason.SUPPRESSED: "Its suppression rule (suppress_if) holds it back.",
    Reason.SUPPRESSION_UNKNOWN: "Its suppression rule (suppress_if) needs something that is not known, and unknown holds it back.",
    Reason.FREQUENCY_CAP: "The person has had it as often as its frequency cap allows.",
    Reason.FREQUENCY_CAP_UNAVAILABLE: "Its frequency cap cannot be checked now, so it is held back.",
    Reason.OFFERED: "The placement's policy chose among the allowed offers.",
    Reason.HELD_OUT: "The person is in a holdout, a group that is measured and not treated.",
    Reason.NO_OFFER_ALLOWED: "No offer passed the guardrails.",
    Reason.UNKNOWN_PERSON: "Nothing is stored for the person, so the decision used the context alone.",
    Reason.PROFILE_NOT_CONSENTED: "The person has not agreed to the use of their profile, so the decision used the context alone.",
    Reason.PROFILE_UNREADABLE: "The stored profile cannot be read, so the decision used the context alone.",
    Reason.PROFILE_STORE_UNAVAILABLE: "The profile store did not answer in time, so only the guarded default could be served.",
    Reason.MODEL_UNAVAILABLE: "A model failed, so offers were ranked by their declared base rates.",
    Reason.RESERVATION_UNAVAILABLE: "Frequency caps could not be reserved, so only the guarded default could be served.",
    Reason.RESERVATION_LOST: "Other decisions for the person took every reservation tried, so only the guarded default could be served.",
    Reason.LOG_UNAVAILABLE: "The decision log cannot be written, so only the guarded default could be served.",
    Reason.STAGE_FAILED: "A stage failed unexpectedly, so only the guarded default could be served.",
}
"""Every reason in words. `docs/decide.md` has the same sentences; a test compares them."""

_SECTION: Mapping[Reason, str] = {
    Reason.CONSENT_MISSING: "purposes",
    Reason.CONSENT_DENIED: "purposes",
    Reason.CONSENT_EXPIRED: "purposes",
    Reason.CONSENT_UNREADABLE: "purposes",
    Reason.CONSENT_GPC: "purposes",
    Reason.CONSENT_UNAVAILABLE: "purposes",
    Reason.CHANNEL_NOT_ALLOWED: "channels",
    Reason.NOT_STARTED: "from",
    Reason.ENDED: "until",
    Reason.NOT_ELIGIBLE: "eligible_if",
    Reason.ELIGIBILITY_UNKNOWN: "eligible_if",
    Reason.SUPPRESSED: "suppress_if",
    Reason.SUPPRESSION_UNKNOWN: "suppress_if",
    Reason.FREQUENCY_CAP: "caps",
    Reason.FREQUENCY_CAP_UNAVAILABLE: "caps",
}
"""The bundle's section whose line stopped an offer."""


def explain(batch: Batch, bundle: Bundle, decision: Decision) -> decision_pb2.Explanation:
    """Return the explanation of one decision. Columns of stages that did not run count as empty; never raises for them."""
    row = decision.row
    message = decision_pb2.Explanation(summary=_summary(batch, bundle, decision))
    masked = getattr(batch, "masked", None)
    if masked is not None and masked[row]:
        message.masked_paths.append("profile.*")
    # Unset columns raise AttributeError: a stage before them failed.
    reasons = getattr(batch, "reason", None)
    if reasons is None:
        return message
    propensity, probability = getattr(batch, "propensity", None), getattr(batch, "probability", None)
    for k, offer in enumerate(bundle.offers):
        code = Reason(int(reasons[row, k]))
        if code is Reason.UNSPECIFIED:
            continue
        reason = Reason.CHOSEN if code is Reason.ALLOWED and k in decision.chosen else code
        entry = message.candidates.add(offer_id=offer.offer_id, reason=int(reason))
        entry.text = _text(reason, decision)
        entry.rule = _rule(bundle, reason, k)
        if code is Reason.ALLOWED:
            entry.value = float(bundle.value[k])
            if propensity is not None and isfinite(propensity[row, k]):
                entry.propensity = float(propensity[row, k])
            if probability is not None and len(probability):
                entry.selection_probability = float(probability[0, row, k])
    return message


def _text(reason: Reason, decision: Decision) -> str:
    if reason is Reason.CHOSEN and decision.arm is Arm.HOLDOUT:
        return "It passed every guardrail and would have been chosen; the person is in a holdout."
    return SENTENCES[reason]


def _rule(bundle: Bundle, reason: Reason, offer: int) -> str:
    """Return `file:line` of the rule that stopped the offer; empty: no rule did."""
    section = _SECTION.get(reason)
    if section is None:
        return ""
    found = bundle.rule_source.get((section, offer))
    if found is None and section == "caps":
        found = ", ".join(dict.fromkeys(bundle.caps[cap].source for cap in bundle.offer_caps[offer]))
    return found or bundle.offers[offer].source


def _summary(batch: Batch, bundle: Bundle, decision: Decision) -> str:
    place = batch.requests[decision.row].placement_id
    names = _names(bundle, decision.offered)
    if decision.arm is Arm.HOLDOUT:
        answer = f"{place} shows {names}, the default" if decision.offered else f"{place} shows nothing"
        return f"The person is in a holdout, so {answer}; {_would_be(bundle, decision)}."
    if decision.default_served:
        return f"{place} shows {names}, the default: {_lower(SENTENCES[decision.reason])}"
    if not decision.offered:
        return f"{place} shows nothing: {_lower(SENTENCES[decision.reason])}"
    how = _how(batch, decision)
    tail = "" if decision.reason is Reason.OFFERED else f" {SENTENCES[decision.reason]}"
    return f"{place} shows {names}{how}.{tail}"


def _would_be(bundle: Bundle, decision: Decision) -> str:
    if decision.chosen:
        return f"{_names(bundle, decision.chosen)} would have been offered"
    if decision.would_offer:
        return f"{_names(bundle, decision.would_offer)}, the default, would have been shown"
    return "nothing would have been shown either"


def _how(batch: Batch, decision: Decision) -> str:
    allowed: Any = getattr(batch, "allowed", None)
    probability: Any = getattr(batch, "probability", None)
    if allowed is None or probability is None or not len(probability):
        return ""
    count = int(allowed[decision.row].sum())
    chance = float(probability[0, decision.row, decision.offered[0]])
    among = "the only allowed offer" if count == 1 else f"drawn from {count} allowed offers"
    first = "" if len(decision.offered) == 1 else " for the first slot"
    return f", {among}, with probability {chance:.3g}{first}"


def _names(bundle: Bundle, offers: tuple[int, ...]) -> str:
    names = [bundle.offers[k].offer_id for k in offers]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing"


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
