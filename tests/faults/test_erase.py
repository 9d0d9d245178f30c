"""Promise 17: after an erasure nothing that the system ever wrote leads to the person, a restored backup included.

A real server decides, takes events and consent; then every byte of its store, its log, its Parquet, its audit chain and its output is read.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters import redis_erasure, redis_keys
from liftgate.adapters.consent_client import ConsentClient
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.operators import token_hash
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.app.keys import hashed_ids
from liftgate.client import Client, Event
from liftgate.domain.bucketing import Salt
from liftgate.domain.consent_record import ConsentRecord
from liftgate.domain.contact_history import reservation_of
from liftgate.record.parquet import read_log
from tests.app.conftest import Served
from tests.faults import household_bundle
from tests.faults.sealing import LIFTGATE, seal
from tests.faults.stored import everything, own_keys, put_back, readable
from tests.faults.written import contents, found, hashed

PERSON, OTHER = "ada.lovelace@example.com", "bob@example.com"
ACCOUNT, VISITOR = "acc-ada-4711", "browser-ada-4711"
"""Both people's: they live together and use one browser."""
SESSION = "session-ada-4711"
TOKEN = "lg_test-token-of-the-privacy-office"
KEY = b"k" * 32
UNITS = {"account": ACCOUNT, "session": SESSION, "visitor": VISITOR}
COLUMNS = [f"{kind}_pseudonym" for kind in ("person", *UNITS)]


@pytest.fixture
def operators(tmp_path: Path) -> Path:
    """A file that knows one operator, who may erase."""
    path = tmp_path / "operators.yaml"
    path.write_text(f'operators:\n  eve:\n    roles: [privacy]\n    token_sha256: "{token_hash(TOKEN)}"\n')
    return path


@pytest.fixture
def store() -> Iterator[EmbeddedValkey]:
    """A store of this test's own."""
    with EmbeddedValkey() as store:
        yield store


def serve(directory: Path, scratch: Path, operators: Path, url: str) -> Served:
    """Start a server on a store."""
    directory.mkdir(exist_ok=True)
    flags = {"redis": url, "operators": str(operators), "bundle": str(directory.parent / "bundle"), "metrics-port": "0"}
    flags["log"] = str(directory / "log")
    return Served(directory, str(scratch), flags, {"LIFTGATE_PSEUDONYM_KEY": KEY.decode()})


def live_a_little(port: int) -> dict[str, set[str]]:
    """Let two people be decided about, agree, and do things; return the ids of what was decided and told, by person."""
    target, made = f"127.0.0.1:{port}", dict[str, set[str]]()
    with ConsentClient(target, "") as consents:
        for person in (PERSON, OTHER):
            for status in ("denied", "granted"):
                consents.set(person, ConsentRecord(purpose="personalization", status=status, source="checkout"))
    with Client(target, timeout_ms=20_000) as client:
        for person in (PERSON, OTHER):
            made[person] = do(client, person, "before")
    return made


def do(client: Client, person: str, when: str) -> set[str]:
    """Have five decisions and clicks of a person, and return their ids."""
    session, named = SESSION if person == PERSON else "session-of-bob", [f"{when}-{i}-of-{person[:3]}" for i in range(5)]
    decided = [
        client.decide(
            person, "home", channel="web", request_id=name, account_id=ACCOUNT, visitor_id=VISITOR, session_id=session
        ).decision_id
        for name in named
    ]
    clicks = [Event("click", person, decision_id=one, event_id=f"click-{one}", account_id=ACCOUNT) for one in decided]
    assert client.record(clicks).accepted == 5
    return {*decided, *(click.event_id for click in clicks)}


async def nameable(url: str) -> set[bytes]:
    """Return everything that all secrets of all servers make of the ids: the log's key, and every person's key that the store still has."""
    keys = await own_keys(url)
    people, units = Pseudonyms.of_people(KEY), Pseudonyms.of_peoples_units(KEY)
    found = set()
    for one in (PERSON, *UNITS.values()):
        found |= {Pseudonyms("", KEY)(one), Pseudonyms.of_accounts("", KEY)(one), hashed_ids(KEY)(one), people(one)}
        found |= {Pseudonyms.of_units(kind, "", KEY)(one) for kind in UNITS} | {maker(one) for maker in units.values()}
        found |= {maker.under(key, one) for key in (*keys, b"", bytes(16)) for maker in (people, *units.values())}
        found |= {made for digest in hashed(one).values() for made in (digest, digest[:16])}
    return found


