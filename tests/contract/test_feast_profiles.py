"""Features from a Feast online store: the ProfileStore port on real servers that hold the bytes which Feast wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.feast_layout import EntityKeys
from liftgate.adapters.feast_map import FeastMap, read_feast
from liftgate.adapters.redis_client import Command, RedisClient, connect
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.bundle.mistake import BundleError
from liftgate.domain.errors import BadInput, StoreUnavailable
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.profile import ProfileState
from liftgate.pipeline.ports import PersonKey
from tests.contract.conftest import BUDGET_MS, Backend

WROTE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "adapters" / "feast_golden" / "golden.json").read_text())
SCHEMA = InputSchema(
    (
        Input("profile.age", InputType.INT),
        Input("profile.country", InputType.STRING, ("DE", "FR")),
        Input("profile.views", InputType.INT),
        Input("profile.clicks", InputType.INT),
    ),
    (),
    streamed=1,
)
MAP = """project: shop
join_key: customer_id
entity_key_serialization_version: {version}
features:
  age: stats:age
  country: stats:country
  views: live:views
  unused: stats:whatever
"""
FOUND, MISSING, UNREADABLE = ProfileState.FOUND, ProfileState.MISSING, ProfileState.UNREADABLE


@pytest.fixture(params=[3, 2])
def feast(request: pytest.FixtureRequest, tmp_path: Path) -> FeastMap:
    """A map for each version of entity keys; `version` says which."""
    (tmp_path / "feast.yaml").write_text(MAP.format(version=request.param))
    made = FeastMap(tmp_path / "feast.yaml")
    made.load(SCHEMA)
    return made


async def fill(client: RedisClient) -> None:
    """Put everything that Feast wrote, with both versions of keys, where it had put it."""
    commands: list[Command] = []
    for version in (2, 3):
        for key, fields in WROTE[f"string_v{version}"].items():
            pairs = [bytes.fromhex(part) for pair in fields.items() for part in pair]
            commands.append(("HSET", bytes.fromhex(key), *pairs))
    await client.call(commands, 5.0)


async def test_people_come_back_in_order_with_what_else_is_theirs(redis_backend: Backend, feast: FeastMap) -> None:
    """Features, their ages, consent, histories, lists, verdicts and windows of a whole batch, each person's own, on every server."""
    client = redis_backend.client
    assert client is not None
    await fill(client)
    await redis_backend.put_consent("ada", b"consent of ada")
    await redis_backend.put_history("ada", b"h" * 32)
    await redis_backend.put(redis_keys.windows("bob"), b"windows of bob")
    await redis_backend.put(redis_keys.verdicts("bob"), b"verdicts of bob")
    people = [
        PersonKey("ada", False, certain=True),
        PersonKey("nobody", False, lists=True),
        PersonKey("bob", True, both=True, verdicts=True, features=True),
        PersonKey("text", False),
        PersonKey("héllo wörld 日本語", False),
        PersonKey("ada", False),
    ]
    fetched = await RedisProfiles(client, budget_ms=BUDGET_MS, feast=feast).fetch(people, SCHEMA)
    assert fetched.profiles.state.tolist() == [FOUND, MISSING, FOUND, UNREADABLE, FOUND, FOUND]
    ada = [41, 1, 3, nan]
    wanted = [ada, [nan] * 4, [0, -1, nan, nan], [nan] * 4, [2**40, -1, nan, nan], ada]
    np.testing.assert_array_equal(fetched.profiles.value, wanted)
    at, earlier = WROTE["at_s"], WROTE["earlier_s"]
    np.testing.assert_array_equal(fetched.profiles.at_s[[0, 2]], [[at, at, earlier, nan], [at, at, nan, nan]])
    assert list(fetched.consent) == [b"consent of ada", None, None, None, None, b"consent of ada"]
    assert list(fetched.history) == [b"h" * 32, None, None, None, None, b"h" * 32]
    assert (dict(fetched.real_history), dict(fetched.lists)) == ({2: None}, {1: None})
    assert (dict(fetched.verdicts), dict(fetched.features)) == ({2: b"verdicts of bob"}, {2: b"windows of bob"})


