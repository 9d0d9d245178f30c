from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConsentStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSENT_STATUS_UNSPECIFIED: _ClassVar[ConsentStatus]
    CONSENT_STATUS_GRANTED: _ClassVar[ConsentStatus]
    CONSENT_STATUS_DENIED: _ClassVar[ConsentStatus]
    CONSENT_STATUS_WITHDRAWN: _ClassVar[ConsentStatus]
    CONSENT_STATUS_EXPIRED: _ClassVar[ConsentStatus]
    CONSENT_STATUS_PENDING: _ClassVar[ConsentStatus]
    CONSENT_STATUS_OBJECTED: _ClassVar[ConsentStatus]

class LawfulBasis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LAWFUL_BASIS_UNSPECIFIED: _ClassVar[LawfulBasis]
    LAWFUL_BASIS_CONSENT: _ClassVar[LawfulBasis]
    LAWFUL_BASIS_CONTRACT: _ClassVar[LawfulBasis]
    LAWFUL_BASIS_LEGAL_OBLIGATION: _ClassVar[LawfulBasis]
    LAWFUL_BASIS_VITAL_INTERESTS: _ClassVar[LawfulBasis]
    LAWFUL_BASIS_PUBLIC_TASK: _ClassVar[LawfulBasis]
    LAWFUL_BASIS_LEGITIMATE_INTERESTS: _ClassVar[LawfulBasis]
CONSENT_STATUS_UNSPECIFIED: ConsentStatus
CONSENT_STATUS_GRANTED: ConsentStatus
CONSENT_STATUS_DENIED: ConsentStatus
CONSENT_STATUS_WITHDRAWN: ConsentStatus
CONSENT_STATUS_EXPIRED: ConsentStatus
CONSENT_STATUS_PENDING: ConsentStatus
CONSENT_STATUS_OBJECTED: ConsentStatus
LAWFUL_BASIS_UNSPECIFIED: LawfulBasis
LAWFUL_BASIS_CONSENT: LawfulBasis
LAWFUL_BASIS_CONTRACT: LawfulBasis
LAWFUL_BASIS_LEGAL_OBLIGATION: LawfulBasis
LAWFUL_BASIS_VITAL_INTERESTS: LawfulBasis
LAWFUL_BASIS_PUBLIC_TASK: LawfulBasis
LAWFUL_BASIS_LEGITIMATE_INTERESTS: LawfulBasis

class Consent(_message.Message):
    __slots__ = ("purpose", "status", "given_at_ms", "expires_at_ms", "policy_version", "withdrawn_at_ms", "basis", "jurisdiction", "source", "mechanism", "notice_version")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    GIVEN_AT_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_AT_MS_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    JURISDICTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MECHANISM_FIELD_NUMBER: _ClassVar[int]
    NOTICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    status: ConsentStatus
    given_at_ms: int
    expires_at_ms: int
    policy_version: str
    withdrawn_at_ms: int
    basis: LawfulBasis
    jurisdiction: str
    source: str
    mechanism: str
    notice_version: str
    def __init__(self, purpose: _Optional[str] = ..., status: _Optional[_Union[ConsentStatus, str]] = ..., given_at_ms: _Optional[int] = ..., expires_at_ms: _Optional[int] = ..., policy_version: _Optional[str] = ..., withdrawn_at_ms: _Optional[int] = ..., basis: _Optional[_Union[LawfulBasis, str]] = ..., jurisdiction: _Optional[str] = ..., source: _Optional[str] = ..., mechanism: _Optional[str] = ..., notice_version: _Optional[str] = ...) -> None: ...

class SetRequest(_message.Message):
    __slots__ = ("person_id", "consent", "replace_unreadable")
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    REPLACE_UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    person_id: str
    consent: Consent
    replace_unreadable: bool
    def __init__(self, person_id: _Optional[str] = ..., consent: _Optional[_Union[Consent, _Mapping]] = ..., replace_unreadable: _Optional[bool] = ...) -> None: ...

class SetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("person_id",)
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    person_id: str
    def __init__(self, person_id: _Optional[str] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("consents",)
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    consents: _containers.RepeatedCompositeFieldContainer[Consent]
    def __init__(self, consents: _Optional[_Iterable[_Union[Consent, _Mapping]]] = ...) -> None: ...

class HistoryRequest(_message.Message):
    __slots__ = ("person_id",)
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    person_id: str
    def __init__(self, person_id: _Optional[str] = ...) -> None: ...

class HistoryEntry(_message.Message):
    __slots__ = ("sequence", "at_ms", "actor", "consent", "digest_before", "digest_after", "previous_hash", "hash", "hashed")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_BEFORE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_AFTER_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    HASHED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    at_ms: int
    actor: str
    consent: Consent
    digest_before: str
    digest_after: str
    previous_hash: str
    hash: str
    hashed: str
    def __init__(self, sequence: _Optional[int] = ..., at_ms: _Optional[int] = ..., actor: _Optional[str] = ..., consent: _Optional[_Union[Consent, _Mapping]] = ..., digest_before: _Optional[str] = ..., digest_after: _Optional[str] = ..., previous_hash: _Optional[str] = ..., hash: _Optional[str] = ..., hashed: _Optional[str] = ...) -> None: ...

class HistoryResponse(_message.Message):
    __slots__ = ("entries", "digest_now")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_NOW_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[HistoryEntry]
    digest_now: str
    def __init__(self, entries: _Optional[_Iterable[_Union[HistoryEntry, _Mapping]]] = ..., digest_now: _Optional[str] = ...) -> None: ...

class EraseRequest(_message.Message):
    __slots__ = ("person_id", "account_id", "reason")
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    person_id: str
    account_id: str
    reason: str
    def __init__(self, person_id: _Optional[str] = ..., account_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class EraseResponse(_message.Message):
    __slots__ = ("receipt", "removed")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    removed: int
    def __init__(self, receipt: _Optional[str] = ..., removed: _Optional[int] = ...) -> None: ...