def rows(log: Path) -> list[dict[str, Any]]:
    """Return all rows, of decisions and events."""
    return [row for stream in ("decision", "event") for row in read_log(log, stream)]


def of(rows: list[dict[str, Any]], ids: set[str]) -> list[dict[str, Any]]:
    """Return the rows of what somebody did."""
    found = [row for row in rows if row.get("event_id", row["decision_id"]) in ids]
    assert len(found) == len(ids)
    return found


def pseudonyms(rows: list[dict[str, Any]]) -> set[bytes]:
    """Return whatever stands for somebody in rows."""
    return {row[column] for row in rows for column in COLUMNS if row.get(column)}


def drawn_by(row: dict[str, Any], who: str) -> bool:
    """Say whether a decision's draw is that of a name: whoever knows the name could tell the row by it."""
    salt = Salt("select", row["bundle"], row["placement_id"], "0")
    return bool(salt.uniform(who, row["request_id"]) == row["draws"][0])


def test_nothing_leads_to_an_erased_person(tmp_path: Path, operators: Path, store: EmbeddedValkey) -> None:
    """The ids are in no byte; no secret of any server makes a pseudonym of a row again, of the person or of what they share with somebody
    who stays; nothing that stays leads to their rows; others are untouched; and a restored backup forgets."""
    household_bundle.write(tmp_path / "bundle")
    server = serve(tmp_path / "machine", tmp_path, operators, store.url)
    log = tmp_path / "machine" / "log"
    try:
        server.wait_for("serving")
        lived = live_a_little(server.port)
        backup = asyncio.run(everything(store.url))
        copied = shutil.copytree(log, tmp_path / "backup of the log")
        assert any(PERSON.encode() in key for key in backup), "the control arm: before, it is there"
        before = of(rows(log), lived[PERSON])
        could = asyncio.run(nameable(store.url))
        assert len(pseudonyms(before)) == 4
        assert pseudonyms(before) <= could, "the control arm: before, every pseudonym of theirs can be told"
        decisions = [row for row in before if "draws" in row]
        assert all(drawn_by(row, row["person_pseudonym"].hex()) for row in decisions), "the control arm: this is how draws are made"
        ids, keys = [row["decision_id"] for row in decisions], asyncio.run(own_keys(store.url))
        held = asyncio.run(readable(store.url))
        assert all(any(reservation_of(one, key) in held for key in keys) for one in ids), "the control arm: histories know decisions so"

        # An access request shows what there is.
        export = [*LIFTGATE, "person", "export", PERSON, "--redis", store.url, "--log", str(log), "--bundle", str(tmp_path / "bundle")]
        asked = subprocess.run(export, capture_output=True, check=True, env=os.environ | {"LIFTGATE_PSEUDONYM_KEY": KEY.decode()})
        shown = json.loads(asked.stdout)
        assert (len(shown["decisions"]), len(shown["events"])) == (5, 5)
        assert [entry["consent"]["status"] for entry in shown["stored"]["consent_history"]] == ["denied", "granted"]
        assert len(shown["stored"]["events_seen"]) == 5
        assert all(one["slots"] for one in shown["stored"]["remembered_answers"].values())
        assert OTHER not in asked.stdout.decode()
        others = {key: value for key, value in backup.items() if OTHER.encode() in key or ACCOUNT.encode() in key}
        assert any(ACCOUNT.encode() in key for key in others), "the control arm: the account has a history of its own"
        erased = subprocess.run(
            [*LIFTGATE, "person", "erase", PERSON, "--yes", "--json", "--reason", "ticket 4711"],
            capture_output=True,
            check=True,
            env=os.environ | {"LIFTGATE_TOKEN": TOKEN, "LIFTGATE_TARGET": f"127.0.0.1:{server.port}"},
        )
        receipt = json.loads(erased.stdout)
        assert receipt["removed"] >= 10
        left = asyncio.run(everything(store.url))
        assert {key for key in left if OTHER.encode() in key or ACCOUNT.encode() in key} == set(others)
        assert {key: left[key] for key in others if key.endswith((b"}:c", b"}:l", b"}:k", b"}:h"))} == {
            key: value for key, value in others.items() if key.endswith((b"}:c", b"}:l", b"}:k", b"}:h"))
        }
        stays = asyncio.run(readable(store.url))
        tails = {reservation_of(one, key) for one in ids for key in (None, *asyncio.run(own_keys(store.url)))}
        for trace in (PERSON.encode(), SESSION.encode(), VISITOR.encode(), *tails):
            assert trace not in stays

        # What happened before and is told now is not taken; neither does it bring the person back.
        with Client(f"127.0.0.1:{server.port}", timeout_ms=20_000) as client:
            told = client.record([Event("click", PERSON, event_id="late", occurred_at_ms=1_700_000_000_000), Event("click", OTHER)])
            assert (told.accepted, [one.field for one in told.rejections]) == (1, ["occurred_at_ms"])
            assert not [key for key in asyncio.run(everything(store.url)) if PERSON.encode() in key]
            after = do(client, OTHER, "after")

        # A backup from before is put back under the running server, which makes it forget again.
        asyncio.run(put_back(store.url, backup))
        server.wait_for("erased_again")
        restored = asyncio.run(readable(store.url))
        for trace in (PERSON.encode(), SESSION.encode(), VISITOR.encode(), *tails):
            assert trace not in restored
        assert {key for key in asyncio.run(everything(store.url)) if OTHER.encode() in key} == {
            key for key in others if OTHER.encode() in key
        }
    finally:
        server.end()
    # And before a start, too.
    asyncio.run(put_back(store.url, backup))
    again = serve(tmp_path / "machine", tmp_path, operators, store.url)
    try:
        again.wait_for("serving")
        assert PERSON.encode() not in asyncio.run(readable(store.url))
    finally:
        again.end()

    seal(log)
    assert list(log.glob("*.parquet"))
    can = asyncio.run(nameable(store.url))
    for place in (log, copied):
        theirs, other = of(rows(place), lived[PERSON]), of(rows(place), lived[OTHER])
        assert repr(theirs) == repr(of(rows(copied), lived[PERSON])), "no row was changed"
        assert not pseudonyms(theirs) & can
        assert not pseudonyms(theirs) & pseudonyms(other), "what they shared is no bridge from one to the other"
        names = (PERSON, *UNITS.values(), *(one.hex() for one in can))
        assert not [row for row in theirs if "draws" in row and any(drawn_by(row, name) for name in names)]
    stayed = of(rows(log), lived[OTHER] | after)
    assert len({row["account_pseudonym"] for row in stayed}) == 1, "who stays is joined with their account as before"
    everywhere = contents(tmp_path / "machine", copied)
    assert found((PERSON, *UNITS.values()), everywhere) == []
    for pseudonym in can - pseudonyms(stayed) - {hashed_ids(KEY)(PERSON)}:
        assert pseudonym not in everywhere
        assert pseudonym.hex().encode() not in everywhere
    assert f"erasure:{receipt['receipt']}".encode() in everywhere, "the act is in the audit chain"
    shutil.rmtree(tmp_path / "machine")


