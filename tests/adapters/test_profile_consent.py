"""Consent in files of people: whole records, from columns or a mapping, and every bad value with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.adapters.profile_file import Kind
from liftgate.adapters.profile_mapping import from_header, read_mapping
from liftgate.domain.consent_record import ConsentRecord, records
from liftgate.domain.errors import BadInput
from tests.adapters.test_profile_file import PURPOSES, SCHEMA, read

FIELDS = ["given_at", "expires_at", "withdrawn_at", "basis", "jurisdiction", "source", "mechanism", "notice_version", "policy_version"]
HEADER = ",".join(["id", "consent.personalization", *(f"consent.personalization:{name}" for name in FIELDS), "consent.email"])
JANUARY = 1_767_225_600_000


def load(path: Path, text: str) -> tuple[dict[str, dict[str, ConsentRecord | None] | None], list[tuple[int, str, Kind]]]:
    """Return records by person, and rejects, of a file read by its header."""
    path.write_text(text)
    columns = tuple(text.splitlines()[0].split(","))
    found = read(path, from_header(path, columns, SCHEMA, PURPOSES, "id"))
    return {one.person_id: records(one.consent) for one in found.people}, [(one.line, one.field, one.kind) for one in found.rejects]


def test_a_whole_record_comes_from_columns(tmp_path: Path) -> None:
    """Every field is stored as it stands, times in seconds or ISO; without a status there is no record, whatever else is there."""
    rows = [
        "a,granted,2026-01-01T00:00:00Z,1798761600,1767000000,consent,EU,checkout,double-opt-in,n-7,p-2,denied",
        "b,,1767225600,,,consent,EU,,,,,",
        "c,withdrawn,,,1767225600.5,,,,,,,",
    ]
    people, rejects = load(tmp_path / "p.csv", "\n".join([HEADER, *rows]) + "\n")
    assert rejects == []
    full = people["a"]
    assert full is not None
    assert full["personalization"] == ConsentRecord(
        purpose="personalization",
        status="granted",
        given_at_ms=JANUARY,
        expires_at_ms=1_798_761_600_000,
        withdrawn_at_ms=1_767_000_000_000,
        basis="consent",
        jurisdiction="EU",
        source="checkout",
        mechanism="double-opt-in",
        notice_version="n-7",
        policy_version="p-2",
    )
    assert full["email"] == ConsentRecord(purpose="email", status="denied")
    assert people["b"] == {}
    assert people["c"] == {"personalization": ConsentRecord(purpose="personalization", status="withdrawn", withdrawn_at_ms=JANUARY + 500)}


@pytest.mark.parametrize(
    ("row", "name", "kind"),
    [
        ("x,granted,soon,,,,,,,,,", "given_at", Kind.NOT_A_TIME),
        ("x,granted,nan,,,,,,,,,", "given_at", Kind.NOT_A_TIME),
        ("x,granted,-5,,,,,,,,,", "given_at", Kind.NOT_A_TIME),
        ("x,granted,1e30,,,,,,,,,", "given_at", Kind.NOT_A_TIME),
        ("x,granted,1767225600,1767225600,,,,,,,,", "expires_at", Kind.NOT_A_TIME),
        ("x,granted,1767225600,,1767225601,,,,,,,", "withdrawn_at", Kind.NOT_A_TIME),
        ("x,granted,,,,because,,,,,,", "basis", Kind.NOT_A_BASIS),
        (f"x,granted,,,,,{'E' * 65},,,,,", "jurisdiction", Kind.BAD_TEXT),
        (f"x,granted,,,,,,{'s' * 129},,,,", "source", Kind.BAD_TEXT),
        ("x,sure,,,,,,,,,,", "", Kind.NOT_A_STATUS),
    ],
)
def test_a_bad_value_rejects_its_row(tmp_path: Path, row: str, name: str, kind: Kind) -> None:
    """A wrong time, basis or text is reported with line and column, each time it comes, and its row is left out."""
    good = "a,granted,,,,,,,,,,"
    people, rejects = load(tmp_path / "p.csv", "\n".join([HEADER, good, row, good.replace("a,", "b,"), row.replace("x,", "y,")]) + "\n")
    assert set(people) == {"a", "b"}
    column = f"consent.personalization{':' if name else ''}{name}"
    assert rejects == [(3, column, kind), (5, column, kind)]


def test_details_without_a_status_are_refused(tmp_path: Path) -> None:
    """A column of details whose status column is not there is a mistake of the file."""
    with pytest.raises(BadInput, match=r"consent.email:basis.*add its status"):
        load(tmp_path / "p.csv", "id,consent.personalization,consent.email:basis\na,granted,consent\n")


def test_a_mapping_says_where_the_evidence_is(tmp_path: Path) -> None:
    """Columns of one purpose stand before what the mapping says of every record; a constant status may have columns too."""
    (tmp_path / "p.csv").write_text("id,optin,when,form\na,1,1767225600,web\nb,0,,\n")
    (tmp_path / "m.yaml").write_text(
        "id: id\nbasis: consent\nsource: import\ngiven_at: 2025-01-01T00:00:00Z\nconsent:\n"
        '  personalization: {column: optin, granted: ["1"], given_at: when, source: form}\n'
        "  email: {status: pending, given_at: when}\n"
    )
    found = {
        one.person_id: records(one.consent) for one in read(tmp_path / "p.csv", read_mapping(tmp_path / "m.yaml", SCHEMA, PURPOSES)).people
    }
    common = {"basis": "consent", "given_at_ms": JANUARY}
    assert found["a"] == {
        "personalization": ConsentRecord(purpose="personalization", status="granted", source="web", **common),  # type: ignore[arg-type]
        "email": ConsentRecord(purpose="email", status="pending", source="import", **common),  # type: ignore[arg-type]
    }
    assert found["b"] is not None
    assert found["b"]["personalization"] == ConsentRecord(
        purpose="personalization", status="denied", basis="consent", source="import", given_at_ms=1_735_689_600_000
    )


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("basis: because", "basis"),
        (f"source: {'s' * 129}", "source"),
        ("given_at: 2027-01-01T00:00:00Z\nexpires_at: 2026-01-01T00:00:00Z", "expires_at"),
        ("mechanism: 7", "mechanism"),
    ],
)
def test_what_a_mapping_says_of_every_record_is_checked(tmp_path: Path, line: str, names: str) -> None:
    """A value that no record could hold is a mistake of the mapping, with its name."""
    path = tmp_path / "m.yaml"
    path.write_text(f"id: id\nconsent: {{email: granted}}\n{line}\n")
    with pytest.raises(BadInput, match=names):
        read_mapping(path, SCHEMA, PURPOSES)
