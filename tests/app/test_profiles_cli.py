"""`liftgate profiles`, as a person at a shell meets it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.app.cli.profiles import DEFAULT_REDIS, app
from liftgate.app.settings import Settings
from liftgate.bundle.load import load_bundle
from liftgate.pipeline.ports import Charge, Claim

BUNDLE = Path(__file__).parents[1] / "cases" / "bundles" / "golden"
GOOD = "person_id,age,country,spend,last_purchase_at,consent.personalization\n" + "".join(
    f"p{i},{20 + i % 50},{('DE', 'FR', 'NL')[i % 3]},{i / 2},2026-01-01T00:00:00Z,granted\n" for i in range(3000)
)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedValkey]:
    """A store for this module."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def url(server: EmbeddedValkey) -> str:
    """The store, empty."""
    asyncio.run(_call(server.url, ("FLUSHALL",)))
    return server.url


async def _call(url: str, *commands: tuple[bytes | str | int, ...]) -> list[Any]:
    client = connect(url, 5000)
    try:
        return await client.call(commands)
    finally:
        await client.close()


def keys(url: str) -> int:
    """Return how many keys the store holds."""
    (count,) = asyncio.run(_call(url, ("DBSIZE",)))
    return int(count)


def run(url: str, *words: str | Path) -> Result:
    """Run a command against the golden bundle."""
    return CliRunner().invoke(app, [*map(str, words), "--bundle", str(BUNDLE), "--redis", url])


@pytest.mark.parametrize("layout", ["packed", "hash"])
def test_a_good_file_is_loaded_and_shown(url: str, tmp_path: Path, layout: str) -> None:
    """Every row is stored, the exit code is 0, and `show` says in words what was in the file."""
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    result = run(url, "load", tmp_path / "p.csv.gz", "--layout", layout, "--at", "2026-01-01T00:00:00Z")
    assert result.exit_code == 0, result.output
    assert "3,000 of 3,000 people stored" in result.stdout
    assert keys(url) == 6000
    shown = run(url, "show", "p7", "--layout", layout)
    assert shown.exit_code == 0
    for words in (
        "profile.age",
        "27",
        "FR",
        "3.5",
        "days old",
        "2026-01-01T00:00:00Z",
        "personalization: granted",
        "marketing_email: no record, so no",
    ):
        assert words in shown.stdout
    document = json.loads(run(url, "show", "p7", "--layout", layout, "--json").stdout)
    assert {one["name"]: one["value"] for one in document["features"]} == {
        "profile.age": 27,
        "profile.country": "FR",
        "profile.spend": 3.5,
        "profile.last_purchase_at": "2026-01-01T00:00:00Z",
    }
    assert {one["name"]: one["stale"] for one in document["features"]}["profile.spend"], "its max_age is a day"


def test_bad_rows_are_reported_and_the_rest_is_stored(url: str, tmp_path: Path) -> None:
    """The exit code is 1; each bad row stands in the rejects file with line, field and reason; kinds are counted; good rows are stored."""
    lines = GOOD.splitlines()
    lines[10] = "bad,x,ZZ,1,,granted"
    lines[20] = "bad,1"
    lines[2500] = "p1,1,DE,1,,granted"
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    result = run(url, "load", tmp_path / "p.csv", "--rejects", tmp_path / "rejects.jsonl", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["rows"], report["stored"], report["rejected"]) == (3000, 2997, 3)
    assert report["reasons"] == {"duplicate_id": 1, "not_a_number": 1, "undeclared_text": 1, "wrong_width": 1}
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(one["line"], one["field"], one["reason"]) for one in rejects] == [
        (11, "age", "not_a_number"),
        (11, "country", "undeclared_text"),
        (21, "", "wrong_width"),
        (2501, "", "duplicate_id"),
    ]
    assert report["first_rejects"] == rejects
    assert keys(url) == 2 * 2997
    shown = json.loads(run(url, "show", "p1", "--json").stdout)
    assert shown["features"][0]["value"] == 21, "of a repeated id the first row stands"
    words = run(url, "load", tmp_path / "p.csv")
    assert "3 rows rejected: duplicate_id 1, not_a_number 1, undeclared_text 1, wrong_width 1" in words.stderr
    assert "line 11: age: not_a_number: wants a number" in words.stderr
    assert rejects[0]["wants"] == "a number", "the key says `wants` already"


def test_all_or_nothing_stores_nothing(url: str, tmp_path: Path) -> None:
    """With --all-or-nothing one bad or repeated row keeps every other out."""
    for row in ("bad,x,,,,granted\n", "p1,1,,,,granted\n"):
        (tmp_path / "p.csv").write_text(GOOD + row)
        result = run(url, "load", tmp_path / "p.csv", "--all-or-nothing")
        assert result.exit_code == 1
        assert "0 of 3,001 people stored" in result.stdout
        assert keys(url) == 0


