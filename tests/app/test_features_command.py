"""`liftgate features`: what was made from the log is what events made, and what a person sees of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.memory_contacts import MemoryContactEvents
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.redis_backfill import RedisBackfill
from liftgate.adapters.redis_client import Command, connect
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.adapters.system import SystemClock
from liftgate.app.cli.features import app
from liftgate.app.keys import hashed_ids
from liftgate.bundle.load import load_bundle
from liftgate.domain import consent
from liftgate.pipeline.live import Live
from liftgate.v1.event_service_pb2 import Event, EventKind
from tests.adapters.event_desk import event_desk
from tests.fakes.events import FakeEventsSeen

BUNDLE = Path(__file__).parents[1] / "cases" / "bundles" / "features"
LOADED = load_bundle(BUNDLE)
LIVE = Live(LOADED, OnnxModels.load(LOADED))
PEOPLE = [f"p{i}" for i in range(12)]
HOUR = 3_600_000
GRANTED = consent.document({"personalization": {"status": "granted"}})


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedValkey]:
    """A store for this module."""
    with EmbeddedValkey() as server:
        yield server


def on(url: str, *commands: Command) -> list[Any]:
    """Run commands."""

    async def call() -> list[Any]:
        client = connect(url, 5000)
        try:
            return await client.call(commands, 5.0)
        finally:
            await client.close()

    return asyncio.run(call())


@pytest.fixture
def url(server: EmbeddedValkey) -> str:
    """The store: everyone agrees to the use of the profile, but p0, who is silent, and p1, who agreed an hour ago."""
    documents = dict.fromkeys(PEOPLE[1:], GRANTED)
    given = SystemClock().now_ms() - HOUR
    documents["p1"] = consent.document({"personalization": {"status": "granted", "given_at_ms": given}})
    on(server.url, ("FLUSHALL",), *(("SET", redis_keys.consent(person), raw) for person, raw in documents.items()))
    return server.url


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An event log of everybody, and the key of its pseudonyms beside it."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "pseudonym.key").write_bytes(b"k" * 32)
    return tmp_path / "log"


async def told(log: Path) -> MemoryContactEvents:
    """Tell a service 600 events; return what they made of everybody's features."""
    seen, contacts = FakeEventsSeen(), MemoryContactEvents({}, {}, {})
    seen.consent |= dict.fromkeys(PEOPLE, GRANTED)
    now_ms, dice = SystemClock().now_ms(), random.Random(3)
    async with event_desk(log, LIVE, seen, now_ms - 4 * HOUR, contacts) as desk:
        for batch in range(12):
            desk.clock.ms = now_ms - 4 * HOUR + batch * 10 * 60_000
            events = []
            for i in range(50):
                kind = dice.choice([EventKind.EVENT_KIND_CUSTOM, EventKind.EVENT_KIND_CLICK, EventKind.EVENT_KIND_EXPOSURE])
                person = dice.choice(PEOPLE)
                event = Event(
                    event_id=f"{person}-{batch}-{i}", kind=kind, person_id=person, occurred_at_ms=desk.clock.ms - dice.randrange(HOUR)
                )
                if kind == EventKind.EVENT_KIND_CUSTOM:
                    event.name = "product_view"
                    event.properties["category"].string_value = dice.choice(["shoes", "hats", "else"])
                events.append(event)
            await desk.record(*events)
    return contacts


def run(*words: str | Path) -> Result:
    """Run a command on the bundle."""
    return CliRunner().invoke(app, [*map(str, words), "--bundle", str(BUNDLE)])


def values(states: list[bytes | None], now_ms: int) -> Any:
    """Return everybody's features."""
    assert LIVE.evaluation is not None
    return LIVE.evaluation(states, np.full(len(states), now_ms)).value


