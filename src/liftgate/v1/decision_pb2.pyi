from liftgate.v1 import offer_pb2 as _offer_pb2
from liftgate.v1 import reason_pb2 as _reason_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttributeValue(_message.Message):
    __slots__ = ("string_value", "int_value", "double_value", "bool_value")
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    INT_VALUE_FIELD_NUMBER: _ClassVar[int]
    DOUBLE_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    string_value: str
    int_value: int
    double_value: float
    bool_value: bool
    def __init__(self, string_value: _Optional[str] = ..., int_value: _Optional[int] = ..., double_value: _Optional[float] = ..., bool_value: _Optional[bool] = ...) -> None: ...

class Context(_message.Message):
    __slots__ = ("channel", "device", "locale", "time_zone", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValue, _Mapping]] = ...) -> None: ...
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    channel: str
    device: str
    locale: str
    time_zone: str
    attributes: _containers.MessageMap[str, AttributeValue]
    def __init__(self, channel: _Optional[str] = ..., device: _Optional[str] = ..., locale: _Optional[str] = ..., time_zone: _Optional[str] = ..., attributes: _Optional[_Mapping[str, AttributeValue]] = ...) -> None: ...

class ConsentSignals(_message.Message):
    __slots__ = ("global_privacy_control",)
    GLOBAL_PRIVACY_CONTROL_FIELD_NUMBER: _ClassVar[int]
    global_privacy_control: bool
    def __init__(self, global_privacy_control: _Optional[bool] = ...) -> None: ...

class CandidateList(_message.Message):
    __slots__ = ("offer_ids",)
    OFFER_IDS_FIELD_NUMBER: _ClassVar[int]
    offer_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, offer_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("request_id", "person_id", "placement_id", "slot_count", "context", "consent_signals", "candidates", "explain", "dry_run")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    SLOT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CONSENT_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    person_id: str
    placement_id: str
    slot_count: int
    context: Context
    consent_signals: ConsentSignals
    candidates: CandidateList
    explain: bool
    dry_run: bool
    def __init__(self, request_id: _Optional[str] = ..., person_id: _Optional[str] = ..., placement_id: _Optional[str] = ..., slot_count: _Optional[int] = ..., context: _Optional[_Union[Context, _Mapping]] = ..., consent_signals: _Optional[_Union[ConsentSignals, _Mapping]] = ..., candidates: _Optional[_Union[CandidateList, _Mapping]] = ..., explain: _Optional[bool] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class DecideResponse(_message.Message):
    __slots__ = ("decision_id", "arm", "branch", "slots", "reason", "bundle_digest", "valid_until_ms", "degraded", "explanation", "consent_version")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    CONSENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    arm: _reason_pb2.Arm
    branch: _reason_pb2.Branch
    slots: _containers.RepeatedCompositeFieldContainer[_offer_pb2.Slot]
    reason: _reason_pb2.Reason
    bundle_digest: str
    valid_until_ms: int
    degraded: bool
    explanation: Explanation
    consent_version: str
    def __init__(self, decision_id: _Optional[str] = ..., arm: _Optional[_Union[_reason_pb2.Arm, str]] = ..., branch: _Optional[_Union[_reason_pb2.Branch, str]] = ..., slots: _Optional[_Iterable[_Union[_offer_pb2.Slot, _Mapping]]] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., bundle_digest: _Optional[str] = ..., valid_until_ms: _Optional[int] = ..., degraded: _Optional[bool] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ..., consent_version: _Optional[str] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("summary", "candidates", "masked_paths")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    MASKED_PATHS_FIELD_NUMBER: _ClassVar[int]
    summary: str
    candidates: _containers.RepeatedCompositeFieldContainer[CandidateExplanation]
    masked_paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, summary: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[CandidateExplanation, _Mapping]]] = ..., masked_paths: _Optional[_Iterable[str]] = ...) -> None: ...

class CandidateExplanation(_message.Message):
    __slots__ = ("offer_id", "reason", "text", "rule", "propensity", "value", "selection_probability")
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SELECTION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    offer_id: str
    reason: _reason_pb2.Reason
    text: str
    rule: str
    propensity: float
    value: float
    selection_probability: float
    def __init__(self, offer_id: _Optional[str] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., text: _Optional[str] = ..., rule: _Optional[str] = ..., propensity: _Optional[float] = ..., value: _Optional[float] = ..., selection_probability: _Optional[float] = ...) -> None: ...
