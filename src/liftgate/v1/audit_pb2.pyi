from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuditAct(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_ACT_UNSPECIFIED: _ClassVar[AuditAct]
    AUDIT_ACT_PUBLISH: _ClassVar[AuditAct]
    AUDIT_ACT_RELOAD: _ClassVar[AuditAct]
    AUDIT_ACT_APPROVE: _ClassVar[AuditAct]
    AUDIT_ACT_REJECT: _ClassVar[AuditAct]
    AUDIT_ACT_WITHDRAW: _ClassVar[AuditAct]
    AUDIT_ACT_KILL: _ClassVar[AuditAct]
    AUDIT_ACT_START: _ClassVar[AuditAct]
    AUDIT_ACT_CONSENT_CHANGE: _ClassVar[AuditAct]
    AUDIT_ACT_ERASE: _ClassVar[AuditAct]
    AUDIT_ACT_BREAK_GLASS: _ClassVar[AuditAct]
    AUDIT_ACT_SUBMIT: _ClassVar[AuditAct]
AUDIT_ACT_UNSPECIFIED: AuditAct
AUDIT_ACT_PUBLISH: AuditAct
AUDIT_ACT_RELOAD: AuditAct
AUDIT_ACT_APPROVE: AuditAct
AUDIT_ACT_REJECT: AuditAct
AUDIT_ACT_WITHDRAW: AuditAct
AUDIT_ACT_KILL: AuditAct
AUDIT_ACT_START: AuditAct
AUDIT_ACT_CONSENT_CHANGE: AuditAct
AUDIT_ACT_ERASE: AuditAct
AUDIT_ACT_BREAK_GLASS: AuditAct
AUDIT_ACT_SUBMIT: AuditAct

class AuditHead(_message.Message):
    __slots__ = ("writer_id", "sequence", "hash")
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    writer_id: bytes
    sequence: int
    hash: bytes
    def __init__(self, writer_id: _Optional[bytes] = ..., sequence: _Optional[int] = ..., hash: _Optional[bytes] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("writer_id", "sequence", "at_ms", "actor", "role", "act", "subject", "digest_before", "digest_after", "reason", "seen", "previous_hash", "hash")
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_BEFORE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_AFTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    writer_id: bytes
    sequence: int
    at_ms: int
    actor: str
    role: str
    act: AuditAct
    subject: str
    digest_before: str
    digest_after: str
    reason: str
    seen: _containers.RepeatedCompositeFieldContainer[AuditHead]
    previous_hash: bytes
    hash: bytes
    def __init__(self, writer_id: _Optional[bytes] = ..., sequence: _Optional[int] = ..., at_ms: _Optional[int] = ..., actor: _Optional[str] = ..., role: _Optional[str] = ..., act: _Optional[_Union[AuditAct, str]] = ..., subject: _Optional[str] = ..., digest_before: _Optional[str] = ..., digest_after: _Optional[str] = ..., reason: _Optional[str] = ..., seen: _Optional[_Iterable[_Union[AuditHead, _Mapping]]] = ..., previous_hash: _Optional[bytes] = ..., hash: _Optional[bytes] = ...) -> None: ...
