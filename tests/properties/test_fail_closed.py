"""Bytes in any order never crash, and unknown is never yes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.bundle.load import load_bundle
from liftgate.domain import consent
from liftgate.domain.contact_history import ENTRY, live_counts
from liftgate.domain.profile import ProfileState, pack, unpack
from liftgate.domain.reason import Reason

BUNDLE = load_bundle(Path(__file__).parents[1] / "cases" / "bundles" / "golden")
SCHEMA = BUNDLE.schema
NOW = 1_781_524_800_000
GOOD = pack(SCHEMA, [40.0, 0.0, 12.0, float("nan")], NOW // 1000)

statuses: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["granted", "denied", "withdrawn", "expired", "pending", "objected", "sure", ""]), st.none(), st.integers(), st.just([])
)
moments = st.one_of(st.integers(NOW - 10, NOW + 10), st.none(), st.floats(allow_nan=True), st.text(max_size=3), st.booleans())
records = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.fixed_dictionaries(
        {}, optional={"status": statuses, "given_at_ms": moments, "expires_at_ms": moments, "withdrawn_at_ms": moments, "basis": moments}
    ),
)
documents = st.one_of(
    st.fixed_dictionaries(
        {"v": st.sampled_from([1, 1, 1, 2, "1"]), "purposes": st.dictionaries(st.sampled_from(BUNDLE.purposes), records, max_size=3)}
    ),
    st.lists(st.integers(), max_size=2),
)


def _granted(document: Any, purpose: str) -> bool:
    """The reference: granted only when everything says so, and nothing is odd."""
    if not isinstance(document, dict) or document.get("v") != 1 or isinstance(document.get("v"), bool):
        return False
    record = document["purposes"].get(purpose)
    if not isinstance(record, dict) or record.get("status") != "granted":
        return False
    given_at, expires_at, withdrawn_at = record.get("given_at_ms", 0), record.get("expires_at_ms"), record.get("withdrawn_at_ms")
    for moment in (given_at, expires_at, withdrawn_at):
        if moment is not None and (isinstance(moment, bool) or not isinstance(moment, (int, float)) or moment != moment):
            return False
    if given_at is None:
        return False
    in_force = given_at <= NOW and (expires_at is None or expires_at > NOW)
    return in_force and (withdrawn_at is None or (withdrawn_at <= NOW and withdrawn_at < given_at))


@settings(max_examples=2_000, deadline=None)
@given(documents)
def test_only_a_present_parsed_unexpired_grant_is_a_yes(document: Any) -> None:
    """Over generated consent documents, a purpose is allowed exactly where the reference says so."""
    raw = json.dumps(document).encode()
    try:
        json.loads(raw, parse_constant=lambda _: 1 / 0)
    except ZeroDivisionError:
        # NaN and Infinity are no JSON: the whole document is unreadable.
        document = None
    reasons, _, _ = consent.parse(raw, BUNDLE.purposes, NOW)
    for purpose, reason in zip(BUNDLE.purposes, reasons, strict=True):
        assert (reason is Reason.ALLOWED) == _granted(document, purpose)


@given(st.binary(max_size=300))
def test_any_bytes_as_consent_are_no(raw: bytes) -> None:
    """Random bytes under the consent key never grant anything and never raise."""
    reasons, _, _ = consent.parse(raw, BUNDLE.purposes, NOW)
    assert Reason.ALLOWED not in reasons


@given(st.lists(st.one_of(st.none(), st.binary(max_size=120), st.just(GOOD)), max_size=6))
def test_any_bytes_as_profiles_are_missing_or_unreadable(raws: list[bytes | None]) -> None:
    """Random bytes among good profiles never raise, never read as found, and never touch their neighbours."""
    if not raws:
        return
    profiles = unpack(SCHEMA, raws)
    for i, raw in enumerate(raws):
        wanted = ProfileState.MISSING if raw is None else ProfileState.FOUND if raw == GOOD else ProfileState.UNREADABLE
        assert profiles.state[i] == wanted
        assert np.isnan(profiles.value[i]).all() == (wanted is not ProfileState.FOUND)


@given(st.integers(0, len(GOOD) * 8 - 1))
def test_one_flipped_bit_is_never_another_schema(bit: int) -> None:
    """A flipped bit in the header makes a profile unreadable; in a value it stays a number or becomes missing, never infinite."""
    raw = bytearray(GOOD)
    raw[bit // 8] ^= 1 << (bit % 8)
    profiles = unpack(SCHEMA, [bytes(raw)])
    header_bytes = {0, 1, 2, *range(8, 16)}
    if bit // 8 in header_bytes:
        assert profiles.state[0] == ProfileState.UNREADABLE
    assert not np.isinf(profiles.value).any()


@given(st.binary(max_size=200), st.lists(st.tuples(st.sampled_from(BUNDLE.caps), st.floats(), st.floats()), max_size=5))
def test_any_contact_history_counts_or_fails_closed(noise: bytes, entries: list[Any]) -> None:
    """History of a wrong length uses up every cap; of a right length it counts what is live, whatever the rest says."""
    whole = b"".join(ENTRY.pack(cap.cap_id, b"someone!", live, until) for cap, live, until in entries)
    now = np.array([NOW])
    counts = live_counts([whole], BUNDLE.cap_ids, now)[0]
    for c, cap in enumerate(BUNDLE.caps):
        assert counts[c] == sum(other is cap and live > NOW for other, live, _ in entries)
    damaged = live_counts([whole + noise], BUNDLE.cap_ids, now)[0]
    if len(noise) % ENTRY.size:
        assert (damaged >= np.array([cap.limit for cap in BUNDLE.caps])).all()
