"""Mappings: what they mean, and how every mistake in one is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.adapters.profile_file import Kind
from liftgate.adapters.profile_mapping import ConsentColumn, PeopleMapping, from_header, read_mapping
from liftgate.domain.consent import parse
from liftgate.domain.errors import BadInput
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.reason import Reason
from tests.adapters.test_profile_file import PURPOSES, SCHEMA, read

GOOD = """\
id: customer
at: exported
missing: ["NA", "?"]
features:
  age: years
  country: {column: land, values: {Deutschland: DE, Frankreich: FR}, undeclared: other}
  member: {column: club, values: {"J": true, "N": false}}
  spend: {constant: 7.5}
consent:
  personalization: granted
  email: {column: optin, granted: ["1", "yes"], denied: ["0"]}
policy_version: "2026-05"
given_at: 2026-01-01T00:00:00Z
expires_at: 2026-07-01T00:00:00Z
"""
DATA = """\
customer,exported,years,land,club,optin,unused
a,100,41,Deutschland,J,1,x
b,,NA,Spanien,N,0,x
c,300,?,FR,,,x
d,400,5,DE,J,maybe,x
"""


def write(folder: Path, text: str) -> Path:
    """Write a mapping."""
    path = folder / "mapping.yaml"
    path.write_text(text)
    return path


def test_a_mapping_says_what_is_what(tmp_path: Path) -> None:
    """Columns, constants, meanings of texts, what is missing, times, consent and its dates come out as written."""
    (tmp_path / "p.csv").write_text(DATA)
    everything = read(tmp_path / "p.csv", read_mapping(write(tmp_path, GOOD), SCHEMA, PURPOSES))
    people = {person.person_id: person for person in everything.people}
    assert [str(value) for value in people["a"].values or ()] == ["41.0", "7.5", "1.0", "0.0", "nan"]
    assert [str(value) for value in people["b"].values or ()] == ["nan", "7.5", "0.0", "-1.0", "nan"]
    assert [str(value) for value in people["c"].values or ()] == ["nan", "7.5", "nan", "1.0", "nan"]
    assert [people[name].at_s for name in "abc"] == [100, 0, 300]
    in_may = 1_777_600_000_000
    reasons = {name: parse(person.consent, PURPOSES, in_may) for name, person in people.items()}
    assert reasons["a"] == ([Reason.ALLOWED, Reason.ALLOWED], [1782864000000.0, 1782864000000.0], "2026-05")
    assert reasons["b"][0] == [Reason.ALLOWED, Reason.CONSENT_DENIED]
    assert reasons["c"][0] == [Reason.ALLOWED, Reason.CONSENT_MISSING]
    assert b'"policy_version":"2026-05"' in (people["a"].consent or b"")
    assert [(one.line, one.field, one.kind) for one in everything.rejects] == [(5, "optin", Kind.NOT_A_STATUS)]


def test_what_is_not_granted_is_denied(tmp_path: Path) -> None:
    """With `granted` alone every other text is a no."""
    (tmp_path / "p.csv").write_text("id,optin\na,1\nb,2\nc,yes\n")
    mapping = PeopleMapping("id", (), (ConsentColumn("email", "optin", "", frozenset({"1"})),))
    everything = read(tmp_path / "p.csv", mapping)
    reasons = [parse(person.consent, ["email"], 1)[0][0] for person in everything.people]
    assert reasons == [Reason.ALLOWED, Reason.CONSENT_DENIED, Reason.CONSENT_DENIED]


BAD = [
    ("", "holds no mapping"),
    ("features: {age: years}\n", "wants the column of the person's id"),
    ("id: 5\nfeatures: {age: years}\n", "wants the column of the person's id"),
    ("id: row:nothing\nfeatures: {age: years}\n", "{row}"),
    ("id: a\nfeaturs: {age: years}\n", "did you mean `features`?"),
    ("id: a\nfeatures: {agee: years}\n", "did you mean `age`?"),
    ("id: a\nfeatures: [age]\n", "wants a mapping"),
    ("id: a\nfeatures: {age: 5}\n", "wants a column or a constant"),
    ("id: a\nfeatures: {age: {column: a, constant: 5}}\n", "wants a column or a constant"),
    ("id: a\nfeatures: {age: {column: a, value: {x: 1}}}\n", "did you mean `values`?"),
    ("id: a\nfeatures: {age: {column: a, values: [x]}}\n", "from text to value"),
    ("id: a\nfeatures: {age: {constant: old}}\n", "wrong type"),
    ("id: a\nfeatures: {country: {constant: IT}}\n", "no declared value"),
    ("id: a\nfeatures: {country: {column: a, undeclared: drop}}\n", "undeclared"),
    ("id: a\nconsent: {mail: granted}\n", "no purpose"),
    ("id: a\nconsent: {email: yes}\n", "wants a status or a column"),
    ("id: a\nconsent: {email: {column: a, granted: [1]}}\n", "list of texts"),
    ('id: a\nconsent: {email: {column: a, denied: ["0"]}}\n', "without `granted`"),
    ('id: a\nconsent: {email: {column: a, granted: ["1"], denied: ["1"]}}\n', "both granted and denied"),
    ("id: a\nfeatures: {age: b}\ngiven_at: yesterday\n", "no ISO 8601 time"),
    ("id: a\nfeatures: {age: b}\nfeatures: {age: c}\n", "written twice"),
    ("id: a\n", "neither features nor consent"),
    ("id: a\n  b: [", "not YAML"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_mistakes_are_said_with_file_line_and_mend(tmp_path: Path, text: str, words: str) -> None:
    """Every mistake names file and line, what is wrong, and what to write instead."""
    path = write(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        read_mapping(path, SCHEMA, PURPOSES)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Two mistakes are said together, each with its own line."""
    path = write(tmp_path, "id: a\nfeatures:\n  agee: x\nconsent:\n  mail: granted\n")
    with pytest.raises(BadInput) as caught:
        read_mapping(path, SCHEMA, PURPOSES)
    assert f"{path}:3:" in str(caught.value)
    assert f"{path}:5:" in str(caught.value)


