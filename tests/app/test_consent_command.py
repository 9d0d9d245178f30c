"""`liftgate consent` against a real server: what is set is read back, decided by on both workers, and in the audit chain."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from liftgate.app.cli.consent import app
from liftgate.client import Client
from tests.app.conftest import Serve, Served

PERSON = "ada.lovelace@example.com"
BUNDLE = Path(__file__).parents[1] / "cases" / "bundles" / "consent"


def run(server: Served, *words: str) -> Result:
    """Run a command against the server."""
    return CliRunner().invoke(app, [*words, "--target", f"127.0.0.1:{server.port}"])


def offered(server: Served, count: int = 6) -> set[tuple[str, ...]]:
    """Return what several new connections are offered, which the kernel hands to one worker or the other."""
    found = set()
    for _ in range(count):
        with Client(f"127.0.0.1:{server.port}", timeout_ms=20_000) as client:
            decision = client.decide(PERSON, "home", channel="web")
            assert decision.from_service
            found.add(tuple(offer.offer_id for offer in decision.offers))
    return found


def test_set_and_get(serve: Serve, tmp_path: Path) -> None:
    """A grant set from the shell is shown in words and as JSON, holds on every worker at once, and so does its withdrawal."""
    server = serve(wait="serving_all", workers=2, bundle=BUNDLE, models=BUNDLE)
    assert run(server, "get", "--person", PERSON).stdout == "nothing is on record\n"
    assert offered(server) == {("plain",)}
    given = ("--given-at", "2026-01-01T00:00:00Z", "--basis", "consent", "--jurisdiction", "EU", "--source", "checkout")
    done = run(server, "set", "--person", PERSON, "--purpose", "personalization", "--status", "granted", *given)
    assert done.exit_code == 0, done.output
    assert "holds from the next decision on" in done.stdout
    assert run(server, "history", PERSON).stdout.splitlines()[-1] == "1 entry, each bound to the one before: whole"
    assert offered(server) == {("personal",)}
    shown = run(server, "get", "--person", PERSON)
    assert shown.stdout == ("personalization: granted, given 2026-01-01T00:00:00Z, basis consent, jurisdiction EU, source checkout\n")
    done = run(server, "set", "--person", PERSON, "--purpose", "personalization", "--status", "withdrawn", "--json")
    assert json.loads(done.stdout) == {"person_id": PERSON, "set": {"status": "withdrawn"}}
    assert offered(server) == {("plain",)}
    document = json.loads(run(server, "get", "--person", PERSON, "--json").stdout)
    assert document["consents"]["personalization"]["status"] == "withdrawn"
    assert document["consents"]["personalization"]["withdrawn_at_ms"] > 0
    assert run(server, "history", "--person", PERSON).stdout.splitlines()[-1] == "2 entries, each bound to the one before: whole"
    assert server.end() == 0
    chained = b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file())
    assert b"personalization: withdrawn" in chained
    assert PERSON.encode() not in chained


WRONG = [
    (("--purpose", "personalization", "--status", "sure"), "--status wants one of"),
    (("--purpose", "personalization", "--status", "granted", "--given-at", "yesterday"), "--given-at"),
    (("--purpose", "personalization", "--status", "granted", "--basis", "because"), "--basis wants one of"),
    (("--purpose", "nope", "--status", "granted"), "consent.purpose: wants the name of a purpose of the bundle"),
]


def test_wrong_commands(serve: Serve) -> None:
    """A wrong value ends with exit code 2 and names its flag, or the field that the service refused."""
    server = serve(bundle=BUNDLE, models=BUNDLE)
    for words, says in WRONG:
        result = run(server, "set", "--person", PERSON, *words)
        assert result.exit_code == 2
        assert says in result.stderr


def test_nobody_there() -> None:
    """Without a service the exit code is 1 and the message says so, as JSON where JSON was asked for."""
    result = CliRunner().invoke(app, ["get", "--person", PERSON, "--target", "127.0.0.1:1", "--json"])
    assert result.exit_code == 1
    assert "nothing listens" in json.loads(result.stderr)["error"]


def test_whose_history_is_said_once() -> None:
    """`history` takes --person as `get` and `set` do, or the id alone; neither and both end with exit code 2 and say which it wants."""
    for words in ((), (PERSON, "--person", PERSON)):
        result = CliRunner().invoke(app, ["history", *words])
        assert result.exit_code == 2
        assert "say whose, once: --person ID" in result.stderr
