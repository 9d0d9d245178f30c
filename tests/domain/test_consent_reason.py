"""One purpose's consent is read as all purposes' is."""

from __future__ import annotations

import orjson
import pytest

from liftgate.domain.consent import document, parse, reason_of
from liftgate.domain.reason import Reason

NOW = 1_000
_RECORDS = [
    {"status": "granted"},
    {"status": "granted", "given_at_ms": 2_000},
    {"status": "granted", "expires_at_ms": 900},
    {"status": "granted", "expires_at_ms": 1_100.5},
    {"status": "granted", "withdrawn_at_ms": 900},
    {"status": "granted", "given_at_ms": 950, "withdrawn_at_ms": 900},
    {"status": "granted", "given_at_ms": True},
    {"status": "denied"},
    {"status": "maybe"},
    {"status": []},
    {},
    None,
    [],
]
_DOCUMENTS: list[bytes | None] = [
    None,
    b"",
    b"{",
    b"[]",
    b"1",
    b"null",
    b'{"v": 1}',
    b'{"v": 2, "purposes": {}}',
    b'{"purposes": {}}',
    b'{"v": 1, "purposes": []}',
    b'{"v": 1, "purposes": null}',
    b'{"v": 1, "purposes": {}}',
    document({"other": {"status": "granted"}}),
    *(orjson.dumps({"v": 1, "purposes": {"p": record}}) for record in _RECORDS),
]


@pytest.mark.parametrize("raw", _DOCUMENTS)
def test_one_purpose_is_read_as_all_are(raw: bytes | None) -> None:
    """Whatever is stored, `reason_of` says what `parse` says of that purpose."""
    assert reason_of(raw, "p", NOW) is parse(raw, ("x", "p"), NOW)[0][1]


def test_the_documents_say_every_reason() -> None:
    """The control: the documents above are not all refused for one reason."""
    said = {parse(raw, ("p",), NOW)[0][0] for raw in _DOCUMENTS}
    wanted = {Reason.ALLOWED, Reason.CONSENT_MISSING, Reason.CONSENT_DENIED, Reason.CONSENT_EXPIRED, Reason.CONSENT_UNREADABLE}
    assert said == wanted