def test_a_missing_mapping(tmp_path: Path) -> None:
    """A mapping that is not there is refused by name."""
    with pytest.raises(BadInput, match=r"mapping\.yaml: cannot be read"):
        read_mapping(tmp_path / "mapping.yaml", SCHEMA, PURPOSES)


def test_a_mapped_column_must_be_there(tmp_path: Path) -> None:
    """A column that the mapping names and the file lacks is refused, with the nearest one that it has."""
    mapping = read_mapping(write(tmp_path, GOOD), SCHEMA, PURPOSES)
    mapping.check(tmp_path, ("customer", "exported", "years", "land", "club", "optin", "more"))
    with pytest.raises(BadInput, match="no column `years`; did you mean `year`"):
        mapping.check(tmp_path, ("customer", "exported", "year", "land", "club", "optin"))


HEADERS = [
    (("age",), "", "no column `person_id`"),
    (("age",), "customer", "no column `customer`"),
    (("id", "agee"), "id", "`agee`: did you mean `age`"),
    (("id", "consent.mail"), "id", "unknown columns"),
    (("id", "age", "spare@"), "id", "unknown columns"),
    (("id",), "id", "no column is named like a feature"),
]


@pytest.mark.parametrize(("columns", "id_column", "words"), HEADERS)
def test_headers_that_are_refused(columns: tuple[str, ...], id_column: str, words: str) -> None:
    """Without a mapping a column that means nothing is refused: it may be a feature misspelt."""
    with pytest.raises(BadInput, match=words):
        from_header(Path("p.csv"), columns, SCHEMA, PURPOSES, id_column)


def test_columns_can_be_passed_over() -> None:
    """A skipped column is not read, even where it is named like a feature."""
    mapping = from_header(Path("p.csv"), ("person_id", "age", "spend", "note"), SCHEMA, PURPOSES, skipped=("note", "spend"))
    assert mapping.columns == {"person_id", "age"}


DOCS = Path(__file__).parents[2] / "docs" / "profiles.md"


def test_the_mapping_in_the_docs_is_one(tmp_path: Path) -> None:
    """The example of docs/profiles.md is read without a mistake and means what it says there."""
    example = DOCS.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    features = {
        "age": InputType.INT,
        "country": InputType.STRING,
        "member": InputType.BOOL,
        "views_1h": InputType.INT,
        "source": InputType.STRING,
    }
    columns = tuple(
        Input(f"profile.{name}", kind, ("DE", "FR", "import") if kind is InputType.STRING else ()) for name, kind in features.items()
    )
    mapping = read_mapping(write(tmp_path, example), InputSchema(columns, ()), ("personalization", "marketing_email"))
    assert mapping.columns == {"customer", "exported_at", "years", "land", "club", "views", "views_at", "optin"}
    assert mapping.consent[1].denied == frozenset({"0"})


def test_every_reason_is_in_the_docs() -> None:
    """docs/profiles.md explains every reason that a row can be rejected for."""
    text = DOCS.read_text(encoding="utf-8")
    assert [kind.value for kind in Kind if f"`{kind.value}`" not in text] == []
