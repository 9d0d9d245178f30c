"""Three kinds of error, one table: what a caller gets for each. The text of an exception never leaves the process."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status.rpc_status import to_status

from liftgate.domain.errors import (
    CallerError,
    Expired,
    FieldViolation,
    LogUnavailable,
    NotAuthenticated,
    NotFound,
    NotNow,
    NotPermitted,
    NotSetUp,
    Overloaded,
    Refused,
    RequestIdReused,
)

OVERLOADED_RETRY_MS = 50
LOG_RETRY_MS = 250
DETAILS_BYTES = 4096
"""Violations beyond this many bytes are counted and not listed: clients refuse trailers of more than 8 KiB."""
_MESSAGE_CHARACTERS = 300

OVERLOADED = "the service is busy; try again"
EXPIRED = "the deadline passed before the work was done"
LOG_UNAVAILABLE = "the log cannot be written, so nothing was recorded; try again"
INTERNAL = "an unexpected failure in the service; it has been counted"


class CallObserver(Protocol):
    """Metrics of calls. Never raises, never sees a person's id."""

    def began(self) -> None:
        """A call came in. Each is answered once."""
        ...

    def answered(self, method: str, code: int, seconds: float) -> None:
        """It ended; `method` as in the service, for example `Decide`, `code` the gRPC status number, `seconds` the time in the handler."""
        ...

    def turned_away(self, method: str, code: int, calls: int) -> None:
        """So many calls came in and ended with one status, before they were read."""
        ...


Report = Callable[[str, str], None]
"""Told of each call that ends INTERNAL: its method, and `what_failed`."""


class Unimplemented(Exception):
    """The method is declared and not built; `instead` says what to use."""

    def __init__(self, instead: str) -> None:
        super().__init__(instead)
        self.instead = instead


def status_of(error: Exception) -> tuple[grpc.StatusCode, str, Sequence[Message]]:
    """Return (code, message, details) for an error: the whole table."""
    if isinstance(error, RequestIdReused):
        return grpc.StatusCode.FAILED_PRECONDITION, *_bad_request(error)
    if isinstance(error, CallerError):
        return grpc.StatusCode.INVALID_ARGUMENT, *_bad_request(error)
    if isinstance(error, Overloaded):
        return grpc.StatusCode.RESOURCE_EXHAUSTED, OVERLOADED, (_retry(OVERLOADED_RETRY_MS),)
    if isinstance(error, Expired):
        return grpc.StatusCode.DEADLINE_EXCEEDED, EXPIRED, ()
    if isinstance(error, LogUnavailable):
        return grpc.StatusCode.UNAVAILABLE, LOG_UNAVAILABLE, (_retry(LOG_RETRY_MS),)
    if isinstance(error, NotFound):
        return grpc.StatusCode.NOT_FOUND, str(error), ()
    if isinstance(error, (NotSetUp, Refused)):
        return grpc.StatusCode.FAILED_PRECONDITION, str(error), ()
    if isinstance(error, NotNow):
        return grpc.StatusCode.UNAVAILABLE, str(error), (_retry(LOG_RETRY_MS),)
    if isinstance(error, NotAuthenticated):
        return grpc.StatusCode.UNAUTHENTICATED, str(error), ()
    if isinstance(error, NotPermitted):
        return grpc.StatusCode.PERMISSION_DENIED, str(error), ()
    if isinstance(error, Unimplemented):
        return grpc.StatusCode.UNIMPLEMENTED, error.instead, ()
    return grpc.StatusCode.INTERNAL, INTERNAL, ()


def what_failed(error: Exception) -> str:
    """Return an error's class and where it was raised, for our own log. Its text may hold personal data and stays out."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else type(error).__name__


async def refuse(context: grpc.aio.ServicerContext[bytes, bytes], error: Exception) -> NoReturn:
    """End the call as the table says, with `google.rpc.Status` in its trailers. Always raises grpc.aio.AbortError."""
    await context.abort_with_status(_rich_status(error))
    raise AssertionError("abort_with_status returned")


def trailers_of(error: Exception) -> tuple[int, str, list[tuple[str, str | bytes]]]:
    """Return (status number, message, trailing metadata) as `refuse` sends them."""
    known = _constant.get(type(error))
    if known is None:
        status = _rich_status(error)
        known = int(status.code.value[0]), status.details, list(status.trailing_metadata)
        if type(error) in _CONSTANT:
            _constant[type(error)] = known
    return known


_CONSTANT = frozenset({Overloaded, Expired, LogUnavailable})
"""Errors whose status says nothing of the call: under overload they are many, and must be cheap."""
_constant: dict[type[Exception], tuple[int, str, list[tuple[str, str | bytes]]]] = {}


def _rich_status(error: Exception) -> grpc.Status:
    code, message, details = status_of(error)
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return to_status(status)


def _bad_request(error: CallerError) -> tuple[str, Sequence[Message]]:
    listed = error_details_pb2.BadRequest()
    size = 0
    for violation in error.violations:
        size += len(violation.field.encode()) + len(violation.description.encode()) + 8
        if size > DETAILS_BYTES:
            break
        listed.field_violations.add(field=violation.field, description=violation.description)
    left_out = len(error.violations) - len(listed.field_violations)
    if left_out:
        listed.field_violations.add(field="", description=f"and {left_out} more mistakes like these")
    return _sentence(error.violations), (listed,)


def _sentence(violations: Sequence[FieldViolation]) -> str:
    first = violations[0] if violations else FieldViolation("", "the request is wrong")
    text = f"{first.field}: {first.description}" if first.field else first.description
    if len(text) > _MESSAGE_CHARACTERS:
        text = text[:_MESSAGE_CHARACTERS] + "..."
    return text if len(violations) < 2 else f"{text} (and {len(violations) - 1} more)"


def _retry(delay_ms: int) -> error_details_pb2.RetryInfo:
    return error_details_pb2.RetryInfo(retry_delay=Duration(nanos=delay_ms * 1_000_000))
