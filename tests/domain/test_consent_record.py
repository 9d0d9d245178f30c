"""Consent records: what a document holds is read back, a change touches one record only, and nothing unreadable is overwritten unasked."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.domain import consent
from liftgate.domain.consent_record import ConsentRecord, OlderConsent, UnreadableConsent, records, with_record
from liftgate.domain.reason import Reason

NOW = 1_781_524_800_000
FULL = ConsentRecord(
    purpose="personalization",
    status="granted",
    basis="consent",
    jurisdiction="EU",
    source="checkout",
    mechanism="double-opt-in",
    notice_version="n-7",
    policy_version="2026-05",
    given_at_ms=NOW - 10,
    expires_at_ms=NOW + 10,
)


def reason(raw: bytes, purpose: str = "personalization", now_ms: int = NOW) -> Reason:
    """Return what deciding makes of one purpose."""
    return consent.parse(raw, [purpose], now_ms)[0][0]


def test_a_record_comes_back_as_it_was_set() -> None:
    """Every field of a record is stored, read back, and decides what it should."""
    raw = with_record(None, FULL)
    assert records(raw) == {"personalization": FULL}
    assert reason(raw) is Reason.ALLOWED
    assert consent.jurisdiction(raw) == "EU"


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ({"given_at_ms": NOW - 9, "withdrawn_at_ms": NOW - 5}, Reason.CONSENT_DENIED),
        ({"withdrawn_at_ms": NOW - 5}, Reason.CONSENT_DENIED),
        ({"given_at_ms": NOW - 5, "withdrawn_at_ms": NOW - 5}, Reason.CONSENT_DENIED),
        ({"given_at_ms": NOW - 5, "withdrawn_at_ms": NOW}, Reason.CONSENT_DENIED),
        ({"given_at_ms": NOW - 5, "withdrawn_at_ms": NOW - 9}, Reason.ALLOWED),
        ({"given_at_ms": NOW - 5, "withdrawn_at_ms": NOW + 1}, Reason.CONSENT_EXPIRED),
        ({"given_at_ms": NOW - 5, "withdrawn_at_ms": "soon"}, Reason.CONSENT_UNREADABLE),
        ({"given_at_ms": NOW - 5, "withdrawn_at_ms": True}, Reason.CONSENT_UNREADABLE),
        ({"given_at_ms": NOW - 5, "withdrawn_at_ms": None}, Reason.ALLOWED),
    ],
)
def test_a_withdrawal_beats_an_older_grant(times: dict[str, Any], wanted: Reason) -> None:
    """A grant holds against a withdrawal only when it was given after it; one from the future means that the clock is behind."""
    assert reason(orjson.dumps({"v": 1, "purposes": {"personalization": {"status": "granted", **times}}})) is wanted


stored = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.one_of(
        st.none(),
        st.just("broken"),
        st.fixed_dictionaries({"status": st.sampled_from(["granted", "denied", "sure"])}, optional={"extra": st.integers(0, 9)}),
    ),
    max_size=3,
)


@given(stored, st.sampled_from(["a", "b", "c"]), st.sampled_from(sorted(consent.STATUSES)))
def test_a_change_touches_one_record(purposes: dict[str, Any], purpose: str, status: str) -> None:
    """Setting one purpose leaves every other record as it was, fields that nobody knows included, and refuses an unreadable one."""
    raw = orjson.dumps({"v": 1, "kept": True, "purposes": purposes})
    record = ConsentRecord(purpose=purpose, status=status)
    if reason(raw, purpose) is Reason.CONSENT_UNREADABLE:
        with pytest.raises(UnreadableConsent):
            with_record(raw, record)
    after = orjson.loads(with_record(raw, record, replace_unreadable=True))
    assert after == {"v": 1, "kept": True, "purposes": {**purposes, purpose: {"status": status}}}


@pytest.mark.parametrize("raw", [b"", b"{not json", b"[]", b'{"v": 2, "purposes": {}}', b'{"v": 1, "purposes": []}'])
def test_an_unreadable_document_is_not_overwritten_unasked(raw: bytes) -> None:
    """What cannot be read is refused by default, and replaced whole where that is asked for."""
    assert records(raw) is None
    with pytest.raises(UnreadableConsent):
        with_record(raw, FULL)
    assert records(with_record(raw, FULL, replace_unreadable=True)) == {"personalization": FULL}


def test_a_late_grant_does_not_undo_a_withdrawal() -> None:
    """A grant given no later than the withdrawal on record is refused; a later one, or a refusal, is taken."""
    withdrawn = with_record(None, ConsentRecord(purpose="ads", status="withdrawn", given_at_ms=NOW - 9, withdrawn_at_ms=NOW - 5))
    for then in (NOW - 9, NOW - 5):
        with pytest.raises(OlderConsent):
            with_record(withdrawn, ConsentRecord(purpose="ads", status="granted", given_at_ms=then))
    again = with_record(withdrawn, ConsentRecord(purpose="ads", status="granted", given_at_ms=NOW - 4))
    assert consent.parse(again, ["ads"], NOW)[0] == [Reason.ALLOWED]
    assert with_record(withdrawn, ConsentRecord(purpose="ads", status="denied", given_at_ms=NOW - 9)) != withdrawn


def test_a_null_is_a_record_that_says_nothing() -> None:
    """A stored null is unreadable, not missing: no default stands in for it, and a change does not overwrite it unasked."""
    raw = orjson.dumps({"v": 1, "purposes": {"ads": None}})
    assert consent.parse(raw, ["ads", "other"], NOW)[0] == [Reason.CONSENT_UNREADABLE, Reason.CONSENT_MISSING]
    assert records(raw) == {"ads": None}
    with pytest.raises(UnreadableConsent):
        with_record(raw, ConsentRecord(purpose="ads", status="granted"))


def test_the_documents_policy_version_goes_on_speaking_for_older_records() -> None:
    """A record without a version of its own keeps the document's when a newer version is set for another purpose."""
    raw = consent.document({"marketing": {"status": "granted"}}, "2025-01")
    after = with_record(raw, FULL)
    found = records(after)
    assert found is not None
    assert found["marketing"] == ConsentRecord(purpose="marketing", status="granted", policy_version="2025-01")
    assert consent.parse(after, [], NOW)[2] == "2026-05"


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (None, ""),
        (b"{not json", ""),
        (b'{"v":1,"purposes":{}}', ""),
        (b'{"v":1,"purposes":{"a":{"status":"denied","jurisdiction":"US"},"b":{"status":"granted"}}}', "US"),
        (b'{"v":1,"purposes":{"a":{"jurisdiction":"US"},"b":{"jurisdiction":"EU"}}}', ""),
        (b'{"v":1,"purposes":{"a":{"jurisdiction":7}}}', ""),
        (b'{"v":1,"purposes":{"a":{"jurisdiction":["US"]}}}', ""),
        (b'{"v":1,"purposes":{"a":{"jurisdiction":"US"},"b":"broken"}}', ""),
        (b'{"v":1,"purposes":["a"]}', ""),
    ],
)
def test_a_stored_jurisdiction_is_one_that_all_records_agree_on(raw: bytes | None, wanted: str) -> None:
    """Records that disagree, or that cannot be read, name no jurisdiction."""
    assert consent.jurisdiction(raw) == wanted


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "sure"),
        ("basis", "because"),
        ("jurisdiction", "E" * 65),
        ("source", "s" * 129),
        ("mechanism", "a\nb"),
        ("notice_version", "n" * 65),
        ("policy_version", "é" * 40),
        ("given_at_ms", -1),
        ("given_at_ms", NOW + 6 * 60 * 1000),
        ("expires_at_ms", NOW - 10),
        ("expires_at_ms", float("nan")),
        ("expires_at_ms", 10**18),
        ("withdrawn_at_ms", NOW),
        ("withdrawn_at_ms", NOW + 6 * 60 * 1000),
    ],
)
def test_mistakes_name_their_field(field: str, value: Any) -> None:
    """Each wrong value is found, under its own name, and a right record has no mistakes."""
    assert FULL.mistakes(NOW) == []
    wrong = ConsentRecord(**{name: getattr(FULL, name) for name in FULL.__slots__} | {field: value})
    assert [name for name, _ in wrong.mistakes(NOW)] == [field]
