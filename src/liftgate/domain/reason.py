"""The closed lists of why, how and where. Numbers equal `protos/liftgate/v1/reason.proto`; `tests/house` checks it."""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """Why an offer was (not) allowed: 1-59. Why a decision came out as it did: 60 and up. All below 128: one byte each."""

    UNSPECIFIED = 0
    ALLOWED = 1
    CHOSEN = 2
    NOT_REQUESTED = 3
    CONSENT_MISSING = 10
    CONSENT_DENIED = 11
    CONSENT_EXPIRED = 12
    CONSENT_UNREADABLE = 13
    CONSENT_GPC = 14
    CONSENT_UNAVAILABLE = 15
    CONSENT_DENIED_BY_DEFAULT = 16
    CHANNEL_NOT_ALLOWED = 20
    NOT_STARTED = 21
    ENDED = 22
    NOT_ELIGIBLE = 23
    ELIGIBILITY_UNKNOWN = 24
    NOT_APPLICABLE = 25
    APPLICABILITY_UNKNOWN = 26
    NOT_SUITABLE = 27
    SUITABILITY_UNKNOWN = 28
    SUPPRESSED = 30
    SUPPRESSION_UNKNOWN = 31
    DO_NOT_CONTACT = 32
    DO_NOT_CONTACT_UNKNOWN = 33
    PAUSED = 34
    QUIET_HOURS = 35
    QUIET_HOURS_UNKNOWN = 36
    EXCLUDED = 37
    FEATURE_STALE = 38
    FREQUENCY_CAP = 40
    FREQUENCY_CAP_UNAVAILABLE = 41
    CONTACT_POLICY = 42
    ACCOUNT_CAP = 43
    ACCOUNT_UNKNOWN = 44
    TOTAL_CAP = 45
    TOTAL_CAP_PACED = 46
    NOT_APPROVED = 50
    AWAITING_REVIEW = 51
    REVIEW_REJECTED = 52
    STOPPED = 53
    CONTROLS_UNKNOWN = 54
    BELOW_THRESHOLD = 55
    LOWER_TIER = 56
    NOT_IN_ARM = 57
    OFFERED = 60
    HELD_OUT = 61
    NO_OFFER_ALLOWED = 62
    UNKNOWN_PERSON = 63
    PROFILE_NOT_CONSENTED = 64
    PROFILE_UNREADABLE = 65
    PROFILE_STORE_UNAVAILABLE = 66
    MODEL_UNAVAILABLE = 67
    RESERVATION_UNAVAILABLE = 68
    RESERVATION_LOST = 69
    LOG_UNAVAILABLE = 70
    STAGE_FAILED = 71
    PERSONALIZATION_STOPPED = 72
    MODEL_STOPPED = 73
    CONSENT_REVOKED = 79
    OFFER_HELD_OUT = 74
    BASELINE_SERVED = 75
    LOGGED_ONLY = 76
    NOTHING_WORTH_SHOWING = 77


class Arm(IntEnum):
    """The person's group over all holdout layers."""

    UNSPECIFIED = 0
    TREATMENT = 1
    HOLDOUT = 2
    NOT_ENROLLED = 3


class Branch(IntEnum):
    """Which part of the probability vector the draw fell in, or why there was no draw."""

    UNSPECIFIED = 0
    EXPLOIT = 1
    EXPLORE = 2
    HOLDOUT = 3
    DEFAULT = 4
    FALLBACK = 5
    ABLATION = 6
    BASELINE = 7


class InputState(IntEnum):
    """Where an input's value came from."""

    UNSPECIFIED = 0
    STORED = 1
    DEFAULT_MISSING = 2
    DEFAULT_STALE = 3
    MASKED = 4
