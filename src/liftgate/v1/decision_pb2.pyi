from liftgate.v1 import offer_pb2 as _offer_pb2
from liftgate.v1 import reason_pb2 as _reason_pb2
from liftgate.v1 import record_pb2 as _record_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RuleOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RULE_OUTCOME_UNSPECIFIED: _ClassVar[RuleOutcome]
    RULE_OUTCOME_PASSED: _ClassVar[RuleOutcome]
    RULE_OUTCOME_STOPPED: _ClassVar[RuleOutcome]
    RULE_OUTCOME_ONE_OF: _ClassVar[RuleOutcome]
    RULE_OUTCOME_SHADOW: _ClassVar[RuleOutcome]
    RULE_OUTCOME_COUNTED: _ClassVar[RuleOutcome]
    RULE_OUTCOME_NOT_COUNTED: _ClassVar[RuleOutcome]
    RULE_OUTCOME_NOT_KNOWN: _ClassVar[RuleOutcome]
RULE_OUTCOME_UNSPECIFIED: RuleOutcome
RULE_OUTCOME_PASSED: RuleOutcome
RULE_OUTCOME_STOPPED: RuleOutcome
RULE_OUTCOME_ONE_OF: RuleOutcome
RULE_OUTCOME_SHADOW: RuleOutcome
RULE_OUTCOME_COUNTED: RuleOutcome
RULE_OUTCOME_NOT_COUNTED: RuleOutcome
RULE_OUTCOME_NOT_KNOWN: RuleOutcome

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
    __slots__ = ("channel", "device", "locale", "time_zone", "attributes", "jurisdiction")
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
    JURISDICTION_FIELD_NUMBER: _ClassVar[int]
    channel: str
    device: str
    locale: str
    time_zone: str
    attributes: _containers.MessageMap[str, AttributeValue]
    jurisdiction: str
    def __init__(self, channel: _Optional[str] = ..., device: _Optional[str] = ..., locale: _Optional[str] = ..., time_zone: _Optional[str] = ..., attributes: _Optional[_Mapping[str, AttributeValue]] = ..., jurisdiction: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("request_id", "person_id", "placement_id", "slot_count", "context", "consent_signals", "candidates", "explain", "account_id", "dry_run", "session_id", "visitor_id", "baseline_offers", "deferred")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    SLOT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CONSENT_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    VISITOR_ID_FIELD_NUMBER: _ClassVar[int]
    BASELINE_OFFERS_FIELD_NUMBER: _ClassVar[int]
    DEFERRED_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    person_id: str
    placement_id: str
    slot_count: int
    context: Context
    consent_signals: ConsentSignals
    candidates: CandidateList
    explain: bool
    account_id: str
    dry_run: bool
    session_id: str
    visitor_id: str
    baseline_offers: _containers.RepeatedScalarFieldContainer[str]
    deferred: bool
    def __init__(self, request_id: _Optional[str] = ..., person_id: _Optional[str] = ..., placement_id: _Optional[str] = ..., slot_count: _Optional[int] = ..., context: _Optional[_Union[Context, _Mapping]] = ..., consent_signals: _Optional[_Union[ConsentSignals, _Mapping]] = ..., candidates: _Optional[_Union[CandidateList, _Mapping]] = ..., explain: _Optional[bool] = ..., account_id: _Optional[str] = ..., dry_run: _Optional[bool] = ..., session_id: _Optional[str] = ..., visitor_id: _Optional[str] = ..., baseline_offers: _Optional[_Iterable[str]] = ..., deferred: _Optional[bool] = ...) -> None: ...

class RefusedOffer(_message.Message):
    __slots__ = ("offer_id", "reason")
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    offer_id: str
    reason: _reason_pb2.Reason
    def __init__(self, offer_id: _Optional[str] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ...) -> None: ...

class DecideResponse(_message.Message):
    __slots__ = ("decision_id", "arm", "branch", "slots", "reason", "bundle_digest", "valid_until_ms", "degraded", "explanation", "consent_version", "review_id", "baseline_refused")
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
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    BASELINE_REFUSED_FIELD_NUMBER: _ClassVar[int]
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
    review_id: str
    baseline_refused: _containers.RepeatedCompositeFieldContainer[RefusedOffer]
    def __init__(self, decision_id: _Optional[str] = ..., arm: _Optional[_Union[_reason_pb2.Arm, str]] = ..., branch: _Optional[_Union[_reason_pb2.Branch, str]] = ..., slots: _Optional[_Iterable[_Union[_offer_pb2.Slot, _Mapping]]] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., bundle_digest: _Optional[str] = ..., valid_until_ms: _Optional[int] = ..., degraded: _Optional[bool] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ..., consent_version: _Optional[str] = ..., review_id: _Optional[str] = ..., baseline_refused: _Optional[_Iterable[_Union[RefusedOffer, _Mapping]]] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("summary", "candidates", "masked_paths", "decision_id", "decided_at_ms", "placement_id", "arm", "branch", "reason", "reason_text", "fallback_reason", "fallback_stage", "degraded", "offered", "default_served", "would_offer", "would_offer_default", "assignments", "slots", "factors", "scored", "inputs", "consent", "consent_version", "bundle", "bundle_digest", "models", "reservation_attempts", "recovered", "jurisdiction", "caveats", "ablation", "arm_changes", "policy", "slate_joint_probability")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    MASKED_PATHS_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REASON_TEXT_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_REASON_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_STAGE_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SERVED_FIELD_NUMBER: _ClassVar[int]
    WOULD_OFFER_FIELD_NUMBER: _ClassVar[int]
    WOULD_OFFER_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    FACTORS_FIELD_NUMBER: _ClassVar[int]
    SCORED_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    CONSENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    JURISDICTION_FIELD_NUMBER: _ClassVar[int]
    CAVEATS_FIELD_NUMBER: _ClassVar[int]
    ABLATION_FIELD_NUMBER: _ClassVar[int]
    ARM_CHANGES_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SLATE_JOINT_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    summary: str
    candidates: _containers.RepeatedCompositeFieldContainer[CandidateExplanation]
    masked_paths: _containers.RepeatedScalarFieldContainer[str]
    decision_id: str
    decided_at_ms: int
    placement_id: str
    arm: _reason_pb2.Arm
    branch: _reason_pb2.Branch
    reason: _reason_pb2.Reason
    reason_text: str
    fallback_reason: _reason_pb2.Reason
    fallback_stage: _reason_pb2.Stage
    degraded: bool
    offered: _containers.RepeatedScalarFieldContainer[str]
    default_served: bool
    would_offer: _containers.RepeatedScalarFieldContainer[str]
    would_offer_default: bool
    assignments: _containers.RepeatedCompositeFieldContainer[_record_pb2.LayerAssignment]
    slots: _containers.RepeatedCompositeFieldContainer[SlotExplanation]
    factors: _containers.RepeatedCompositeFieldContainer[FactorShare]
    scored: bool
    inputs: _containers.RepeatedCompositeFieldContainer[InputExplanation]
    consent: _containers.RepeatedCompositeFieldContainer[ConsentExplanation]
    consent_version: str
    bundle: str
    bundle_digest: str
    models: _containers.RepeatedCompositeFieldContainer[_record_pb2.ModelPin]
    reservation_attempts: int
    recovered: bool
    jurisdiction: str
    caveats: _containers.RepeatedScalarFieldContainer[str]
    ablation: str
    arm_changes: _containers.RepeatedCompositeFieldContainer[_record_pb2.ArmChange]
    policy: str
    slate_joint_probability: float
    def __init__(self, summary: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[CandidateExplanation, _Mapping]]] = ..., masked_paths: _Optional[_Iterable[str]] = ..., decision_id: _Optional[str] = ..., decided_at_ms: _Optional[int] = ..., placement_id: _Optional[str] = ..., arm: _Optional[_Union[_reason_pb2.Arm, str]] = ..., branch: _Optional[_Union[_reason_pb2.Branch, str]] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., reason_text: _Optional[str] = ..., fallback_reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., fallback_stage: _Optional[_Union[_reason_pb2.Stage, str]] = ..., degraded: _Optional[bool] = ..., offered: _Optional[_Iterable[str]] = ..., default_served: _Optional[bool] = ..., would_offer: _Optional[_Iterable[str]] = ..., would_offer_default: _Optional[bool] = ..., assignments: _Optional[_Iterable[_Union[_record_pb2.LayerAssignment, _Mapping]]] = ..., slots: _Optional[_Iterable[_Union[SlotExplanation, _Mapping]]] = ..., factors: _Optional[_Iterable[_Union[FactorShare, _Mapping]]] = ..., scored: _Optional[bool] = ..., inputs: _Optional[_Iterable[_Union[InputExplanation, _Mapping]]] = ..., consent: _Optional[_Iterable[_Union[ConsentExplanation, _Mapping]]] = ..., consent_version: _Optional[str] = ..., bundle: _Optional[str] = ..., bundle_digest: _Optional[str] = ..., models: _Optional[_Iterable[_Union[_record_pb2.ModelPin, _Mapping]]] = ..., reservation_attempts: _Optional[int] = ..., recovered: _Optional[bool] = ..., jurisdiction: _Optional[str] = ..., caveats: _Optional[_Iterable[str]] = ..., ablation: _Optional[str] = ..., arm_changes: _Optional[_Iterable[_Union[_record_pb2.ArmChange, _Mapping]]] = ..., policy: _Optional[str] = ..., slate_joint_probability: _Optional[float] = ...) -> None: ...

