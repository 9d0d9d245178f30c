"""The words and places of reasons: one sentence for each, and the part of a bundle that it speaks of.

A new guardrail adds its reasons here and needs no other change in explanations.
"""

from __future__ import annotations

from collections.abc import Mapping

from liftgate.domain.reason import Reason
from liftgate.v1.reason_pb2 import Stage

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
    Reason.CONSENT_DENIED_BY_DEFAULT: "Nothing is on record for a purpose that it needs, and the default of the jurisdiction is no.",
    Reason.CHANNEL_NOT_ALLOWED: "It is not meant for this channel.",
    Reason.NOT_STARTED: "It has not started yet.",
    Reason.ENDED: "It ended before this moment.",
    Reason.NOT_ELIGIBLE: "The person does not fulfil its condition (eligible_if).",
    Reason.ELIGIBILITY_UNKNOWN: "Its condition (eligible_if) needs something that is not known, and unknown is no.",
    Reason.NOT_APPLICABLE: "It makes no sense at this moment (applicable_if).",
    Reason.APPLICABILITY_UNKNOWN: "Whether it makes sense at this moment (applicable_if) is not known, and unknown is no.",
    Reason.NOT_SUITABLE: "It is not right for this person (suitable_if).",
    Reason.SUITABILITY_UNKNOWN: "Whether it is right for this person (suitable_if) is not known, and unknown is no.",
    Reason.SUPPRESSED: "Its suppression rule (suppress_if) holds it back.",
    Reason.SUPPRESSION_UNKNOWN: "Its suppression rule (suppress_if) needs something that is not known, and unknown holds it back.",
    Reason.PAUSED: "What the person did has paused it, its group or the channel for a while.",
    Reason.DO_NOT_CONTACT: "The person is on a do-not-contact list.",
    Reason.DO_NOT_CONTACT_UNKNOWN: "Whether the person is on a do-not-contact list is not known, and unknown holds it back.",
    Reason.QUIET_HOURS: "It is quiet hours on the person's clock.",
    Reason.QUIET_HOURS_UNKNOWN: "The person's time zone is not known, so it may be quiet hours, and unknown holds it back.",
    Reason.EXCLUDED: "Another offer that the person was chosen for excludes it for now.",
    Reason.FEATURE_STALE: "A feature that it is judged by is too old (max_age), and its bundle leaves such offers out (on_stale).",
    Reason.FREQUENCY_CAP: "The person has had it as often as its frequency cap allows.",
    Reason.FREQUENCY_CAP_UNAVAILABLE: "Its caps and pauses cannot be checked now, so it is held back.",
    Reason.CONTACT_POLICY: "The person has been contacted on this channel as often as its contact policy allows.",
    Reason.ACCOUNT_CAP: "The person's account or household has had it as often as its cap allows.",
    Reason.ACCOUNT_UNKNOWN: "It has a cap by account and the request names no account, and unknown is no.",
    Reason.TOTAL_CAP: "Its total cap, such as a budget, is used up.",
    Reason.TOTAL_CAP_PACED: "Its total cap is ahead of its pace and has room again later.",
    Reason.NOT_APPROVED: "It is sensitive, and no approval stands for exactly what it is now.",
    Reason.AWAITING_REVIEW: "A reviewer has yet to decide whether this person may be shown it.",
    Reason.REVIEW_REJECTED: "A reviewer said no to it.",
    Reason.STOPPED: "An operator has stopped it, its group, or every use of profiles, which it needs.",
    Reason.CONTROLS_UNKNOWN: "What is stopped and approved could not be read, and unknown is no.",
    Reason.BELOW_THRESHOLD: "It passed every guardrail and is not worth showing: it is expected to bring too little, or to do harm.",
    Reason.LOWER_TIER: "It passed every guardrail, and so did an offer of a higher priority tier.",
    Reason.NOT_IN_ARM: "It passed every guardrail, and the experiment arm that the decision is in shows other offers.",
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
    Reason.PERSONALIZATION_STOPPED: "An operator has stopped every use of profiles, so the decision used the context alone.",
    Reason.MODEL_STOPPED: "An operator has stopped a model, so its offers were ranked by their declared base rates.",
    Reason.CONSENT_REVOKED: "The consent that the exposure's decision needed is gone: it must not be shown, and is not counted.",
    Reason.NOTHING_WORTH_SHOWING: "Offers passed the guardrails and none of them is worth showing, so nothing is shown.",
    Reason.OFFER_HELD_OUT: "The person is in a holdout of the offer that was chosen first, or of its programme, so it was not shown.",
    Reason.BASELINE_SERVED: "The placement learns beside the caller, whose own choice was answered.",
    Reason.LOGGED_ONLY: "The placement only logs what it would choose, and answers nothing.",
}
"""Every reason in words. `docs/decide.md` has the same sentences; a test compares them."""

