from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReviewState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_STATE_UNSPECIFIED: _ClassVar[ReviewState]
    REVIEW_STATE_NOT_SUBMITTED: _ClassVar[ReviewState]
    REVIEW_STATE_PENDING: _ClassVar[ReviewState]
    REVIEW_STATE_APPROVED: _ClassVar[ReviewState]
    REVIEW_STATE_REJECTED: _ClassVar[ReviewState]
    REVIEW_STATE_WITHDRAWN: _ClassVar[ReviewState]
    REVIEW_STATE_EXPIRED: _ClassVar[ReviewState]
    REVIEW_STATE_BREAK_GLASS: _ClassVar[ReviewState]
REVIEW_STATE_UNSPECIFIED: ReviewState
REVIEW_STATE_NOT_SUBMITTED: ReviewState
REVIEW_STATE_PENDING: ReviewState
REVIEW_STATE_APPROVED: ReviewState
REVIEW_STATE_REJECTED: ReviewState
REVIEW_STATE_WITHDRAWN: ReviewState
REVIEW_STATE_EXPIRED: ReviewState
REVIEW_STATE_BREAK_GLASS: ReviewState

class ReviewNeed(_message.Message):
    __slots__ = ("because", "approvers", "role", "valid_for_ms")
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    APPROVERS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    VALID_FOR_MS_FIELD_NUMBER: _ClassVar[int]
    because: str
    approvers: int
    role: str
    valid_for_ms: int
    def __init__(self, because: _Optional[str] = ..., approvers: _Optional[int] = ..., role: _Optional[str] = ..., valid_for_ms: _Optional[int] = ...) -> None: ...

class ReviewAct(_message.Message):
    __slots__ = ("act", "by", "roles", "at_ms", "reason", "until_ms")
    ACT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    act: str
    by: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    at_ms: int
    reason: str
    until_ms: int
    def __init__(self, act: _Optional[str] = ..., by: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., at_ms: _Optional[int] = ..., reason: _Optional[str] = ..., until_ms: _Optional[int] = ...) -> None: ...

class ReviewItem(_message.Message):
    __slots__ = ("review_id", "kind", "subject", "bundle", "state", "until_ms", "needs", "missing", "authors", "acts", "source", "in_force", "follow_up_open", "decision_id", "person_pseudonym", "explanation")
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    AUTHORS_FIELD_NUMBER: _ClassVar[int]
    ACTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_UP_OPEN_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    PERSON_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    review_id: str
    kind: str
    subject: str
    bundle: str
    state: ReviewState
    until_ms: int
    needs: _containers.RepeatedCompositeFieldContainer[ReviewNeed]
    missing: _containers.RepeatedScalarFieldContainer[str]
    authors: _containers.RepeatedScalarFieldContainer[str]
    acts: _containers.RepeatedCompositeFieldContainer[ReviewAct]
    source: str
    in_force: bool
    follow_up_open: bool
    decision_id: str
    person_pseudonym: str
    explanation: str
    def __init__(self, review_id: _Optional[str] = ..., kind: _Optional[str] = ..., subject: _Optional[str] = ..., bundle: _Optional[str] = ..., state: _Optional[_Union[ReviewState, str]] = ..., until_ms: _Optional[int] = ..., needs: _Optional[_Iterable[_Union[ReviewNeed, _Mapping]]] = ..., missing: _Optional[_Iterable[str]] = ..., authors: _Optional[_Iterable[str]] = ..., acts: _Optional[_Iterable[_Union[ReviewAct, _Mapping]]] = ..., source: _Optional[str] = ..., in_force: _Optional[bool] = ..., follow_up_open: _Optional[bool] = ..., decision_id: _Optional[str] = ..., person_pseudonym: _Optional[str] = ..., explanation: _Optional[str] = ...) -> None: ...

class ReviewServiceListRequest(_message.Message):
    __slots__ = ("all", "decisions")
    ALL_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    all: bool
    decisions: bool
    def __init__(self, all: _Optional[bool] = ..., decisions: _Optional[bool] = ...) -> None: ...

class ReviewServiceListResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ReviewItem]
    def __init__(self, items: _Optional[_Iterable[_Union[ReviewItem, _Mapping]]] = ...) -> None: ...

class ReviewServiceGetRequest(_message.Message):
    __slots__ = ("review_id",)
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    review_id: str
    def __init__(self, review_id: _Optional[str] = ...) -> None: ...

class ReviewServiceGetResponse(_message.Message):
    __slots__ = ("item", "text", "words", "approved_text", "approved_review_id")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    APPROVED_TEXT_FIELD_NUMBER: _ClassVar[int]
    APPROVED_REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    item: ReviewItem
    text: str
    words: _containers.RepeatedScalarFieldContainer[str]
    approved_text: str
    approved_review_id: str
    def __init__(self, item: _Optional[_Union[ReviewItem, _Mapping]] = ..., text: _Optional[str] = ..., words: _Optional[_Iterable[str]] = ..., approved_text: _Optional[str] = ..., approved_review_id: _Optional[str] = ...) -> None: ...

class ApproveRequest(_message.Message):
    __slots__ = ("review_id", "reason")
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    review_id: str
    reason: str
    def __init__(self, review_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ApproveResponse(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: ReviewItem
    def __init__(self, item: _Optional[_Union[ReviewItem, _Mapping]] = ...) -> None: ...

class RejectRequest(_message.Message):
    __slots__ = ("review_id", "reason")
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    review_id: str
    reason: str
    def __init__(self, review_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RejectResponse(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: ReviewItem
    def __init__(self, item: _Optional[_Union[ReviewItem, _Mapping]] = ...) -> None: ...

class WithdrawRequest(_message.Message):
    __slots__ = ("review_id", "reason")
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    review_id: str
    reason: str
    def __init__(self, review_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class WithdrawResponse(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: ReviewItem
    def __init__(self, item: _Optional[_Union[ReviewItem, _Mapping]] = ...) -> None: ...

class Submission(_message.Message):
    __slots__ = ("text", "source")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    text: str
    source: str
    def __init__(self, text: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("submissions", "reason")
    SUBMISSIONS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    submissions: _containers.RepeatedCompositeFieldContainer[Submission]
    reason: str
    def __init__(self, submissions: _Optional[_Iterable[_Union[Submission, _Mapping]]] = ..., reason: _Optional[str] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ReviewItem]
    def __init__(self, items: _Optional[_Iterable[_Union[ReviewItem, _Mapping]]] = ...) -> None: ...

class BreakGlassRequest(_message.Message):
    __slots__ = ("review_id", "reason", "for_ms")
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FOR_MS_FIELD_NUMBER: _ClassVar[int]
    review_id: str
    reason: str
    for_ms: int
    def __init__(self, review_id: _Optional[str] = ..., reason: _Optional[str] = ..., for_ms: _Optional[int] = ...) -> None: ...

class BreakGlassResponse(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: ReviewItem
    def __init__(self, item: _Optional[_Union[ReviewItem, _Mapping]] = ...) -> None: ...