class CandidateExplanation(_message.Message):
    __slots__ = ("offer_id", "reason", "text", "rule", "propensity", "value", "selection_probability", "stage", "section", "rules", "expected_value", "factors", "slot_probabilities")
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SELECTION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SECTION_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VALUE_FIELD_NUMBER: _ClassVar[int]
    FACTORS_FIELD_NUMBER: _ClassVar[int]
    SLOT_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    offer_id: str
    reason: _reason_pb2.Reason
    text: str
    rule: str
    propensity: float
    value: float
    selection_probability: float
    stage: _reason_pb2.Stage
    section: str
    rules: _containers.RepeatedCompositeFieldContainer[RuleExplanation]
    expected_value: float
    factors: _containers.RepeatedCompositeFieldContainer[Factor]
    slot_probabilities: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, offer_id: _Optional[str] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., text: _Optional[str] = ..., rule: _Optional[str] = ..., propensity: _Optional[float] = ..., value: _Optional[float] = ..., selection_probability: _Optional[float] = ..., stage: _Optional[_Union[_reason_pb2.Stage, str]] = ..., section: _Optional[str] = ..., rules: _Optional[_Iterable[_Union[RuleExplanation, _Mapping]]] = ..., expected_value: _Optional[float] = ..., factors: _Optional[_Iterable[_Union[Factor, _Mapping]]] = ..., slot_probabilities: _Optional[_Iterable[float]] = ...) -> None: ...

