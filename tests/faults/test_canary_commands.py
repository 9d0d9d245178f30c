"""Promise 22 at the command line: what people's ids are typed into, or read from files, leaves none in what it says or leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.operators import token_hash
from tests.app.conftest import Served
from tests.faults import household_bundle
from tests.faults.canary_calls import Canaries
from tests.faults.written import around, contents, found

TOKEN = "lg_test-token-of-somebody-with-every-role"
KEY = "k" * 32
LIFTGATE = (sys.executable, "-m", "liftgate.app.cli.main")
SHOWS = (
    "person export",
    "profiles show",
    "lists show",
    "consent get",
    "consent set",
    "consent history",
    "caps show",
    "features show",
    "layers who",
)
"""Commands whose answer, on standard output, is about the person that they are asked about; what they say beside it is searched."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[Served, str, Path]]:
    """Give a server with two workers, its store, and the bundle."""
    operators = tmp_path / "operators.yaml"
    operators.write_text(f'operators:\n  eve:\n    roles: [admin, privacy]\n    token_sha256: "{token_hash(TOKEN)}"\n')
    for folder in ("machine", "scratch"):
        (tmp_path / folder).mkdir()
    bundle = household_bundle.write(tmp_path / "bundle")
    with EmbeddedValkey() as store:
        flags = {"redis": store.url, "operators": str(operators), "bundle": str(bundle), "log": str(tmp_path / "machine" / "log")}
        served = Served(tmp_path / "machine", str(tmp_path / "scratch"), flags | {"workers": "2"}, {"LIFTGATE_PSEUDONYM_KEY": KEY})
        try:
            served.wait_for("serving_all")
            yield served, store.url, bundle
        finally:
            served.end()


def files(folder: Path, c: Canaries) -> None:
    """Write what commands read: good lines, and bad ones with a canary where it is wrong."""
    people, calls = c.people, []
    for number, who in enumerate((people["person"], c.phone)):
        viewed = {
            "type": "track",
            "event": "Product Viewed",
            "messageId": f"kept-{number}",
            "userId": who,
            "timestamp": "2026-11-20T10:00:00Z",
        }
        calls += [
            viewed,
            viewed | {"messageId": f"kept-bad-{number}", "timestamp": c.mail},
            viewed | {"event": "Kept Name", "messageId": c.mail},
        ]
    lines = [json.dumps(call) for call in calls]
    (folder / "calls.jsonl").write_text("\n".join([*lines, f"{{ {c.fresh('no JSON')}", json.dumps([c.fresh("no call")])]))
    rows = [f"{people['person']},41", f"{c.phone},{c.fresh('no age')}", f"{c.mail},39", f"{c.mail},40"]
    (folder / "people.csv").write_text("\n".join(["id,age", *rows]))
    (folder / "blocked.txt").write_text("\n".join([people["person"], c.mail, "x" * 300 + c.fresh("id too long")]))
    (folder / "members.csv").write_text(f"person_id,account_id,visitor_id\n{people['person']},{people['account']},{people['visitor']}\n")
    (folder / "broken.csv").write_text(f"person_id,account_id\n,{people['account']}\n")


