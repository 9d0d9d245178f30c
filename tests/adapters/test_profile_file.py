"""Files of people: every kind, every kind of damage, nothing dropped without a word."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from liftgate.adapters.profile_file import MAX_LINE, Chunk, Kind, PeopleFile
from liftgate.adapters.profile_mapping import FeatureColumn, PeopleMapping, from_header
from liftgate.adapters.profile_rows import Converted, RowConverter
from liftgate.adapters.redis_profile_writer import StoredPerson
from liftgate.domain.consent import parse
from liftgate.domain.errors import BadInput
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.reason import Reason

SCHEMA = InputSchema(
    (
        Input("profile.age", InputType.INT),
        Input("profile.spend", InputType.FLOAT),
        Input("profile.member", InputType.BOOL),
        Input("profile.country", InputType.STRING, ("DE", "FR")),
        Input("profile.seen", InputType.TIMESTAMP),
    ),
    (),
)
PURPOSES = ("personalization", "email")
NAN = float("nan")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Return a function that writes a file and returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def read(path: Path, mapping: PeopleMapping | None = None, id_column: str = "id", at_s: int = 0) -> Converted:
    """Return everything in a file."""
    file = PeopleFile(path)
    converter = RowConverter(SCHEMA, mapping or from_header(path, file.columns, SCHEMA, PURPOSES, id_column), file.typed, at_s)
    everything = Converted()
    for chunk in file.chunks():
        converted = converter.convert(chunk)
        everything.people += converted.people
        everything.lines += converted.lines
        everything.rejects += converted.rejects
    return everything


def by_id(people: list[StoredPerson]) -> dict[str, list[float]]:
    """Return values by person."""
    return {person.person_id: list(person.values or ()) for person in people}


CSV = 'id,age,spend,member,country,seen\na,41,12.5,1,DE,1767225600000\n"b, jr",,,no,,2026-01-01T00:00:00Z\n\nc,5.0,1e2,TRUE,FR,\n'
JSON = (
    '{"id": "a", "age": 41, "spend": 12.5, "member": true, "country": "DE", "seen": 1767225600000}\n'
    '{"id": "b, jr", "age": null, "member": false, "seen": "2026-01-01T00:00:00Z"}\n'
    "\n"
    '{"id": "c", "age": 5.0, "spend": 100, "member": 1, "country": "FR"}\n'
)
WANT = {"a": [41.0, 12.5, 1.0, 0.0, 1767225600000.0], "b, jr": [NAN, NAN, 0.0, NAN, 1767225600000.0], "c": [5.0, 100.0, 1.0, 1.0, NAN]}


def parquet(path: Path) -> Path:
    """Write the same people as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    seen = datetime(2026, 1, 1, tzinfo=UTC)
    columns = {
        "id": ["a", "b, jr", "c"],
        "age": [41, None, 5],
        "spend": [12.5, None, 100.0],
        "member": [True, False, True],
        "country": ["DE", None, "FR"],
        "seen": [seen, seen, None],
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "semicolons", "bom", "crlf", "jsonl", "jsonl.gz", "parquet"])
def test_every_kind_of_file_holds_the_same_people(write: Callable[[str, str | bytes], Path], tmp_path: Path, kind: str) -> None:
    """CSV, JSON lines and Parquet, plain or gzipped, with any common separator, mark and line ending, give equal people."""
    paths: dict[str, Callable[[], Path]] = {
        "csv": lambda: write("p.csv", CSV),
        "csv.gz": lambda: write("p.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        "semicolons": lambda: write("p.csv", CSV.replace('"b, jr"', "b| jr").replace(",", ";").replace("b|", "b,")),
        "bom": lambda: write("p.CSV", b"\xef\xbb\xbf" + CSV.encode()),
        "crlf": lambda: write("p.csv", CSV.replace("\n", "\r\n")),
        "jsonl": lambda: write("p.jsonl", JSON),
        "jsonl.gz": lambda: write("p.ndjson.gz", gzip.compress(JSON.encode(), mtime=0)),
        "parquet": lambda: parquet(tmp_path / "p.parquet"),
    }
    everything = read(paths[kind]())
    assert everything.rejects == []
    assert by_id(everything.people).keys() == WANT.keys()
    for person_id, values in by_id(everything.people).items():
        np.testing.assert_array_equal(values, WANT[person_id])


def test_lines_are_those_of_the_file(write: Callable[[str, str | bytes], Path]) -> None:
    """Line numbers count every line of the file, blank ones and those inside quotes too."""
    path = write("p.csv", 'id,age\na,1\n\n"b\nb",x\nc,y\n')
    everything = read(path)
    assert everything.lines == [2]
    assert [(one.line, one.field, one.kind) for one in everything.rejects] == [(4, "age", Kind.NOT_A_NUMBER), (6, "age", Kind.NOT_A_NUMBER)]
    path = write("p.jsonl", '\n{"id": "a", "age": 1}\n\n{"id": "b", "age": "x"}\n')
    everything = read(path)
    assert everything.lines == [2]
    assert [(one.line, one.kind) for one in everything.rejects] == [(4, Kind.NOT_A_NUMBER)]


BAD_CSV = [
    ("x,4x,,,,", "age", Kind.NOT_A_NUMBER),
    ("x,1_0,,,,", "age", Kind.NOT_A_NUMBER),
    ("x,nan,,,,", "age", Kind.NOT_A_NUMBER),
    ("x,4.5,,,,", "age", Kind.NOT_WHOLE),
    ("x,1e300,,,,", "age", Kind.NOT_WHOLE),
    ("x,,inf,,,", "spend", Kind.NOT_A_NUMBER),
    ("x,,1e999,,,", "spend", Kind.NOT_A_NUMBER),
    ("x,,,maybe,,", "member", Kind.NOT_A_BOOL),
    ("x,,,2,,", "member", Kind.NOT_A_BOOL),
    ("x,,,,Germany,", "country", Kind.UNDECLARED_TEXT),
    ("x,,,, DE,", "country", Kind.UNDECLARED_TEXT),
    ("x,,,,,yesterday", "seen", Kind.NOT_A_TIME),
    ("x,,,,,2026-01-01T00:00:00", "seen", Kind.NOT_A_TIME),
    (",1,,,,", "id", Kind.MISSING_ID),
    ("x" * 257 + ",1,,,,", "id", Kind.BAD_ID),
    ("ü" * 129 + ",1,,,,", "id", Kind.BAD_ID),
    ("x,1,,,", "", Kind.WRONG_WIDTH),
    ("x,1,,,,,", "", Kind.WRONG_WIDTH),
    ('x,1,"a"b,,,', "", Kind.BROKEN_ROW),
]


@pytest.mark.parametrize(("row", "field", "kind"), BAD_CSV)
def test_bad_rows_of_csv(write: Callable[[str, str | bytes], Path], row: str, field: str, kind: Kind) -> None:
    """A bad row is rejected with its line, field and kind, and its neighbours are taken."""
    everything = read(write("p.csv", f"id,age,spend,member,country,seen\na,1,,,,\n{row}\nb,2,,,,\n"))
    assert [person.person_id for person in everything.people] == ["a", "b"]
    assert [(one.line, one.field, one.kind) for one in everything.rejects] == [(3, field, kind)]
    assert everything.rejects[0].wants
    assert not everything.rejects[0].wants.startswith("wants "), "the key says `wants` already"


BAD_JSON = [
    ('{"id": "x", "age": "4"}', "age", Kind.NOT_A_NUMBER),
    ('{"id": "x", "age": true}', "age", Kind.NOT_A_NUMBER),
    ('{"id": "x", "age": 4.5}', "age", Kind.NOT_WHOLE),
    ('{"id": "x", "age": [4]}', "age", Kind.NOT_A_NUMBER),
    ('{"id": "x", "member": "true"}', "member", Kind.NOT_A_BOOL),
    ('{"id": "x", "member": {}}', "member", Kind.NOT_A_BOOL),
    ('{"id": "x", "country": 1}', "country", Kind.NOT_TEXT),
    ('{"id": "x", "country": "IT"}', "country", Kind.UNDECLARED_TEXT),
    ('{"id": true}', "id", Kind.BAD_ID),
    ('{"id": 1.5}', "id", Kind.BAD_ID),
    ('{"age": 1}', "id", Kind.MISSING_ID),
    ('{"id": "x", "agee": 1}', "agee", Kind.UNKNOWN_FIELD),
    ('{"id": "x", ', "", Kind.BROKEN_ROW),
    ("[1]", "", Kind.BROKEN_ROW),
    ('{"id": "x", "age": NaN}', "", Kind.BROKEN_ROW),
]


@pytest.mark.parametrize(("row", "field", "kind"), BAD_JSON)
def test_bad_rows_of_json(write: Callable[[str, str | bytes], Path], row: str, field: str, kind: Kind) -> None:
    """JSON's values carry their own types: a wrong one is rejected, and its neighbours are taken."""
    first = '{"id": "a", "age": 1, "member": true, "country": "DE"}'
    everything = read(write("p.jsonl", f'{first}\n{row}\n{{"id": 7}}\n'))
    assert [person.person_id for person in everything.people] == ["a", "7"]
    assert [(one.line, one.field, one.kind) for one in everything.rejects] == [(2, field, kind)]


def test_an_id_that_is_not_utf8_is_rejected(write: Callable[[str, str | bytes], Path]) -> None:
    """Bytes that are no UTF-8 spoil their own row only."""
    everything = read(write("p.csv", b"id,age\na,1\n\xff\xfe,2\nb\xc3\xbc,3\nc,\xff\n"))
    assert [person.person_id for person in everything.people] == ["a", "bü"]
    assert [(one.line, one.kind) for one in everything.rejects] == [(3, Kind.BAD_ID), (5, Kind.NOT_A_NUMBER)]


def test_every_mistake_of_a_row_is_said(write: Callable[[str, str | bytes], Path]) -> None:
    """A row with several bad fields is one rejected row with a reason for each."""
    everything = read(write("p.csv", "id,age,spend\n,x,y\n"))
    assert [(one.field, one.kind) for one in everything.rejects] == [
        ("id", Kind.MISSING_ID),
        ("age", Kind.NOT_A_NUMBER),
        ("spend", Kind.NOT_A_NUMBER),
    ]


FILES: list[tuple[str, bytes, str]] = [
    ("p.csv", b"", "is empty"),
    ("p.csv.gz", gzip.compress(b"", mtime=0), "wants a header"),
    ("p.jsonl", b"\n\n", "no rows"),
    ("p.jsonl", b"", "is empty"),
    ("p.csv", b"\n\n", "wants a header"),
    ("p.csv", b"id,age,age\na,1,2\n", "`age` is there twice"),
    ("p.xlsx", b"PK", "unknown kind"),
    ("p.csv.gz", gzip.compress(b"id,age\n" + b"a,1\n" * 9000, mtime=0)[:-20], "is damaged"),
    ("p.csv.gz", b"\x1f\x8bnot gzip at all", "is damaged"),
    ("p.parquet", b"PAR1 not at all", "is no Parquet file"),
    ("p.csv", b"id,age\n" + b"x" * MAX_LINE, "is longer than"),
    ("p.jsonl", b'{"id": "a"}\n' + b" " * MAX_LINE, "is longer than"),
]


@pytest.mark.parametrize(("name", "content", "words"), FILES)
def test_files_that_are_refused(write: Callable[[str, str | bytes], Path], name: str, content: bytes, words: str) -> None:
    """An empty, torn, damaged or unknown file is refused with its name and what is wrong."""
    path = write(name, content)
    with pytest.raises(BadInput, match=words) as caught:
        for _ in PeopleFile(path).chunks():
            pass
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are refused in plain words."""
    (tmp_path / "folder.csv").mkdir()
    for name in ("missing.csv", "folder.csv", "missing.parquet"):
        with pytest.raises(BadInput, match="cannot be read"):
            PeopleFile(tmp_path / name)


def test_times_of_rows_and_features(write: Callable[[str, str | bytes], Path]) -> None:
    """`<feature>@` comes before the time given for all; without either the age is not known."""
    path = write("p.csv", "id,age,spend,age@\na,1,2,2026-01-01T00:00:00Z\nb,1,2,\nc,1,2,99\nd,1,2,soon\n")
    everything = read(path, at_s=50)
    times = {person.person_id: person.at_s for person in everything.people}
    assert times == {"a": [1767225600, 50, 50, 50, 50], "b": [50] * 5, "c": [99, 50, 50, 50, 50]}
    assert [(one.line, one.field, one.kind) for one in everything.rejects] == [(5, "age@", Kind.NOT_A_TIME)]
    assert {person.at_s for person in read(write("q.csv", "id,age\na,1\n")).people} == {0}


def test_consent_of_columns(write: Callable[[str, str | bytes], Path]) -> None:
    """`consent.<purpose>` holds statuses; an empty one is no record, an unknown one rejects the row, and none ever becomes a yes."""
    path = write("p.csv", "id,consent.personalization,consent.email\na,granted,denied\nb,,withdrawn\nc,yes,granted\nd,,\n")
    everything = read(path)
    assert [(one.line, one.kind) for one in everything.rejects] == [(4, Kind.NOT_A_STATUS)]
    reasons = {person.person_id: parse(person.consent, PURPOSES, 1)[0] for person in everything.people}
    missing = Reason.CONSENT_MISSING
    denied = Reason.CONSENT_DENIED
    assert reasons == {"a": [Reason.ALLOWED, denied], "b": [missing, denied], "d": [missing, missing]}
    assert all(person.values is None for person in everything.people), "no feature column: profiles stay as they are"


def test_many_rows_come_in_chunks(write: Callable[[str, str | bytes], Path]) -> None:
    """Chunks are bounded, in order, and count rows from 0 with bad ones included."""
    path = write("p.csv", "id,age\n" + "".join(f"p{i},{i if i % 1000 else 'x'}\n" for i in range(5000)))
    chunks: list[Chunk] = list(PeopleFile(path).chunks())
    assert [len(chunk.lines) for chunk in chunks] == [2000, 2000, 1000]
    assert [row for chunk in chunks for row in chunk.rows] == list(range(5000))
    assert chunks[-1].done == 1.0
    mapping = PeopleMapping("row:n-{row}", (FeatureColumn(0, "age"),))
    everything = read(path, mapping)
    assert len(everything.people) == 4995
    assert all(person.person_id == f"n-{(person.values or [0])[0]:.0f}" for person in everything.people)
