from liftgate.v1 import record_pb2 as _record_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReloadResult(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RELOAD_RESULT_UNSPECIFIED: _ClassVar[ReloadResult]
    RELOAD_RESULT_SWAPPED: _ClassVar[ReloadResult]
    RELOAD_RESULT_UNCHANGED: _ClassVar[ReloadResult]
    RELOAD_RESULT_REFUSED: _ClassVar[ReloadResult]
    RELOAD_RESULT_UNKNOWN: _ClassVar[ReloadResult]
RELOAD_RESULT_UNSPECIFIED: ReloadResult
RELOAD_RESULT_SWAPPED: ReloadResult
RELOAD_RESULT_UNCHANGED: ReloadResult
RELOAD_RESULT_REFUSED: ReloadResult
RELOAD_RESULT_UNKNOWN: ReloadResult

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("bundle_digest", "version", "worker", "models", "fleet", "fleet_agrees")
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    FLEET_FIELD_NUMBER: _ClassVar[int]
    FLEET_AGREES_FIELD_NUMBER: _ClassVar[int]
    bundle_digest: str
    version: str
    worker: WorkerStatus
    models: _containers.RepeatedCompositeFieldContainer[_record_pb2.ModelPin]
    fleet: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    fleet_agrees: bool
    def __init__(self, bundle_digest: _Optional[str] = ..., version: _Optional[str] = ..., worker: _Optional[_Union[WorkerStatus, _Mapping]] = ..., models: _Optional[_Iterable[_Union[_record_pb2.ModelPin, _Mapping]]] = ..., fleet: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., fleet_agrees: _Optional[bool] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("worker_id", "host", "pid", "port", "transport", "version", "bundle", "bundle_digest", "since_ms", "last_reload", "silent_ms")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_RELOAD_FIELD_NUMBER: _ClassVar[int]
    SILENT_MS_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    host: str
    pid: int
    port: int
    transport: str
    version: str
    bundle: str
    bundle_digest: str
    since_ms: int
    last_reload: ReloadOutcome
    silent_ms: int
    def __init__(self, worker_id: _Optional[str] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., port: _Optional[int] = ..., transport: _Optional[str] = ..., version: _Optional[str] = ..., bundle: _Optional[str] = ..., bundle_digest: _Optional[str] = ..., since_ms: _Optional[int] = ..., last_reload: _Optional[_Union[ReloadOutcome, _Mapping]] = ..., silent_ms: _Optional[int] = ...) -> None: ...

class BundleMistake(_message.Message):
    __slots__ = ("file", "line", "field", "problem", "mend")
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    MEND_FIELD_NUMBER: _ClassVar[int]
    file: str
    line: int
    field: str
    problem: str
    mend: str
    def __init__(self, file: _Optional[str] = ..., line: _Optional[int] = ..., field: _Optional[str] = ..., problem: _Optional[str] = ..., mend: _Optional[str] = ...) -> None: ...

class ReloadOutcome(_message.Message):
    __slots__ = ("worker_id", "result", "at_ms", "digest_before", "bundle_digest", "mistakes", "cause", "actor")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_BEFORE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MISTAKES_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    result: ReloadResult
    at_ms: int
    digest_before: str
    bundle_digest: str
    mistakes: _containers.RepeatedCompositeFieldContainer[BundleMistake]
    cause: str
    actor: str
    def __init__(self, worker_id: _Optional[str] = ..., result: _Optional[_Union[ReloadResult, str]] = ..., at_ms: _Optional[int] = ..., digest_before: _Optional[str] = ..., bundle_digest: _Optional[str] = ..., mistakes: _Optional[_Iterable[_Union[BundleMistake, _Mapping]]] = ..., cause: _Optional[str] = ..., actor: _Optional[str] = ...) -> None: ...

class ReloadRequest(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class ReloadResponse(_message.Message):
    __slots__ = ("bundle_digest", "workers")
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    bundle_digest: str
    workers: _containers.RepeatedCompositeFieldContainer[ReloadOutcome]
    def __init__(self, bundle_digest: _Optional[str] = ..., workers: _Optional[_Iterable[_Union[ReloadOutcome, _Mapping]]] = ...) -> None: ...

class PublishRequest(_message.Message):
    __slots__ = ("bundle", "bundle_digest", "previous_digest", "reason")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    bundle_digest: str
    previous_digest: str
    reason: str
    def __init__(self, bundle: _Optional[str] = ..., bundle_digest: _Optional[str] = ..., previous_digest: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class PublishResponse(_message.Message):
    __slots__ = ("author", "at_ms")
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    author: str
    at_ms: int
    def __init__(self, author: _Optional[str] = ..., at_ms: _Optional[int] = ...) -> None: ...