def commands(c: Canaries, log: Path, bundle: Path) -> Iterator[tuple[str, ...]]:
    """Yield what is typed. `{target}` and `{redis}` stand for where service and store are."""
    person, account = c.people["person"], c.people["account"]
    target, redis, rules = ("--target", "{target}"), ("--redis", "{redis}"), ("--bundle", str(bundle))
    units = ("--account", account, "--session", c.people["session"], "--visitor", c.people["visitor"])
    decide = (
        "decide",
        "--person",
        person,
        "--placement",
        "home",
        "--channel",
        "web",
        *units,
        "--attribute",
        f"{c.mail}={c.phone}",
        *target,
    )
    yield ("profiles", "load", "people.csv", *rules, *redis, "--id", "id", "--rejects", "rejects.jsonl")
    yield ("profiles", "show", person, *rules, *redis)
    yield ("lists", "load", "blocked", "blocked.txt", *rules, *redis)
    yield ("lists", "add", "blocked", person, c.phone, *rules, *redis)
    yield ("lists", "show", person, *redis)
    yield ("consent", "set", "--person", person, "--purpose", "personalization", "--status", "granted", "--source", c.mail, *target)
    yield ("consent", "set", "--person", person, "--purpose", c.fresh("purpose"), "--status", "granted", *target)
    yield ("consent", "get", "--person", person, *target)
    yield ("consent", "history", person, *target)
    yield (*decide, "--explain")
    yield ("decide", "--person", person, "--placement", c.fresh("placement"), "--baseline", c.fresh("baseline"), *target)
    yield ("events", "import", "calls.jsonl", "--format", "segment", "--event", "Product Viewed=product_view", *target)
    yield ("features", "show", person, *rules, *redis)
    yield ("features", "backfill", *rules, *redis, "--log", str(log))
    yield ("caps", "show", "--person", person, "--account", account, *rules, *redis)
    yield ("layers", "who", str(bundle), person, *units)
    yield ("explain", c.fresh("decision id"), "--log", str(log))
    yield ("log", "cat", str(log))
    yield ("log", "units", str(log), "members.csv", *redis)
    yield ("log", "units", str(log), "broken.csv", *redis)
    yield ("person", "export", person, *redis, "--log", str(log), *rules)
    yield ("person", "erase", person, "--yes", "--reason", f"asked by {c.mail}", *target)
    yield ("person", "erase", person, "--account", account, "--yes", "--reason", "kept-ticket", *target)
    yield ("profiles", "load", "people.csv", *rules, *redis, "--id", "id", "--rejects", "again.jsonl")
    yield ("audit", "cat", str(log))
    yield ("log", "seal", str(log))


def test_no_command_says_or_leaves_a_canary(machine: tuple[Served, str, Path], tmp_path: Path) -> None:
    """Outputs, files of rejects, temporary files and the service's own files hold none; a load after the erasure leaves the person out."""
    server, url, bundle = machine
    folder, canaries = tmp_path / "desk", Canaries()
    for each in (folder, folder / "out", folder / "tmp"):
        each.mkdir()
    files(folder, canaries)
    places = {"{target}": f"127.0.0.1:{server.port}", "{redis}": url}
    own = {"LIFTGATE_TOKEN": TOKEN, "LIFTGATE_PSEUDONYM_KEY": KEY, "TMPDIR": str(folder / "tmp")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIFTGATE_")} | own
    said: dict[str, bytes] = {}
    for number, typed in enumerate(commands(canaries, tmp_path / "machine" / "log", bundle)):
        run = subprocess.run([*LIFTGATE, *(places.get(word, word) for word in typed)], capture_output=True, cwd=folder, env=environment)
        assert run.returncode in (0, 1, 2), run.stderr
        assert b"Traceback" not in run.stderr
        said[f"{number} {' '.join(typed[:2])}"] = run.stderr + (b"" if " ".join(typed[:2]) in SHOWS else run.stdout)
    loads = [text for name, text in said.items() if name.endswith("profiles load")]
    assert b"2 of 4 people stored" in loads[0]
    assert b"1 left out: erased" in loads[1]
    assert b"1 of 4 people stored" in loads[1]
    (imported,) = [text for name, text in said.items() if name.endswith("events import")]
    assert b"2 accepted" in imported
    joined, refused = (text for name, text in said.items() if name.endswith("log units"))
    assert b"2 units under 4 pseudonyms" in joined
    assert b"line 2 wants a person_id" in refused
    kept = [folder / name for name in ("rejects.jsonl", "again.jsonl")]
    assert all(path.exists() for path in kept), "the control arm: files of rejects are there"
    written = contents(tmp_path / "machine", tmp_path / "scratch", folder / "tmp")
    assert b"kept-ticket" in written, "the control arm: what is kept is where this looks"
    searched = said | {path.name: path.read_bytes() for path in kept} | {"what the service wrote": written}
    leaks = [
        f"{where}: {value} as {how}: {around(value, text)}"
        for where, text in searched.items()
        for value, how in found(canaries.where, text)
    ]
    assert leaks == [], "\n".join(leaks)
