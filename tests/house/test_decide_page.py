"""docs/decide.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest

from liftgate.adapters import grpc_requests as limits
from liftgate.adapters.explanation import SENTENCES
from liftgate.adapters.grpc_errors import LOG_RETRY_MS, OVERLOADED_RETRY_MS
from liftgate.domain.reason import Reason
from liftgate.v1.decision_pb2 import DecideRequest

PAGE = (Path(__file__).parents[2] / "docs" / "decide.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason], ids=lambda reason: reason.name)
def test_the_sentence_of_a_reason_is_the_one_in_explanations(reason: Reason) -> None:
    """The page and explanations use the same words."""
    assert f"| `{reason.name}` | {SENTENCES[reason]} |" in PAGE


def test_every_field_of_the_request_is_described() -> None:
    """Each field of DecideRequest has a row."""
    for field in DecideRequest.DESCRIPTOR.fields:
        assert re.search(rf"^\| `{field.name}[`.]", PAGE, re.MULTILINE), field.name


def test_the_status_table_names_codes_that_exist() -> None:
    """The second column of the status table starts with a gRPC status, and every code that the errors' table can give is there."""
    table = PAGE.split("## Status codes")[1].split("## Deadlines")[0]
    codes = {row.split("|")[2].strip().split(";")[0] for row in table.splitlines() if row.startswith("|")} - {"code", "---"}
    assert codes <= {status.name for status in grpc.StatusCode}
    assert {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL"} <= codes


def test_the_limits_are_those_of_the_code() -> None:
    """Numbers in the page are the ones that requests are checked against."""
    for wanted in (
        f"1 to {limits.REQUEST_ID_BYTES} bytes of printable text",
        f"who, 1 to {limits.PERSON_ID_BYTES} bytes",
        f"at most {limits.CONTEXT_TEXT_BYTES} bytes each",
        f"at most {limits.ATTRIBUTES}, names up to {limits.ATTRIBUTE_NAME_BYTES} bytes, text up to {limits.ATTRIBUTE_TEXT_BYTES} bytes",
        f"1 to {limits.CANDIDATES} offers",
        f"1 to {limits.BATCH_REQUESTS:,} requests",
        f"`RetryInfo` ({OVERLOADED_RETRY_MS} ms)",
        f"`RetryInfo` ({LOG_RETRY_MS} ms)",
    ):
        assert wanted in PAGE, wanted