async def test_a_key_of_another_type_is_unreadable(redis_backend: Backend, feast: FeastMap) -> None:
    """A list where the entity's HASH should be is UNREADABLE, and the neighbour is read."""
    client = redis_backend.client
    assert client is not None
    await fill(client)
    key = EntityKeys(read_feast(feast.path, SCHEMA)).key("bob")
    assert key is not None
    await client.call([("DEL", key), ("LPUSH", key, "x")])
    people = [PersonKey("bob", False), PersonKey("ada", False)]
    profiles = (await RedisProfiles(client, budget_ms=BUDGET_MS, feast=feast).fetch(people, SCHEMA)).profiles
    assert profiles.state.tolist() == [UNREADABLE, FOUND]


class Counted:
    """A client, and how many calls it took."""

    def __init__(self, client: RedisClient) -> None:
        self.client, self.calls, self.clustered, self.budget_s = client, 0, client.clustered, client.budget_s

    async def call(self, commands: Sequence[Command], budget_s: float | None = None) -> list[Any]:
        """Pass it on."""
        self.calls += 1
        return await self.client.call(commands, budget_s)


async def test_one_round_trip_a_batch(redis_backend: Backend, feast: FeastMap) -> None:
    """A batch is one call; with the online store on a server of its own one call to each, and ours is never asked for its HASHes."""
    client = redis_backend.client
    assert client is not None
    await fill(client)
    here: Any = Counted(client)
    people = [PersonKey("ada", False, certain=True), PersonKey("bob", True, both=True, lists=True, features=True, verdicts=True)]
    await RedisProfiles(here, budget_ms=BUDGET_MS, feast=feast).fetch(people, SCHEMA)
    assert here.calls == 1
    with EmbeddedValkey() as other:
        ours: Any = Counted(connect(other.url, BUDGET_MS))
        await ours.client.call([("SET", redis_keys.consent("ada"), b"c")])
        store = RedisProfiles(ours, budget_ms=BUDGET_MS, feast=feast, feast_client=here)
        fetched = await store.fetch(people, SCHEMA)
        assert (ours.calls, here.calls) == (1, 2)
        assert fetched.profiles.value[0].tolist()[:3] == [41, 1, 3]
        assert list(fetched.consent) == [b"c", None]
        await ours.client.close()


async def test_a_store_that_is_away_is_unavailable_and_the_other_is_not_blamed(redis_backend: Backend, feast: FeastMap) -> None:
    """With either server away nobody is found half; the breaker of the one does not close the other off."""
    client = redis_backend.client
    assert client is not None
    await fill(client)
    gone = connect("redis://127.0.0.1:1", 200.0)
    people = [PersonKey("ada", False)]
    for ours, theirs in ((client, gone), (gone, client)):
        store = RedisProfiles(ours, budget_ms=200.0, feast=feast, feast_client=theirs)
        for _ in range(8):
            with pytest.raises(StoreUnavailable):
                await store.fetch(people, SCHEMA)
    again = RedisProfiles(client, budget_ms=BUDGET_MS, feast=feast, feast_client=client)
    assert (await again.fetch(people, SCHEMA)).profiles.state.tolist() == [FOUND]


def test_every_mistake_of_the_file_is_named(tmp_path: Path) -> None:
    """Unknown keys, wrong versions and types, features that are missing or not VIEW:FEATURE: all at once, with line and mend."""
    path = tmp_path / "feast.yaml"
    path.write_text(
        "project: 7\njoin-key: customer_id\nentity_type: uuid\nentity_key_serialization_version: 1\n"
        "features:\n  age: age\n  countri: stats:country\n  views: live:views\n"
    )
    with pytest.raises(BundleError) as caught:
        read_feast(path, SCHEMA)
    text = str(caught.value)
    for words in (
        "feast.yaml:1: project: is needed and wants text",
        "feast.yaml:2: join-key: is not known here",
        "feast.yaml:3: entity_type: is no type",
        "feast.yaml:4: entity_key_serialization_version: is neither 3 nor 2",
        "feast.yaml:6: features.age: wants a feature view and its feature",
        "features.country: is a feature of the bundle and not in the file",
    ):
        assert words in text
    with pytest.raises(BadInput, match="No such file"):
        read_feast(tmp_path / "nowhere.yaml", SCHEMA)


async def test_a_bad_file_leaves_what_is_in_force(tmp_path: Path, feast: FeastMap) -> None:
    """A file that went bad is refused at the next load, and the schema that was loaded is read on."""
    codec = feast.codec(SCHEMA)
    feast.path.write_text("project: shop\n")
    with pytest.raises(BundleError):
        feast.load(InputSchema(SCHEMA.profile, (), streamed=1))
    assert feast.codec(SCHEMA) is codec
