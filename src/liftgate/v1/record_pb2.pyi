from liftgate.v1 import event_service_pb2 as _event_service_pb2
from liftgate.v1 import reason_pb2 as _reason_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InputState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_STATE_UNSPECIFIED: _ClassVar[InputState]
    INPUT_STATE_STORED: _ClassVar[InputState]
    INPUT_STATE_DEFAULT_MISSING: _ClassVar[InputState]
    INPUT_STATE_DEFAULT_STALE: _ClassVar[InputState]
    INPUT_STATE_MASKED: _ClassVar[InputState]

class ProfileState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROFILE_STATE_UNSPECIFIED: _ClassVar[ProfileState]
    PROFILE_STATE_FOUND: _ClassVar[ProfileState]
    PROFILE_STATE_MISSING: _ClassVar[ProfileState]
    PROFILE_STATE_UNREADABLE: _ClassVar[ProfileState]
    PROFILE_STATE_UNAVAILABLE: _ClassVar[ProfileState]
INPUT_STATE_UNSPECIFIED: InputState
INPUT_STATE_STORED: InputState
INPUT_STATE_DEFAULT_MISSING: InputState
INPUT_STATE_DEFAULT_STALE: InputState
INPUT_STATE_MASKED: InputState
PROFILE_STATE_UNSPECIFIED: ProfileState
PROFILE_STATE_FOUND: ProfileState
PROFILE_STATE_MISSING: ProfileState
PROFILE_STATE_UNREADABLE: ProfileState
PROFILE_STATE_UNAVAILABLE: ProfileState

class LayerAssignment(_message.Message):
    __slots__ = ("layer", "arm", "phase", "share", "unit")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    layer: str
    arm: str
    phase: int
    share: float
    unit: str
    def __init__(self, layer: _Optional[str] = ..., arm: _Optional[str] = ..., phase: _Optional[int] = ..., share: _Optional[float] = ..., unit: _Optional[str] = ...) -> None: ...

class ModelPin(_message.Message):
    __slots__ = ("model", "version", "sha256")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    sha256: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class InputColumn(_message.Message):
    __slots__ = ("name", "type", "values")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class SlotProbabilities(_message.Message):
    __slots__ = ("probability",)
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    probability: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, probability: _Optional[_Iterable[float]] = ...) -> None: ...

class ReviewVerdict(_message.Message):
    __slots__ = ("offer_id", "approved", "reviewer", "at_ms", "latency_ms", "review_id")
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    APPROVED_FIELD_NUMBER: _ClassVar[int]
    REVIEWER_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    offer_id: str
    approved: bool
    reviewer: str
    at_ms: int
    latency_ms: int
    review_id: str
    def __init__(self, offer_id: _Optional[str] = ..., approved: _Optional[bool] = ..., reviewer: _Optional[str] = ..., at_ms: _Optional[int] = ..., latency_ms: _Optional[int] = ..., review_id: _Optional[str] = ...) -> None: ...

class ReviewRequested(_message.Message):
    __slots__ = ("offer_id", "review_id")
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    offer_id: str
    review_id: str
    def __init__(self, offer_id: _Optional[str] = ..., review_id: _Optional[str] = ...) -> None: ...

class ArmChange(_message.Message):
    __slots__ = ("layer", "arm", "changed")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    layer: str
    arm: str
    changed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, layer: _Optional[str] = ..., arm: _Optional[str] = ..., changed: _Optional[_Iterable[str]] = ...) -> None: ...

class CapRoom(_message.Message):
    __slots__ = ("cap_id", "room")
    CAP_ID_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    cap_id: bytes
    room: int
    def __init__(self, cap_id: _Optional[bytes] = ..., room: _Optional[int] = ...) -> None: ...

