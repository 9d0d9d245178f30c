"""`liftgate caps show`: what counts now, in plain words and as data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.app.cli.caps import app
from liftgate.bundle.load import load_bundle
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.offer import Cap
from liftgate.domain.reason import Reason
from liftgate.domain.total_counter import BUCKET

DIRECTORY = Path(__file__).parents[1] / "cases" / "bundles" / "caps"
BUNDLE = load_bundle(DIRECTORY)
HOUR = 3_600_000.0


@pytest.fixture(scope="module")
def store() -> Iterator[EmbeddedValkey]:
    """A Valkey for these tests."""
    with EmbeddedValkey() as server:
        yield server


def said(store: EmbeddedValkey, *words: str) -> tuple[int, str]:
    """Return exit code and output."""
    result = CliRunner().invoke(app, ["show", *words, "--bundle", str(DIRECTORY), "--redis", store.url])
    return result.exit_code, result.output


def cap(offer: str, reason: Reason | None = None) -> Cap:
    """Return an offer's first cap, or the counter of a kind that holds it back alone."""
    index = BUNDLE.offer_index[offer]
    if reason is None:
        return BUNDLE.caps[BUNDLE.offer_caps[index][0]]
    return min((one for one in BUNDLE.caps if one.reason is reason and index in one.offers), key=lambda one: len(one.offers))


def put(store: EmbeddedValkey, key: bytes, value: bytes) -> None:
    """Store a value."""
    with redis.Redis(unix_socket_path=store.url.removeprefix("unix://")) as client:
        client.set(key, value)


def test_a_persons_caps_are_listed_used_or_not(store: EmbeddedValkey) -> None:
    """Used places with their ends, pauses with theirs, held places as held; a person that nobody knows has used nothing."""
    now = time.time() * 1000
    raw = ENTRY.pack(cap("daily").cap_id, b"decision", now + HOUR, now + HOUR)
    raw += ENTRY.pack(cap("soft").cap_id, b"decision", now + HOUR, now + 9 * HOUR)
    raw += ENTRY.pack(cap("tired", Reason.PAUSED).cap_id, b"\0" * 8, now + HOUR, now + HOUR)
    raw += ENTRY.pack(cap("clicked").cap_id, b"an event", now - HOUR, now - HOUR)
    put(store, redis_keys.history("c-17", False), raw)
    code, text = said(store, "--person", "c-17")
    assert code == 0
    assert "daily: at most 1 decision per day (bundle.yaml:" in text
    assert "1 of 1 used: until 20" in text
    assert "held until 20" in text
    assert ", longer once it is shown" in text
    assert "others have counted nothing (--all lists them)" in text
    assert "0 of 3 used" not in text
    assert "0 of 3 used" in said(store, "--person", "c-17", "--all")[1]
    assert "tired: paused for 30d after a dismissal" in text
    assert "paused until 20" in text
    found = json.loads(said(store, "--person", "c-17", "--json")[1])
    used = {one["name"]: one["used"] for one in found["counts"] if "used" in one}
    assert used["daily: at most 1 decision per day"] == 1
    assert used["clicked: at most 1 click per 7d"] == 0, "what has ended counts no more"
    assert "counts_as_held_out" not in found
    nobody = json.loads(said(store, "--person", "nobody", "--json")[1])
    assert not any(one.get("used") or one.get("paused_until") for one in nobody["counts"])


def test_accounts_and_totals(store: EmbeddedValkey) -> None:
    """An account's counts by its id; totals with their pace and what comes back when; ghosts apart."""
    now = time.time() * 1000
    put(store, redis_keys.account("home", False), ENTRY.pack(cap("household").cap_id, b"decision", now + HOUR, now + HOUR))
    put(store, redis_keys.account("home", True), ENTRY.pack(cap("household").cap_id, b"decision", now + HOUR, now + HOUR) * 2)
    put(store, redis_keys.total(cap("rolling").cap_id, False), BUCKET.pack(now + HOUR, 1) + BUCKET.pack(now - HOUR, 7))
    put(store, redis_keys.total(cap("rolling").cap_id, True), BUCKET.pack(now + HOUR, 4))
    found = json.loads(said(store, "--account", "home", "--json")[1])
    assert [one["used"] for one in found["counts"] if "household" in one["name"]] == [1]
    assert [one["used"] for one in found["counts_as_held_out"] if "household" in one["name"]] == [2]
    totals = {one["name"]: one for one in json.loads(said(store, "--total", "--json")[1])["counts"]}
    rolling = totals["rolling: at most 2 decisions per 7d in total"]
    assert (rolling["used"], rolling["next_back_count"], rolling["would_have_been_used_by_held_out"]) == (1, 1, 4)
    assert 1 <= totals["paced: at most 24 decisions per day in total"]["allowed_by_now"] <= 24
    assert "1 of 2 used; 1 comes back at 20" in said(store, "--total")[1]


def test_damage_is_said(store: EmbeddedValkey) -> None:
    """A damaged history reads as what it does: everything under a cap is held back."""
    put(store, redis_keys.history("broken", False), b"x" * 33)
    assert "damaged: counts as used up" in said(store, "--person", "broken")[1]


@pytest.mark.parametrize("words", [(), ("--person", "a", "--total"), ("--account", "a", "--person", "b")])
def test_whose_must_be_said_once(store: EmbeddedValkey, words: tuple[str, ...]) -> None:
    """Without whose, or with two, the command is wrong: exit code 2."""
    code, text = said(store, *words)
    assert (code, "one of --person ID, --account ID and --total" in text) == (2, True)


def test_a_store_that_is_away_is_said() -> None:
    """Exit code 1."""
    result = CliRunner().invoke(app, ["show", "--total", "--bundle", str(DIRECTORY), "--redis", "redis://127.0.0.1:1"])
    assert (result.exit_code, "did not answer" in result.output) == (1, True)