@pytest.mark.parametrize("forgotten", [b"p", b"c", b"k", b"w", b"l"])
def test_a_kind_of_key_that_is_forgotten_is_found(store: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch, forgotten: bytes) -> None:
    """The control arm: an erasure that leaves out one kind of key, and looks for no others, leaves the id where this test sees it."""

    async def run() -> dict[bytes, bytes]:
        client = connect(store.url, 5000)
        try:
            await client.call([("SET", redis_keys.tag(PERSON) + name, b"x") for name in redis_keys.OWN], 5.0)
            erasure = RedisErasure(client, Pseudonyms("", KEY), settle_s=0.0)
            await erasure.erase(PERSON, "", 1, lambda: 5.0)
        finally:
            await client.close()
        return await everything(store.url)

    assert not [key for key in asyncio.run(run()) if PERSON.encode() in key]
    monkeypatch.setattr(redis_keys, "OWN", tuple(name for name in redis_keys.OWN if name != forgotten))
    monkeypatch.setattr(redis_erasure, "_literal", lambda text: b"nothing-like-it")
    keys = redis_keys.OWN

    async def forgetful() -> dict[bytes, bytes]:
        client = connect(store.url, 5000)
        try:
            await client.call([("SET", redis_keys.tag(PERSON) + name, b"x") for name in (*keys, forgotten)], 5.0)
            await RedisErasure(client, Pseudonyms("", KEY), settle_s=0.0).erase(PERSON, "", 1, lambda: 5.0)
        finally:
            await client.close()
        return await everything(store.url)

    assert [key for key in asyncio.run(forgetful()) if PERSON.encode() in key] == [redis_keys.tag(PERSON) + forgotten]