class DecisionRecord(_message.Message):
    __slots__ = ("decision_id", "request_id", "decided_at_ms", "trace_id", "span_id", "person_pseudonym", "pseudonym_key_id", "placement_id", "bundle", "bundle_digest", "models", "arm", "assignments", "branch", "reason", "degraded", "fallback_reason", "offered", "default_served", "would_offer", "holdout_answer", "slot_count", "slate_scheme", "candidate_offer_id", "candidate_reason", "candidate_propensity", "candidate_value", "slots", "scored", "draws", "reservation_attempts", "inputs", "input_value", "input_age_s", "input_state", "masked_paths", "purpose", "consent_reason", "valid_until_ms", "stage_us", "batch_size", "recovered", "would_offer_default", "consent_version", "candidate_shadow_reason", "account_pseudonym", "review_verdicts", "review_requested", "controls_version", "jurisdiction", "purpose_by_default", "candidate_context_weight", "candidate_lever", "candidate_untreated_propensity", "candidate_smoothed_propensity", "withheld_offer", "deferred", "mode", "baseline_offer", "candidate_model", "ablation", "arm_changes", "input_check", "silent_model", "cap_room", "profile_state", "session_pseudonym", "visitor_pseudonym", "slate_joint_probability", "policy", "slot_marginals", "default_slot", "units_are_personal")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    PERSON_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    PSEUDONYM_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_REASON_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SERVED_FIELD_NUMBER: _ClassVar[int]
    WOULD_OFFER_FIELD_NUMBER: _ClassVar[int]
    HOLDOUT_ANSWER_FIELD_NUMBER: _ClassVar[int]
    SLOT_COUNT_FIELD_NUMBER: _ClassVar[int]
    SLATE_SCHEME_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_REASON_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_VALUE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    SCORED_FIELD_NUMBER: _ClassVar[int]
    DRAWS_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_VALUE_FIELD_NUMBER: _ClassVar[int]
    INPUT_AGE_S_FIELD_NUMBER: _ClassVar[int]
    INPUT_STATE_FIELD_NUMBER: _ClassVar[int]
    MASKED_PATHS_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    CONSENT_REASON_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    STAGE_US_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    WOULD_OFFER_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    CONSENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_SHADOW_REASON_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    REVIEW_VERDICTS_FIELD_NUMBER: _ClassVar[int]
    REVIEW_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_VERSION_FIELD_NUMBER: _ClassVar[int]
    JURISDICTION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_BY_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_CONTEXT_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_LEVER_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_UNTREATED_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_SMOOTHED_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_OFFER_FIELD_NUMBER: _ClassVar[int]
    DEFERRED_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_OFFER_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_MODEL_FIELD_NUMBER: _ClassVar[int]
    ABLATION_FIELD_NUMBER: _ClassVar[int]
    ARM_CHANGES_FIELD_NUMBER: _ClassVar[int]
    INPUT_CHECK_FIELD_NUMBER: _ClassVar[int]
    SILENT_MODEL_FIELD_NUMBER: _ClassVar[int]
    CAP_ROOM_FIELD_NUMBER: _ClassVar[int]
    PROFILE_STATE_FIELD_NUMBER: _ClassVar[int]
    SESSION_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    VISITOR_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    SLATE_JOINT_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SLOT_MARGINALS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SLOT_FIELD_NUMBER: _ClassVar[int]
    UNITS_ARE_PERSONAL_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    request_id: str
    decided_at_ms: int
    trace_id: bytes
    span_id: bytes
    person_pseudonym: bytes
    pseudonym_key_id: str
    placement_id: str
    bundle: str
    bundle_digest: str
    models: _containers.RepeatedCompositeFieldContainer[ModelPin]
    arm: _reason_pb2.Arm
    assignments: _containers.RepeatedCompositeFieldContainer[LayerAssignment]
    branch: _reason_pb2.Branch
    reason: _reason_pb2.Reason
    degraded: bool
    fallback_reason: _reason_pb2.Reason
    offered: _containers.RepeatedScalarFieldContainer[str]
    default_served: bool
    would_offer: _containers.RepeatedScalarFieldContainer[str]
    holdout_answer: str
    slot_count: int
    slate_scheme: str
    candidate_offer_id: _containers.RepeatedScalarFieldContainer[str]
    candidate_reason: _containers.RepeatedScalarFieldContainer[_reason_pb2.Reason]
    candidate_propensity: _containers.RepeatedScalarFieldContainer[float]
    candidate_value: _containers.RepeatedScalarFieldContainer[float]
    slots: _containers.RepeatedCompositeFieldContainer[SlotProbabilities]
    scored: bool
    draws: _containers.RepeatedScalarFieldContainer[float]
    reservation_attempts: int
    inputs: _containers.RepeatedCompositeFieldContainer[InputColumn]
    input_value: _containers.RepeatedScalarFieldContainer[float]
    input_age_s: _containers.RepeatedScalarFieldContainer[float]
    input_state: _containers.RepeatedScalarFieldContainer[InputState]
    masked_paths: _containers.RepeatedScalarFieldContainer[str]
    purpose: _containers.RepeatedScalarFieldContainer[str]
    consent_reason: _containers.RepeatedScalarFieldContainer[_reason_pb2.Reason]
    valid_until_ms: int
    stage_us: _containers.RepeatedScalarFieldContainer[int]
    batch_size: int
    recovered: bool
    would_offer_default: bool
    consent_version: str
    candidate_shadow_reason: _containers.RepeatedScalarFieldContainer[_reason_pb2.Reason]
    account_pseudonym: bytes
    review_verdicts: _containers.RepeatedCompositeFieldContainer[ReviewVerdict]
    review_requested: ReviewRequested
    controls_version: int
    jurisdiction: str
    purpose_by_default: _containers.RepeatedScalarFieldContainer[str]
    candidate_context_weight: _containers.RepeatedScalarFieldContainer[float]
    candidate_lever: _containers.RepeatedScalarFieldContainer[float]
    candidate_untreated_propensity: _containers.RepeatedScalarFieldContainer[float]
    candidate_smoothed_propensity: _containers.RepeatedScalarFieldContainer[float]
    withheld_offer: _containers.RepeatedScalarFieldContainer[str]
    deferred: bool
    mode: str
    baseline_offer: _containers.RepeatedScalarFieldContainer[str]
    candidate_model: _containers.RepeatedScalarFieldContainer[int]
    ablation: str
    arm_changes: _containers.RepeatedCompositeFieldContainer[ArmChange]
    input_check: bytes
    silent_model: _containers.RepeatedScalarFieldContainer[str]
    cap_room: _containers.RepeatedCompositeFieldContainer[CapRoom]
    profile_state: ProfileState
    session_pseudonym: bytes
    visitor_pseudonym: bytes
    slate_joint_probability: float
    policy: str
    slot_marginals: _containers.RepeatedCompositeFieldContainer[SlotProbabilities]
    default_slot: _containers.RepeatedScalarFieldContainer[int]
    units_are_personal: bool
    def __init__(self, decision_id: _Optional[str] = ..., request_id: _Optional[str] = ..., decided_at_ms: _Optional[int] = ..., trace_id: _Optional[bytes] = ..., span_id: _Optional[bytes] = ..., person_pseudonym: _Optional[bytes] = ..., pseudonym_key_id: _Optional[str] = ..., placement_id: _Optional[str] = ..., bundle: _Optional[str] = ..., bundle_digest: _Optional[str] = ..., models: _Optional[_Iterable[_Union[ModelPin, _Mapping]]] = ..., arm: _Optional[_Union[_reason_pb2.Arm, str]] = ..., assignments: _Optional[_Iterable[_Union[LayerAssignment, _Mapping]]] = ..., branch: _Optional[_Union[_reason_pb2.Branch, str]] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., degraded: _Optional[bool] = ..., fallback_reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., offered: _Optional[_Iterable[str]] = ..., default_served: _Optional[bool] = ..., would_offer: _Optional[_Iterable[str]] = ..., holdout_answer: _Optional[str] = ..., slot_count: _Optional[int] = ..., slate_scheme: _Optional[str] = ..., candidate_offer_id: _Optional[_Iterable[str]] = ..., candidate_reason: _Optional[_Iterable[_Union[_reason_pb2.Reason, str]]] = ..., candidate_propensity: _Optional[_Iterable[float]] = ..., candidate_value: _Optional[_Iterable[float]] = ..., slots: _Optional[_Iterable[_Union[SlotProbabilities, _Mapping]]] = ..., scored: _Optional[bool] = ..., draws: _Optional[_Iterable[float]] = ..., reservation_attempts: _Optional[int] = ..., inputs: _Optional[_Iterable[_Union[InputColumn, _Mapping]]] = ..., input_value: _Optional[_Iterable[float]] = ..., input_age_s: _Optional[_Iterable[float]] = ..., input_state: _Optional[_Iterable[_Union[InputState, str]]] = ..., masked_paths: _Optional[_Iterable[str]] = ..., purpose: _Optional[_Iterable[str]] = ..., consent_reason: _Optional[_Iterable[_Union[_reason_pb2.Reason, str]]] = ..., valid_until_ms: _Optional[int] = ..., stage_us: _Optional[_Iterable[int]] = ..., batch_size: _Optional[int] = ..., recovered: _Optional[bool] = ..., would_offer_default: _Optional[bool] = ..., consent_version: _Optional[str] = ..., candidate_shadow_reason: _Optional[_Iterable[_Union[_reason_pb2.Reason, str]]] = ..., account_pseudonym: _Optional[bytes] = ..., review_verdicts: _Optional[_Iterable[_Union[ReviewVerdict, _Mapping]]] = ..., review_requested: _Optional[_Union[ReviewRequested, _Mapping]] = ..., controls_version: _Optional[int] = ..., jurisdiction: _Optional[str] = ..., purpose_by_default: _Optional[_Iterable[str]] = ..., candidate_context_weight: _Optional[_Iterable[float]] = ..., candidate_lever: _Optional[_Iterable[float]] = ..., candidate_untreated_propensity: _Optional[_Iterable[float]] = ..., candidate_smoothed_propensity: _Optional[_Iterable[float]] = ..., withheld_offer: _Optional[_Iterable[str]] = ..., deferred: _Optional[bool] = ..., mode: _Optional[str] = ..., baseline_offer: _Optional[_Iterable[str]] = ..., candidate_model: _Optional[_Iterable[int]] = ..., ablation: _Optional[str] = ..., arm_changes: _Optional[_Iterable[_Union[ArmChange, _Mapping]]] = ..., input_check: _Optional[bytes] = ..., silent_model: _Optional[_Iterable[str]] = ..., cap_room: _Optional[_Iterable[_Union[CapRoom, _Mapping]]] = ..., profile_state: _Optional[_Union[ProfileState, str]] = ..., session_pseudonym: _Optional[bytes] = ..., visitor_pseudonym: _Optional[bytes] = ..., slate_joint_probability: _Optional[float] = ..., policy: _Optional[str] = ..., slot_marginals: _Optional[_Iterable[_Union[SlotProbabilities, _Mapping]]] = ..., default_slot: _Optional[_Iterable[int]] = ..., units_are_personal: _Optional[bool] = ...) -> None: ...