MISUSES: list[tuple[str, bytes, tuple[str, ...], str]] = [
    ("p.csv", b"", (), "is empty"),
    ("p.csv", b"person_id,age\n", (), "holds no rows"),
    ("p.csv", b"person_id,agee\na,1\n", (), "did you mean `age`? Pass over"),
    ("p.csv", b"person_id,age,zzzzzzz\na,1,2\n", (), "no such feature. Pass over"),
    ("p.csv", b"id,age\na,1\n", (), "--id COLUMN"),
    ("p.csv", b"person_id,age\na,1\n", ("--at", "yesterday"), "--at is no ISO 8601 time"),
    ("p.csv", b"person_id,age\na,1\n", ("--mapping", "nowhere.yaml"), "cannot be read"),
    ("p.csv", b"person_id,age\na,1\n", ("--mapping", "m.yaml", "--id", "a"), "one of the two"),
    ("p.csv", b"person_id,age\na,1\n", ("--rejects", "/nonexistent/r"), "cannot be written"),
    ("p.csv.gz", gzip.compress(GOOD.encode() * 50, mtime=0)[:-9], ("--skip", "person"), "is damaged"),
    ("p.txt", b"person_id,age\na,1\n", (), "unknown kind"),
]


@pytest.mark.parametrize(("name", "content", "words", "said"), MISUSES)
def test_misuse_stores_nothing(url: str, tmp_path: Path, name: str, content: bytes, words: tuple[str, ...], said: str) -> None:
    """A file, mapping or option that is wrong ends with 2 and a clear word, before anything is stored, even far into the file."""
    (tmp_path / name).write_bytes(content)
    result = run(url, "load", tmp_path / name, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert keys(url) == 0


def test_a_store_that_is_away(tmp_path: Path) -> None:
    """Without a store both commands end with 1 and say so."""
    (tmp_path / "p.csv").write_text(GOOD)
    for words in (("load", tmp_path / "p.csv"), ("show", "p1")):
        result = run("unix:///nonexistent/socket", *words)
        assert result.exit_code == 1
        assert "the store is away" in result.stderr
    assert run("http://x", "show", "p1").exit_code == 2
    for words in (("load", tmp_path / "p.csv"), ("show", "p1")):
        embedded = run("embedded", *words)
        assert embedded.exit_code == 2
        assert "`embedded_store` log line" in embedded.stderr


def test_the_store_is_where_serve_looks_for_it(url: str, tmp_path: Path) -> None:
    """Without --redis the variable says where the store is, and without that the default is the one of `serve`."""
    assert Settings.model_fields["redis"].default.get_secret_value() == DEFAULT_REDIS
    (tmp_path / "p.csv").write_text(GOOD)
    words = ["load", str(tmp_path / "p.csv"), "--bundle", str(BUNDLE)]
    assert CliRunner().invoke(app, words, env={"LIFTGATE_REDIS": url}).exit_code == 0
    assert keys(url) == 6000


def test_show_knows_caps_and_strangers(url: str) -> None:
    """Contact history is told by the caps' names and what still counts; about a stranger there is nothing, exit code 1."""
    caps = load_bundle(BUNDLE).caps
    now = 4_000_000_000_000

    async def charge() -> None:
        client = connect(url, 5000)
        charges = (Charge(caps[0].cap_id, 9, now, now + 1000.0), Charge(b"whatever", 9, now, now))
        await RedisReservations(client, budget_ms=5000).reserve([Claim("p", False, "", b"f" * 8, b"r" * 8, charges, 1, b"", b"")])
        await client.close()

    asyncio.run(charge())
    shown = run(url, "show", "p")
    assert shown.exit_code == 0
    assert f"{caps[0].name}: reserved, counts until 2096-10-02T07:06:40Z unless" in shown.stdout
    assert "a cap that this bundle does not have" in shown.stdout
    stranger = run(url, "show", "nobody")
    assert stranger.exit_code == 1
    assert "No profile is stored" in stranger.stdout


def test_show_says_how_a_consent_came_about(url: str, tmp_path: Path) -> None:
    """What a file says of a consent beside its status is shown in words, and whole as JSON."""
    columns = [f"consent.personalization:{name}" for name in ("given_at", "withdrawn_at", "basis", "jurisdiction", "source")]
    (tmp_path / "p.csv").write_text(
        f"person_id,consent.personalization,{','.join(columns)}\nw1,withdrawn,1767225600,1767229200,consent,EU,checkout\n"
    )
    assert run(url, "load", tmp_path / "p.csv").exit_code == 0
    words = "(withdrawn, given 2026-01-01T00:00:00Z, withdrawn 2026-01-01T01:00:00Z, basis consent, jurisdiction EU, source checkout)"
    assert f"personalization: no {words}" in run(url, "show", "w1").stdout
    (one,) = [entry for entry in json.loads(run(url, "show", "w1", "--json").stdout)["consent"] if entry["record"]]
    assert one["record"]["jurisdiction"] == "EU"
    assert one["record"]["withdrawn_at_ms"] == 1_767_229_200_000


def test_what_events_keep_is_not_missed_in_a_file(url: str, tmp_path: Path) -> None:
    """A feature without a column is named as missing for everybody, unless events keep it."""
    file = tmp_path / "people.csv"
    file.write_text("person_id,age\nada,36\n", encoding="utf-8")
    folder = Path(__file__).parents[1] / "cases" / "bundles" / "features"
    done = CliRunner().invoke(app, ["load", str(file), "--bundle", str(folder), "--redis", url, "--at", "2026-01-01T00:00:00Z", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["features_not_in_file"] == ["profile.score", "profile.spend"]