class RuleExplanation(_message.Message):
    __slots__ = ("section", "rule", "text", "group", "outcome", "saw")
    SECTION_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SAW_FIELD_NUMBER: _ClassVar[int]
    section: str
    rule: str
    text: str
    group: str
    outcome: RuleOutcome
    saw: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, section: _Optional[str] = ..., rule: _Optional[str] = ..., text: _Optional[str] = ..., group: _Optional[str] = ..., outcome: _Optional[_Union[RuleOutcome, str]] = ..., saw: _Optional[_Iterable[str]] = ...) -> None: ...

class Factor(_message.Message):
    __slots__ = ("name", "value", "share")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    share: float
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., share: _Optional[float] = ...) -> None: ...

class FactorShare(_message.Message):
    __slots__ = ("name", "share")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    name: str
    share: float
    def __init__(self, name: _Optional[str] = ..., share: _Optional[float] = ...) -> None: ...

class SlotExplanation(_message.Message):
    __slots__ = ("draw", "offer_id", "selection_probability", "marginal_probability")
    DRAW_FIELD_NUMBER: _ClassVar[int]
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    SELECTION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    MARGINAL_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    draw: float
    offer_id: str
    selection_probability: float
    marginal_probability: float
    def __init__(self, draw: _Optional[float] = ..., offer_id: _Optional[str] = ..., selection_probability: _Optional[float] = ..., marginal_probability: _Optional[float] = ...) -> None: ...

class InputExplanation(_message.Message):
    __slots__ = ("name", "value", "age_s", "state")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    age_s: float
    state: _record_pb2.InputState
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ..., age_s: _Optional[float] = ..., state: _Optional[_Union[_record_pb2.InputState, str]] = ...) -> None: ...

class ConsentExplanation(_message.Message):
    __slots__ = ("purpose", "reason", "by_default")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    reason: _reason_pb2.Reason
    by_default: bool
    def __init__(self, purpose: _Optional[str] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., by_default: _Optional[bool] = ...) -> None: ...
