"""`liftgate lists`, as a person at a shell meets it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.app.cli.lists import app

BUNDLE = Path(__file__).parents[1] / "cases" / "bundles" / "suppression"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedValkey]:
    """A store for this module."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def url(server: EmbeddedValkey) -> str:
    """The store, empty."""

    async def empty() -> None:
        client = connect(server.url, 5000)
        await client.call([("FLUSHALL",)])
        await client.close()

    asyncio.run(empty())
    return server.url


def run(url: str, *words: str | Path) -> Result:
    """Run a command against the bundle that declares lists."""
    bundle = [] if words[0] == "show" else ["--bundle", str(BUNDLE)]
    return CliRunner().invoke(app, [*map(str, words), *bundle, "--redis", url])


def test_people_go_on_a_list_and_off_again(url: str) -> None:
    """Added people are shown on the list, removed ones on none; the counts say what changed."""
    assert "2 added to no-email, 0 were on it already" in run(url, "add", "no-email", "ada", "bob").stdout
    assert "0 added to no-email, 1 were on it already" in run(url, "add", "no-email", "ada").stdout
    run(url, "add", "no-credit", "ada")
    assert run(url, "show", "ada").stdout.split() == ["no-credit", "no-email"]
    assert "1 taken off no-email, 1 were not on it" in run(url, "remove", "no-email", "ada", "carl").stdout
    assert json.loads(run(url, "show", "ada", "--json").stdout) == {"readable": True, "lists": ["no-credit"]}
    assert run(url, "show", "carl").stdout.strip() == "on no list"


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_a_file_is_loaded_and_bad_lines_are_named(url: str, tmp_path: Path, suffix: str) -> None:
    """Good lines are stored, bad ones reported with their numbers and without the ids; the exit code says that some were bad."""
    ids = [f"person-{i}".encode() for i in range(12_000)]
    raw = b"\n".join([b"\xef\xbb\xbffirst", b"", *ids, b"\xff\xfe", b"x" * 257, b" padded", b"person-7", b"tab\there"]) + b"\r\n"
    file = tmp_path / f"people{suffix}"
    file.write_bytes(gzip.compress(raw) if suffix.endswith(".gz") else raw)
    done = run(url, "load", "no-email", file, "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["added"], told["already_on_it"]) == (12_001, 0)
    assert [line["line"] for line in told["bad_lines"]] == [12_003, 12_004, 12_005, 12_006, 12_007]
    assert "line 10" in told["bad_lines"][3]["wants"]
    assert "padded" not in done.stdout
    assert run(url, "show", "first").stdout.strip() == run(url, "show", "person-11999").stdout.strip() == "no-email"
    again = run(url, "load", "no-email", file)
    assert "0 added to no-email, 12,001 were on it already" in again.stdout


def test_all_or_nothing_stores_nothing(url: str, tmp_path: Path) -> None:
    """With one bad line nobody is added."""
    file = tmp_path / "people.txt"
    file.write_bytes(b"ada\n\xff\n")
    assert run(url, "load", "no-email", file, "--all-or-nothing").exit_code == 1
    assert run(url, "show", "ada").stdout.strip() == "on no list"


def test_a_list_that_the_bundle_does_not_declare_is_refused(url: str, tmp_path: Path) -> None:
    """A slip of the pen puts nobody on a list that holds nothing back."""
    done = run(url, "add", "no-emial", "ada")
    assert done.exit_code == 2
    assert "did you mean `no-email`?" in done.output
    (tmp_path / "empty.txt").write_bytes(b"\n")
    assert run(url, "load", "no-email", tmp_path / "empty.txt").exit_code == 2
    assert run(url, "load", "no-email", tmp_path / "absent.txt").exit_code == 2


def test_a_store_that_is_away_is_said(tmp_path: Path) -> None:
    """Nothing listens: exit code 1 and the mend."""
    done = run("unix://" + str(tmp_path / "nobody.sock"), "show", "ada")
    assert done.exit_code == 1
    assert "the store is away" in done.output
