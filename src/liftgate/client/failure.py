"""What a caller is told when there is no answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Violation:
    """One mistake in a request."""

    field: str
    description: str


class RequestRefused(Exception):
    """The service refused the request; sending it again changes nothing. `violations` says what to mend."""

    def __init__(self, status: str, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.violations = violations


class ServiceUnavailable(Exception):
    """No answer within the deadline, after every retry. `status` names the last gRPC status."""

    def __init__(self, status: str) -> None:
        super().__init__(f"the service did not answer: {status}")
        self.status = status


REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, read from its status and trailers."""

    code: grpc.StatusCode
    message: str
    retry_after_s: float | None
    """What google.rpc.RetryInfo asks for; None: it was not sent."""
    violations: tuple[Violation, ...]

    @staticmethod
    def read(code: grpc.StatusCode, message: str | None, trailers: Iterable[tuple[str, str | bytes]] | None) -> Failure:
        """Return the failure; details that cannot be read count as absent."""
        retry_after_s: float | None = None
        violations: list[Violation] = []
        for detail in _details(trailers):
            if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                wanted = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
                retry_after_s = wanted.seconds + wanted.nanos / 1e9
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                listed = error_details_pb2.BadRequest.FromString(detail.value).field_violations
                violations += [Violation(entry.field, entry.description) for entry in listed]
        return Failure(code, message or "", retry_after_s, tuple(violations))

    def raise_if_refused(self) -> None:
        """Raise RequestRefused where the request itself is at fault."""
        if self.code in REFUSALS:
            raise RequestRefused(self.code.name, self.message, self.violations)


def _details(trailers: Iterable[tuple[str, str | bytes]] | None) -> Iterable[AnyMessage]:
    for key, value in trailers or ():
        if key == _DETAILS and isinstance(value, bytes):
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []
