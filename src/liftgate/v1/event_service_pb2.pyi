from liftgate.v1 import reason_pb2 as _reason_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_EXPOSURE: _ClassVar[EventKind]
    EVENT_KIND_CLICK: _ClassVar[EventKind]
    EVENT_KIND_PURCHASE: _ClassVar[EventKind]
    EVENT_KIND_DISMISS: _ClassVar[EventKind]
    EVENT_KIND_UNSUBSCRIBE: _ClassVar[EventKind]
    EVENT_KIND_COMPLAINT: _ClassVar[EventKind]
    EVENT_KIND_CART_ACTION: _ClassVar[EventKind]
    EVENT_KIND_EMAIL_SENT: _ClassVar[EventKind]
    EVENT_KIND_EMAIL_DELIVERED: _ClassVar[EventKind]
    EVENT_KIND_EMAIL_OPENED: _ClassVar[EventKind]
    EVENT_KIND_EMAIL_CLICKED: _ClassVar[EventKind]
    EVENT_KIND_EMAIL_BOUNCED: _ClassVar[EventKind]
    EVENT_KIND_EMAIL_UNSUBSCRIBED: _ClassVar[EventKind]
    EVENT_KIND_EMAIL_COMPLAINED: _ClassVar[EventKind]
    EVENT_KIND_REFUND: _ClassVar[EventKind]
    EVENT_KIND_CUSTOM: _ClassVar[EventKind]

class Reliability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RELIABILITY_UNSPECIFIED: _ClassVar[Reliability]
    RELIABILITY_RELIABLE: _ClassVar[Reliability]
    RELIABILITY_UNRELIABLE: _ClassVar[Reliability]
    RELIABILITY_BOT: _ClassVar[Reliability]
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_EXPOSURE: EventKind
EVENT_KIND_CLICK: EventKind
EVENT_KIND_PURCHASE: EventKind
EVENT_KIND_DISMISS: EventKind
EVENT_KIND_UNSUBSCRIBE: EventKind
EVENT_KIND_COMPLAINT: EventKind
EVENT_KIND_CART_ACTION: EventKind
EVENT_KIND_EMAIL_SENT: EventKind
EVENT_KIND_EMAIL_DELIVERED: EventKind
EVENT_KIND_EMAIL_OPENED: EventKind
EVENT_KIND_EMAIL_CLICKED: EventKind
EVENT_KIND_EMAIL_BOUNCED: EventKind
EVENT_KIND_EMAIL_UNSUBSCRIBED: EventKind
EVENT_KIND_EMAIL_COMPLAINED: EventKind
EVENT_KIND_REFUND: EventKind
EVENT_KIND_CUSTOM: EventKind
RELIABILITY_UNSPECIFIED: Reliability
RELIABILITY_RELIABLE: Reliability
RELIABILITY_UNRELIABLE: Reliability
RELIABILITY_BOT: Reliability

class PropertyValue(_message.Message):
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

class Event(_message.Message):
    __slots__ = ("event_id", "kind", "person_id", "decision_id", "offer_id", "occurred_at_ms", "value", "currency", "account_id", "channel", "time_zone", "name", "slot", "placement_id", "device", "jurisdiction", "properties", "prefetched", "automated")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PropertyValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PropertyValue, _Mapping]] = ...) -> None: ...
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    JURISDICTION_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    PREFETCHED_FIELD_NUMBER: _ClassVar[int]
    AUTOMATED_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    kind: EventKind
    person_id: str
    decision_id: str
    offer_id: str
    occurred_at_ms: int
    value: float
    currency: str
    account_id: str
    channel: str
    time_zone: str
    name: str
    slot: int
    placement_id: str
    device: str
    jurisdiction: str
    properties: _containers.MessageMap[str, PropertyValue]
    prefetched: bool
    automated: bool
    def __init__(self, event_id: _Optional[str] = ..., kind: _Optional[_Union[EventKind, str]] = ..., person_id: _Optional[str] = ..., decision_id: _Optional[str] = ..., offer_id: _Optional[str] = ..., occurred_at_ms: _Optional[int] = ..., value: _Optional[float] = ..., currency: _Optional[str] = ..., account_id: _Optional[str] = ..., channel: _Optional[str] = ..., time_zone: _Optional[str] = ..., name: _Optional[str] = ..., slot: _Optional[int] = ..., placement_id: _Optional[str] = ..., device: _Optional[str] = ..., jurisdiction: _Optional[str] = ..., properties: _Optional[_Mapping[str, PropertyValue]] = ..., prefetched: _Optional[bool] = ..., automated: _Optional[bool] = ...) -> None: ...

class RecordRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class EventRejection(_message.Message):
    __slots__ = ("index", "field", "description")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    index: int
    field: str
    description: str
    def __init__(self, index: _Optional[int] = ..., field: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class EventRevocation(_message.Message):
    __slots__ = ("index", "reason", "consent_reason", "purpose")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CONSENT_REASON_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: _reason_pb2.Reason
    consent_reason: _reason_pb2.Reason
    purpose: str
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., consent_reason: _Optional[_Union[_reason_pb2.Reason, str]] = ..., purpose: _Optional[str] = ...) -> None: ...

class RecordResponse(_message.Message):
    __slots__ = ("accepted", "duplicates", "rejections", "uncounted", "revocations", "late", "dropped_properties")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    UNCOUNTED_FIELD_NUMBER: _ClassVar[int]
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    duplicates: int
    rejections: _containers.RepeatedCompositeFieldContainer[EventRejection]
    uncounted: int
    revocations: _containers.RepeatedCompositeFieldContainer[EventRevocation]
    late: int
    dropped_properties: int
    def __init__(self, accepted: _Optional[int] = ..., duplicates: _Optional[int] = ..., rejections: _Optional[_Iterable[_Union[EventRejection, _Mapping]]] = ..., uncounted: _Optional[int] = ..., revocations: _Optional[_Iterable[_Union[EventRevocation, _Mapping]]] = ..., late: _Optional[int] = ..., dropped_properties: _Optional[int] = ...) -> None: ...

class RecordStreamRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class RecordStreamResponse(_message.Message):
    __slots__ = ("accepted", "duplicates", "rejected", "revoked", "uncounted", "late", "dropped_properties", "rejections", "revocations")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    UNCOUNTED_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    duplicates: int
    rejected: int
    revoked: int
    uncounted: int
    late: int
    dropped_properties: int
    rejections: _containers.RepeatedCompositeFieldContainer[EventRejection]
    revocations: _containers.RepeatedCompositeFieldContainer[EventRevocation]
    def __init__(self, accepted: _Optional[int] = ..., duplicates: _Optional[int] = ..., rejected: _Optional[int] = ..., revoked: _Optional[int] = ..., uncounted: _Optional[int] = ..., late: _Optional[int] = ..., dropped_properties: _Optional[int] = ..., rejections: _Optional[_Iterable[_Union[EventRejection, _Mapping]]] = ..., revocations: _Optional[_Iterable[_Union[EventRevocation, _Mapping]]] = ...) -> None: ...
