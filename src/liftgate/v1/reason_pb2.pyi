from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_ALLOWED: _ClassVar[Reason]
    REASON_CHOSEN: _ClassVar[Reason]
    REASON_NOT_REQUESTED: _ClassVar[Reason]
    REASON_CONSENT_MISSING: _ClassVar[Reason]
    REASON_CONSENT_DENIED: _ClassVar[Reason]
    REASON_CONSENT_EXPIRED: _ClassVar[Reason]
    REASON_CONSENT_UNREADABLE: _ClassVar[Reason]
    REASON_CONSENT_GPC: _ClassVar[Reason]
    REASON_CONSENT_UNAVAILABLE: _ClassVar[Reason]
    REASON_CHANNEL_NOT_ALLOWED: _ClassVar[Reason]
    REASON_NOT_STARTED: _ClassVar[Reason]
    REASON_ENDED: _ClassVar[Reason]
    REASON_NOT_ELIGIBLE: _ClassVar[Reason]
    REASON_ELIGIBILITY_UNKNOWN: _ClassVar[Reason]
    REASON_NOT_APPLICABLE: _ClassVar[Reason]
    REASON_APPLICABILITY_UNKNOWN: _ClassVar[Reason]
    REASON_NOT_SUITABLE: _ClassVar[Reason]
    REASON_SUITABILITY_UNKNOWN: _ClassVar[Reason]
    REASON_SUPPRESSED: _ClassVar[Reason]
    REASON_SUPPRESSION_UNKNOWN: _ClassVar[Reason]
    REASON_FREQUENCY_CAP: _ClassVar[Reason]
    REASON_FREQUENCY_CAP_UNAVAILABLE: _ClassVar[Reason]
    REASON_NOT_APPROVED: _ClassVar[Reason]
    REASON_REVIEW_REJECTED: _ClassVar[Reason]
    REASON_STOPPED: _ClassVar[Reason]
    REASON_CONTROLS_UNKNOWN: _ClassVar[Reason]
    REASON_OFFERED: _ClassVar[Reason]
    REASON_HELD_OUT: _ClassVar[Reason]
    REASON_NO_OFFER_ALLOWED: _ClassVar[Reason]
    REASON_UNKNOWN_PERSON: _ClassVar[Reason]
    REASON_PROFILE_NOT_CONSENTED: _ClassVar[Reason]
    REASON_PROFILE_UNREADABLE: _ClassVar[Reason]
    REASON_PROFILE_STORE_UNAVAILABLE: _ClassVar[Reason]
    REASON_MODEL_UNAVAILABLE: _ClassVar[Reason]
    REASON_RESERVATION_UNAVAILABLE: _ClassVar[Reason]
    REASON_RESERVATION_LOST: _ClassVar[Reason]
    REASON_LOG_UNAVAILABLE: _ClassVar[Reason]
    REASON_STAGE_FAILED: _ClassVar[Reason]
    REASON_PERSONALIZATION_STOPPED: _ClassVar[Reason]
    REASON_MODEL_STOPPED: _ClassVar[Reason]

class Arm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ARM_UNSPECIFIED: _ClassVar[Arm]
    ARM_TREATMENT: _ClassVar[Arm]
    ARM_HOLDOUT: _ClassVar[Arm]

class Branch(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BRANCH_UNSPECIFIED: _ClassVar[Branch]
    BRANCH_EXPLOIT: _ClassVar[Branch]
    BRANCH_EXPLORE: _ClassVar[Branch]
    BRANCH_HOLDOUT: _ClassVar[Branch]
    BRANCH_DEFAULT: _ClassVar[Branch]
    BRANCH_FALLBACK: _ClassVar[Branch]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_ASSIGN: _ClassVar[Stage]
    STAGE_FETCH: _ClassVar[Stage]
    STAGE_GUARD: _ClassVar[Stage]
    STAGE_SCORE: _ClassVar[Stage]
    STAGE_SELECT: _ClassVar[Stage]
    STAGE_ENCODE: _ClassVar[Stage]
    STAGE_RESERVE: _ClassVar[Stage]
    STAGE_RECORD: _ClassVar[Stage]
REASON_UNSPECIFIED: Reason
REASON_ALLOWED: Reason
REASON_CHOSEN: Reason
REASON_NOT_REQUESTED: Reason
REASON_CONSENT_MISSING: Reason
REASON_CONSENT_DENIED: Reason
REASON_CONSENT_EXPIRED: Reason
REASON_CONSENT_UNREADABLE: Reason
REASON_CONSENT_GPC: Reason
REASON_CONSENT_UNAVAILABLE: Reason
REASON_CHANNEL_NOT_ALLOWED: Reason
REASON_NOT_STARTED: Reason
REASON_ENDED: Reason
REASON_NOT_ELIGIBLE: Reason
REASON_ELIGIBILITY_UNKNOWN: Reason
REASON_NOT_APPLICABLE: Reason
REASON_APPLICABILITY_UNKNOWN: Reason
REASON_NOT_SUITABLE: Reason
REASON_SUITABILITY_UNKNOWN: Reason
REASON_SUPPRESSED: Reason
REASON_SUPPRESSION_UNKNOWN: Reason
REASON_FREQUENCY_CAP: Reason
REASON_FREQUENCY_CAP_UNAVAILABLE: Reason
REASON_NOT_APPROVED: Reason
REASON_REVIEW_REJECTED: Reason
REASON_STOPPED: Reason
REASON_CONTROLS_UNKNOWN: Reason
REASON_OFFERED: Reason
REASON_HELD_OUT: Reason
REASON_NO_OFFER_ALLOWED: Reason
REASON_UNKNOWN_PERSON: Reason
REASON_PROFILE_NOT_CONSENTED: Reason
REASON_PROFILE_UNREADABLE: Reason
REASON_PROFILE_STORE_UNAVAILABLE: Reason
REASON_MODEL_UNAVAILABLE: Reason
REASON_RESERVATION_UNAVAILABLE: Reason
REASON_RESERVATION_LOST: Reason
REASON_LOG_UNAVAILABLE: Reason
REASON_STAGE_FAILED: Reason
REASON_PERSONALIZATION_STOPPED: Reason
REASON_MODEL_STOPPED: Reason
ARM_UNSPECIFIED: Arm
ARM_TREATMENT: Arm
ARM_HOLDOUT: Arm
BRANCH_UNSPECIFIED: Branch
BRANCH_EXPLOIT: Branch
BRANCH_EXPLORE: Branch
BRANCH_HOLDOUT: Branch
BRANCH_DEFAULT: Branch
BRANCH_FALLBACK: Branch
STAGE_UNSPECIFIED: Stage
STAGE_ASSIGN: Stage
STAGE_FETCH: Stage
STAGE_GUARD: Stage
STAGE_SCORE: Stage
STAGE_SELECT: Stage
STAGE_ENCODE: Stage
STAGE_RESERVE: Stage
STAGE_RECORD: Stage