def test_a_backfill_is_what_events_made(url: str, log: Path) -> None:
    """Everybody's features from the log equal the ones that events made; nobody has any who does not agree, or from before they did."""
    contacts = asyncio.run(told(log))
    result = run("backfill", "--log", log, "--redis", url, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["people"], found["written"], found["strangers"], found["events"]) == (11, 10, 1, 600)
    now_ms = SystemClock().now_ms()
    states = on(url, *(("GET", redis_keys.windows(person)) for person in PEOPLE))
    assert states[:2] == [None, None]
    np.testing.assert_array_equal(values(states[2:], now_ms), values([contacts.features[person] for person in PEOPLE[2:]], now_ms))
    lives = on(url, ("PTTL", redis_keys.windows("p2")))[0]
    assert 90 * 24 * HOUR < lives < 92 * 24 * HOUR


def test_a_backfill_brings_nobody_back(url: str, log: Path) -> None:
    """Who was erased is left out and counted, although somebody has loaded their consent again."""
    asyncio.run(told(log))

    async def erase() -> None:
        client = connect(url, 5000)
        try:
            await RedisErasure(client, hashed_ids(b"k" * 32), settle_s=0.0).erase("p3", "", SystemClock().now_ms(), lambda: 5.0)
            await client.call([("SET", redis_keys.consent("p3"), GRANTED)])
        finally:
            await client.close()

    asyncio.run(erase())
    result = run("backfill", "--log", log, "--redis", url, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["people"], found["written"], found["erased"]) == (11, 9, 1)
    assert on(url, ("EXISTS", redis_keys.windows("p3")), ("EXISTS", redis_keys.windows("p4"))) == [0, 1]


def test_a_backfill_leaves_alone_what_has_changed(url: str) -> None:
    """A state that an event changed after it was read is not replaced, and is named."""

    async def race() -> tuple[list[str], Any]:
        client = connect(url, 5000)
        store = RedisBackfill(client)
        before = await store.stored(["p2", "p3"])
        await client.call([("SET", redis_keys.windows("p2"), b"an event came in")], 5.0)
        changed = await store.replace({"p2": b"made", "p3": b"made"}, before, 60_000)
        kept = await client.call([("MGET", redis_keys.windows("p2"), redis_keys.windows("p3"))], 5.0)
        await client.close()
        return changed, kept[0]

    assert asyncio.run(race()) == (["p2"], [b"an event came in", b"made"])


def test_features_at_decisions_are_those_of_the_moment(url: str, log: Path, tmp_path: Path) -> None:
    """An empty decision log gives an empty table with a column for each feature."""
    asyncio.run(told(log))
    result = run("at", "--log", log, "--out", tmp_path / "out.parquet", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["decisions"] == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert {"decision_id", "person_pseudonym", "views_1h", "category", "spend_90d"} <= set(table.column_names)


def test_show_says_what_a_feature_rests_on(url: str, log: Path) -> None:
    """Every feature with its value, its age and its definition in words."""
    contacts = asyncio.run(told(log))
    on(url, ("SET", redis_keys.windows("p5"), contacts.features["p5"]))
    result = run("show", "p5", "--redis", url, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    by_name = {one["name"]: one for one in found["features"]}
    assert by_name["profile.views_1h"]["from"] == "count of product_view, window 1h in 60 buckets of 1m"
    assert by_name["profile.category"]["value"] in ("shoes", "hats", "<other>")
    assert found["bytes"] == len(contacts.features["p5"])
    said = run("show", "p5", "--redis", url).output
    assert "profile.spend_90d" in said
    assert "in 90 buckets of 1d" in said


def test_mistakes_are_said_in_plain_words(url: str, log: Path, tmp_path: Path) -> None:
    """No key, no feature from events, a state that cannot be read: each is named, with the exit code that it has."""
    log.mkdir(exist_ok=True)
    missing = run("backfill", "--log", log, "--redis", url, "--pseudonym-key-file", tmp_path / "nowhere")
    assert missing.exit_code == 2
    assert "without the key nobody in the log can be told" in missing.output
    plain = CliRunner().invoke(app, ["show", "p", "--bundle", str(BUNDLE.parent / "golden"), "--redis", url])
    assert plain.exit_code == 2
    assert "no feature has a `from:`" in plain.output
    on(url, ("SET", redis_keys.windows("p6"), b"damaged"))
    damaged = run("show", "p6", "--redis", url)
    assert damaged.exit_code == 1
    assert "cannot be read" in damaged.output
