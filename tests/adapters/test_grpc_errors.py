"""The table of errors: what each kind becomes on the wire, and what never gets there."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from liftgate.adapters.grpc_errors import DETAILS_BYTES, INTERNAL, status_of, what_failed
from liftgate.domain.errors import (
    BadInput,
    CallerError,
    Expired,
    FieldViolation,
    LogUnavailable,
    ModelFailed,
    Overloaded,
    RequestIdReused,
    StoreUnavailable,
)

ONE = (FieldViolation("person_id", "wants 1 to 256 bytes"),)


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (CallerError(ONE), grpc.StatusCode.INVALID_ARGUMENT, "BadRequest"),
        (RequestIdReused(ONE), grpc.StatusCode.FAILED_PRECONDITION, "BadRequest"),
        (Overloaded(), grpc.StatusCode.RESOURCE_EXHAUSTED, "RetryInfo"),
        (Expired(), grpc.StatusCode.DEADLINE_EXCEEDED, None),
        (LogUnavailable("secret"), grpc.StatusCode.UNAVAILABLE, "RetryInfo"),
        (StoreUnavailable("secret"), grpc.StatusCode.INTERNAL, None),
        (ModelFailed("secret"), grpc.StatusCode.INTERNAL, None),
        (BadInput("secret"), grpc.StatusCode.INTERNAL, None),
        (RuntimeError("secret"), grpc.StatusCode.INTERNAL, None),
        (TimeoutError("secret"), grpc.StatusCode.INTERNAL, None),
    ],
)
def test_each_kind_has_its_code_and_detail(error: Exception, code: grpc.StatusCode, detail: str | None) -> None:
    """An error becomes the code and the detail of the table, and its own text stays inside."""
    found, message, details = status_of(error)
    assert found is code
    assert [type(one).__name__ for one in details] == ([detail] if detail else [])
    assert "secret" not in message


def test_internal_has_one_fixed_text() -> None:
    """Whatever breaks, the caller reads the same sentence."""
    assert {status_of(error)[1] for error in (RuntimeError("a"), KeyError("b"))} == {INTERNAL}


def test_all_violations_arrive() -> None:
    """Each violation is listed with its field; the message names the first and counts the others."""
    violations = tuple(FieldViolation(f"field_{i}", "wants more") for i in range(20))
    _, message, (detail,) = status_of(CallerError(violations))
    assert isinstance(detail, error_details_pb2.BadRequest)
    assert [(one.field, one.description) for one in detail.field_violations] == [(v.field, v.description) for v in violations]
    assert message == "field_0: wants more (and 19 more)"


def test_very_many_violations_fit_into_a_trailer() -> None:
    """What does not fit is counted, so that the status itself always arrives."""
    violations = tuple(FieldViolation(f"requests[{i}].person_id", "wants 1 to 256 bytes, not 0") for i in range(1000))
    _, message, (detail,) = status_of(CallerError(violations))
    assert isinstance(detail, error_details_pb2.BadRequest)
    assert len(detail.SerializeToString()) < DETAILS_BYTES + 100
    listed = len(detail.field_violations) - 1
    assert detail.field_violations[-1].description == f"and {1000 - listed} more mistakes like these"
    assert len(message) < 400


def test_a_crash_is_reported_by_its_place() -> None:
    """Our own log gets the class and the place, never the text."""
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018
    assert what_failed(caught.value).startswith("ZeroDivisionError at test_grpc_errors.py:")
    assert what_failed(ValueError("jane@example.com")) == "ValueError"
