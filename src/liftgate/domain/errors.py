"""Three kinds of error: the caller's, a dependency's, ours. The gRPC adapter alone turns them into status codes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One mistake in a request: the field's path as the proto names it, and what is wanted instead."""

    field: str
    description: str


class CallerError(Exception):
    """The request is wrong. Carries every violation found; answered INVALID_ARGUMENT with google.rpc.BadRequest."""

    def __init__(self, violations: tuple[FieldViolation, ...]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = violations


class RequestIdReused(CallerError):
    """A request_id came back with another body within the retry horizon; answered FAILED_PRECONDITION."""


class Overloaded(Exception):
    """The queue is full; answered RESOURCE_EXHAUSTED with google.rpc.RetryInfo."""


class Expired(Exception):
    """The request's deadline passed before its work began; answered DEADLINE_EXCEEDED."""


class DependencyError(Exception):
    """Something that Liftgate leans on is away or wrong. Never reaches a caller: the stage takes its fallback."""


class StoreUnavailable(DependencyError):
    """Redis did not answer within its budget, or the breaker is open."""


class ModelFailed(DependencyError):
    """A model did not give finite probabilities."""


class LogUnavailable(DependencyError):
    """The decision or event log could not be written. With `refuse` it is answered UNAVAILABLE: the one that does reach a caller."""


class BadInput(Exception):
    """A file that a person wrote is wrong. The message names file, line, field and mend."""


class NotSetUp(Exception):
    """The service is not set up for this call; the message says in plain words what to set up. Answered FAILED_PRECONDITION."""


class NotAuthenticated(Exception):
    """A privileged call came without a token, or with one that nobody has. Answered UNAUTHENTICATED."""


class NotPermitted(Exception):
    """The operator lacks the role; the message names it. Answered PERMISSION_DENIED."""


class NotFound(Exception):
    """What the call names is not here; the message says in plain words where to look. Answered NOT_FOUND."""


class NotNow(Exception):
    """A privileged call needs something that is away; the message says what. Answered UNAVAILABLE."""


class Refused(Exception):
    """What an operator asks for may not be done as things stand; the message says why. Answered FAILED_PRECONDITION."""
