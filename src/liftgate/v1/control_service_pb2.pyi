from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ControlKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTROL_KIND_UNSPECIFIED: _ClassVar[ControlKind]
    CONTROL_KIND_OFFER: _ClassVar[ControlKind]
    CONTROL_KIND_GROUP: _ClassVar[ControlKind]
    CONTROL_KIND_MODEL: _ClassVar[ControlKind]
    CONTROL_KIND_ALL: _ClassVar[ControlKind]
CONTROL_KIND_UNSPECIFIED: ControlKind
CONTROL_KIND_OFFER: ControlKind
CONTROL_KIND_GROUP: ControlKind
CONTROL_KIND_MODEL: ControlKind
CONTROL_KIND_ALL: ControlKind

class StopRequest(_message.Message):
    __slots__ = ("kind", "name", "reason", "unknown_name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_NAME_FIELD_NUMBER: _ClassVar[int]
    kind: ControlKind
    name: str
    reason: str
    unknown_name: bool
    def __init__(self, kind: _Optional[_Union[ControlKind, str]] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ..., unknown_name: _Optional[bool] = ...) -> None: ...

class StopResponse(_message.Message):
    __slots__ = ("controls_version",)
    CONTROLS_VERSION_FIELD_NUMBER: _ClassVar[int]
    controls_version: int
    def __init__(self, controls_version: _Optional[int] = ...) -> None: ...

class StartRequest(_message.Message):
    __slots__ = ("kind", "name", "reason")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    kind: ControlKind
    name: str
    reason: str
    def __init__(self, kind: _Optional[_Union[ControlKind, str]] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class StartResponse(_message.Message):
    __slots__ = ("review_id",)
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    review_id: str
    def __init__(self, review_id: _Optional[str] = ...) -> None: ...

class ControlServiceListRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ControlServiceListResponse(_message.Message):
    __slots__ = ("stopped", "controls_version", "known")
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_VERSION_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    stopped: _containers.RepeatedCompositeFieldContainer[Stopped]
    controls_version: int
    known: bool
    def __init__(self, stopped: _Optional[_Iterable[_Union[Stopped, _Mapping]]] = ..., controls_version: _Optional[int] = ..., known: _Optional[bool] = ...) -> None: ...

class Stopped(_message.Message):
    __slots__ = ("kind", "name", "reason", "by", "at_ms", "start_review_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    START_REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    kind: ControlKind
    name: str
    reason: str
    by: str
    at_ms: int
    start_review_id: str
    def __init__(self, kind: _Optional[_Union[ControlKind, str]] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ..., by: _Optional[str] = ..., at_ms: _Optional[int] = ..., start_review_id: _Optional[str] = ...) -> None: ...