class EventRecord(_message.Message):
    __slots__ = ("event_id", "kind", "person_pseudonym", "pseudonym_key_id", "decision_id", "offer_id", "occurred_at_ms", "received_at_ms", "value", "currency", "account_pseudonym", "channel", "name", "slot", "placement_id", "device", "properties_json", "reliability", "late", "reason", "consent_reason")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PERSON_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    PSEUDONYM_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_JSON_FIELD_NUMBER: _ClassVar[int]
    RELIABILITY_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CONSENT_REASON_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    kind: _event_service_pb2.EventKind
    person_pseudonym: bytes
    pseudonym_key_id: str
    decision_id: str
    offer_id: str
    occurred_at_ms: int
    received_at_ms: int
    value: float
    currency: str
    account_pseudonym: bytes
    channel: str
    name: str
    slot: int
    placement_id: str
    device: str
    properties_json: str
    reliability: _event_service_pb2.Reliability
    late: bool
    reason: _reason_pb2.Reason
    consent_reason: _reason_pb2.Reason
    def __init__(self, event_id: _Optional[str] = ..., kind: _Optional[_Union[_event_service_pb2.EventKind, str]] = ..., person_pseudonym: _Optional[bytes] = ..., pseudonym_key_id: _Optional[str] = ..., decision_id: _Optional[str] = ..., offer_id: _Optional[str] = ..., occurred_at_ms: _Optional[int] = ..., received_at_ms: _Optional[int] = ..., value: _Optional[float] = ..., currency: _Optional[str] = ..., account_pseudonym: _Optional[bytes] = ..., channel: _Optional[str] = ..., name: _Optional[str] = ..., slot: _Optional[int] = ..., placement_id: _Optional[str] = ..., device: _Optional[str] = ..., properties_json: _Optional[str] = ..., reliability: _Optional[_Union[_event_service_pb2.Reliability, str]] = ..., late: _Optional[bool] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., consent_reason: _Optional[_Union[_reason_pb2.Reason, str]] = ...) -> None: ...