SECTION: Mapping[Reason, str] = {
    Reason.CONSENT_MISSING: "purposes",
    Reason.CONSENT_DENIED: "purposes",
    Reason.CONSENT_EXPIRED: "purposes",
    Reason.CONSENT_UNREADABLE: "purposes",
    Reason.CONSENT_GPC: "purposes",
    Reason.CONSENT_UNAVAILABLE: "purposes",
    Reason.CONSENT_DENIED_BY_DEFAULT: "purposes",
    Reason.CHANNEL_NOT_ALLOWED: "channels",
    Reason.NOT_STARTED: "from",
    Reason.ENDED: "until",
    Reason.NOT_ELIGIBLE: "eligible_if",
    Reason.ELIGIBILITY_UNKNOWN: "eligible_if",
    Reason.NOT_APPLICABLE: "applicable_if",
    Reason.APPLICABILITY_UNKNOWN: "applicable_if",
    Reason.NOT_SUITABLE: "suitable_if",
    Reason.SUITABILITY_UNKNOWN: "suitable_if",
    Reason.SUPPRESSED: "suppress_if",
    Reason.SUPPRESSION_UNKNOWN: "suppress_if",
    Reason.DO_NOT_CONTACT: "lists",
    Reason.DO_NOT_CONTACT_UNKNOWN: "lists",
    Reason.QUIET_HOURS: "quiet_hours",
    Reason.QUIET_HOURS_UNKNOWN: "quiet_hours",
    Reason.EXCLUDED: "exclusions",
    Reason.FEATURE_STALE: "features",
    Reason.NOT_APPROVED: "sensitive",
    Reason.REVIEW_REJECTED: "sensitive",
    Reason.AWAITING_REVIEW: "review_each_decision",
    Reason.FREQUENCY_CAP: "caps",
    Reason.FREQUENCY_CAP_UNAVAILABLE: "caps",
    Reason.PAUSED: "pauses",
    Reason.CONTACT_POLICY: "contact_policy",
    Reason.ACCOUNT_CAP: "caps",
    Reason.ACCOUNT_UNKNOWN: "caps",
    Reason.TOTAL_CAP: "caps",
    Reason.TOTAL_CAP_PACED: "caps",
}
"""The bundle's section whose line stopped an offer."""

FURTHER_SECTIONS: Mapping[Reason, tuple[str, ...]] = {
    Reason.FREQUENCY_CAP_UNAVAILABLE: ("pauses", "contact_policy", "exclusions"),
    Reason.NOT_APPROVED: ("review_policy",),
    Reason.REVIEW_REJECTED: ("review_each_decision", "review_policy"),
}
"""Other sections that may have stopped an offer for the same reason."""

FALLBACK_STAGE: Mapping[Reason, Stage] = {
    Reason.PROFILE_STORE_UNAVAILABLE: Stage.STAGE_FETCH,
    Reason.MODEL_UNAVAILABLE: Stage.STAGE_SCORE,
    Reason.RESERVATION_UNAVAILABLE: Stage.STAGE_RESERVE,
    Reason.RESERVATION_LOST: Stage.STAGE_RESERVE,
    Reason.LOG_UNAVAILABLE: Stage.STAGE_RECORD,
}
"""The stage that could not run, by fallback reason; absent: it is not known which."""
