"""`liftgate serve --feast`: a real server decides by what Feast wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.app.settings import BadSettings, read
from liftgate.record.parquet import read_log
from liftgate.v1.decision_pb2 import DecideRequest
from tests.faults.serving import Serving, decide_stub

WROTE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "adapters" / "feast_golden" / "golden.json").read_text())
BUNDLE = """bundle: feast
currency: EUR
time_zone: UTC
profile_purpose: none
features:
  age: {type: int}
  country: {type: string, values: [DE, FR]}
  views: {type: int, max_age: 1h, default: 0}
offers:
  wine: {value: 9.0, eligible_if: 'profile.age >= 18 && profile.country == "FR"'}
  much-viewed: {value: 20.0, suitable_if: 'profile.views > 0'}
  plain: {value: 1.0}
placements:
  all: {offers: all, select: {policy: greedy}}
layers:
  none-held: {kind: holdout, unit: person, salt: feast, share: 0.0, answer: none}
"""
MAP = """project: shop
join_key: customer_id
features: {age: stats:age, country: stats:country, views: live:views}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bundle and a map."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.yaml").write_text(BUNDLE)
    (tmp_path / "feast.yaml").write_text(MAP)
    return tmp_path


async def _fill(url: str) -> None:
    client = connect(url, 5_000.0)
    for key, fields in WROTE["string_v3"].items():
        await client.call([("HSET", bytes.fromhex(key), *(bytes.fromhex(part) for pair in fields.items() for part in pair))])
    await client.close()


@pytest.mark.parametrize("apart", [False, True])
async def test_decisions_by_what_feast_wrote(folder: Path, apart: bool) -> None:
    """On one server or two: age and country of Feast make people eligible, a stale view takes its default, ages are in the record."""
    with EmbeddedValkey() as own, EmbeddedValkey() as other:
        store = other if apart else own
        await _fill(store.url)
        flags: tuple[str, ...] = ("--bundle", str(folder / "bundle"), "--models", str(folder), "--feast", str(folder / "feast.yaml"))
        flags += ("--feast-redis", other.url) if apart else ()
        budgets = ("--fetch-budget-ms", "2000", "--reserve-budget-ms", "2000")
        with Serving(own.url, folder / "log", *flags, *budgets) as server:
            async with grpc.aio.insecure_channel(server.target) as channel:
                call = decide_stub(channel)
                offered = {}
                for person in ("ada", "bob", "text", "nobody"):
                    answer = await call(DecideRequest(request_id=person, person_id=person, placement_id="all"), timeout=20)
                    offered[person] = [slot.offer_id for slot in answer.slots]
            assert server.terminate() == 0
    assert offered["ada"] == ["wine"]
    assert offered["bob"] == ["plain"]
    rows: dict[Any, Any] = {row["request_id"]: row for row in read_log(folder / "log", "decision")}
    row = rows["ada"]
    told = {each["name"]: i for i, each in enumerate(row["inputs"])}
    states = [row["input_state"][told[f"profile.{name}"]] for name in ("age", "country", "views")]
    assert states == ["STORED", "STORED", "DEFAULT_STALE"]
    decided_s = row["decided_at_ms"] / 1000
    assert row["input_age_s"][told["profile.age"]] == pytest.approx(decided_s - WROTE["at_s"], abs=1.0)
    assert row["input_age_s"][told["profile.views"]] == pytest.approx(decided_s - WROTE["earlier_s"], abs=1.0)
    assert (rows["text"]["profile_state"], rows["nobody"]["profile_state"]) == ("UNREADABLE", "MISSING")


def test_a_wrong_map_keeps_the_server_from_starting(folder: Path) -> None:
    """The server does not start by a map that lacks a feature, and says which, where, and what to write."""
    (folder / "feast.yaml").write_text(MAP.replace("country: stats:country, ", ""))
    command = [sys.executable, "-m", "liftgate.app.cli.main", "serve", "--bundle", str(folder / "bundle"), "--models", str(folder)]
    command += ["--redis", "redis://127.0.0.1:1/0", "--log", str(folder / "log"), "--port", "0", "--metrics-port", "0"]
    done = subprocess.run([*command, "--feast", str(folder / "feast.yaml")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "features.country: is a feature of the bundle and not in the file" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"feast_redis": "redis://h:1"}, "needs --feast"),
        ({"feast": "f.yaml", "profile_layout": "hash"}, "features lie in one place"),
        ({"feast": "f.yaml", "feast_redis": "http://u:hunter2@h"}, "--feast-redis (LIFTGATE_FEAST_REDIS) wants"),
    ],
)
def test_settings_that_do_not_go_together(flags: dict[str, str], words: str) -> None:
    """Mistakes are named, and no password is repeated."""
    with pytest.raises(BadSettings) as caught:
        read({"bundle": "b", **flags})
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_where_the_store_is_shows_no_password() -> None:
    """What is printed of the URL has its credentials hidden."""
    shown = read({"bundle": "b", "feast": "f.yaml", "feast_redis": "redis://u:hunter2@host:1/2"}).shown()
    assert shown["feast_redis"] == "redis://(hidden)@host:1/2"
