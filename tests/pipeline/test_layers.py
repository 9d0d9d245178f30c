"""Layers through the whole walk: what the record says of them, whom a condition leaves out, and that knowing a person moves nobody."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.bundle.load import load_bundle
from liftgate.domain import consent
from liftgate.domain.layer import OUTSIDE, Layer
from liftgate.domain.profile import pack
from liftgate.domain.request import Context, DecideRequest
from liftgate.selection.layers import Assigner, Layers
from liftgate.v1.record_pb2 import DecisionRecord
from tests.pipeline.workbench import BUNDLES, NOW_MS, Bench, workbench

LAYERED = BUNDLES / "layered"
LAYERS = {layer.name: Assigner(layer) for layer in load_bundle(LAYERED).layers}
Assigned = dict[str, str]


def request(person_id: str, placement: str = "home", *, channel: str = "web", tag: str = "r", **units: str) -> DecideRequest:
    """Return a request that names a person and other units."""
    return DecideRequest(f"{tag}-{person_id}-{placement}", person_id, placement, context=Context(channel=channel), **units)  # type: ignore[arg-type]


async def decided(bench: Bench, *requests: DecideRequest) -> Sequence[DecisionRecord]:
    """Decide in one batch and return the records, in order."""
    before = len(bench.records)
    await asyncio.gather(*(bench.batcher.submit(each, bench.live) for each in requests))
    found = {record.request_id: record for record in bench.records[before:]}
    return [found[each.request_id] for each in requests]


def assigned(record: DecisionRecord) -> Assigned:
    """Return the record's arms by layer."""
    return {one.layer: one.arm for one in record.assignments}


def drawn(layer: str, unit: str) -> str:
    """Return the arm that a unit has by the pure function, empty: none."""
    one = LAYERS[layer]
    arm = one.arm(unit)
    return one.layer.arms[arm].name if arm >= 0 else ""


async def know(bench: Bench, person_id: str, age: int | None) -> None:
    """Store a profile with an age."""
    schema = bench.live.bundle.schema
    values = [column.encode({"profile.age": age}.get(column.name)) for column in schema.profile]
    await bench.put(redis_keys.profile(person_id), pack(schema, values, [NOW_MS // 1000] * len(values)))


async def test_the_record_says_where_everybody_stands(valkey_url: str, tmp_path: Path) -> None:
    """Each assignment has arm, phase, unit and the arm's share of all units; layers that do not concern a request are not there."""
    async with workbench(valkey_url, tmp_path, LAYERED) as bench:
        people = [f"stand-{i}" for i in range(60)]
        records = await decided(bench, *(request(person) for person in people))
        for person, record in zip(people, records, strict=True):
            wanted = {name: drawn(name, person) for name in ("universal", "shipping-holdout", "impact", "hero-values")}
            # Nobody has a profile, so nobody is known to be an adult.
            assert assigned(record) == {name: arm for name, arm in wanted.items() if arm}
            for one in record.assignments:
                layer = LAYERS[one.layer].layer
                index = [arm.name for arm in layer.arms].index(one.arm)
                assert (one.phase, one.unit, one.share) == (layer.phase, layer.unit, layer.share_of(index))
        shares = {(one.layer, one.arm): one.share for record in records for one in record.assignments}
        assert shares["hero-values", "dearer"] == pytest.approx(0.1)
        assert shares["shipping-holdout", "treatment"] == pytest.approx(0.9)


async def test_a_condition_narrows_and_never_moves(valkey_url: str, tmp_path: Path) -> None:
    """Of the people whom the draw puts into an experiment those with a true condition are in, in the arm drawn; unknown is not in."""
    async with workbench(valkey_url, tmp_path, LAYERED) as bench:
        people = [f"age-{i}" for i in range(90)]
        ages = {person: (None, 17, 40)[i % 3] for i, person in enumerate(people)}
        for person, age in ages.items():
            await know(bench, person, age)
        records = await decided(bench, *(request(person) for person in people))
        found = {person: assigned(record).get("hero-adults", "") for person, record in zip(people, records, strict=True)}
        assert found == {person: drawn("hero-adults", person) if age == 40 else "" for person, age in ages.items()}
        assert {"control", "cheaper", ""} == set(found.values())


async def test_exclusive_experiments_share_nobody(valkey_url: str, tmp_path: Path) -> None:
    """No decision is in two experiments of one namespace."""
    async with workbench(valkey_url, tmp_path, LAYERED) as bench:
        people = [f"both-{i}" for i in range(120)]
        for person in people:
            await know(bench, person, 40)
        records = await decided(bench, *(request(person) for person in people))
        in_both = [{"hero-values", "hero-adults"} & set(assigned(record)) for record in records]
        assert max(map(len, in_both)) == 1
        assert {name for names in in_both for name in names} == {"hero-values", "hero-adults"}


async def test_a_layer_ends_and_looks_at_its_channel_alone(valkey_url: str, tmp_path: Path) -> None:
    """A visitor is in the experiment on its channel until the moment that it ends, and in none on another or after it."""
    async with workbench(valkey_url, tmp_path, LAYERED) as bench:
        ends = int(LAYERS["cart-by-visitor"].layer.ends_at_ms)
        seen: list[bool] = []
        for i, (at_ms, channel) in enumerate(((ends - 1, "web"), (ends - 1, "email"), (ends, "web"))):
            bench.hands.ms = at_ms
            (record,) = await decided(bench, request("ends", "cart", channel=channel, tag=f"r{i}", visitor_id="browser-1"))
            seen.append("cart-by-visitor" in assigned(record))
        assert seen == [True, False, False]


async def test_a_login_moves_no_visitor(valkey_url: str, tmp_path: Path) -> None:
    """A visitor's arm is the same before a login and after it, whoever logs in; a layer by person follows the person, on every device."""
    async with workbench(valkey_url, tmp_path, LAYERED) as bench:
        browsers = [f"browser-{i}" for i in range(30)]
        before = await decided(bench, *(request(f"anonymous-{b}", "cart", tag="before", visitor_id=b) for b in browsers))
        after = await decided(bench, *(request(f"known-{i % 7}", "cart", tag=f"after-{b}", visitor_id=b) for i, b in enumerate(browsers)))
        arms = [[assigned(record)["cart-by-visitor"] for record in records] for records in (before, after)]
        assert arms[0] == arms[1] == [drawn("cart-by-visitor", browser) for browser in browsers]
        assert set(arms[0]) == {"control", "loans"}
        for i, record in enumerate(after):
            assert assigned(record)["universal"] == drawn("universal", f"known-{i % 7}")


async def test_two_first_requests_at_once_agree(valkey_url: str, tmp_path: Path) -> None:
    """Two workers that see a visitor for the first time at the same moment, one of them logged in, put it into the same arm; nothing of it
    is stored, so nothing can be read before it is written."""
    async with workbench(valkey_url, tmp_path / "a", LAYERED) as one, workbench(valkey_url, tmp_path / "b", LAYERED) as other:
        browsers = [f"canary-{i}" for i in range(40)]
        found = await asyncio.gather(
            decided(one, *(request(f"anonymous-{i}", "cart", tag="race", visitor_id=b) for i, b in enumerate(browsers))),
            decided(other, *(request(f"login-{i}", "cart", tag="race", visitor_id=b) for i, b in enumerate(browsers))),
        )
        arms = [[assigned(record)["cart-by-visitor"] for record in records] for records in found]
        assert arms[0] == arms[1]
        assert not any(b"canary" in key for key in await keys(one))


async def keys(bench: Bench) -> list[bytes]:
    """Return every key of the store."""
    (found,) = await bench.client.call([("KEYS", "*")])
    return list(found)


async def test_sessions_and_visitors_are_pseudonyms_in_the_record(valkey_url: str, tmp_path: Path) -> None:
    """The record has the visitor's pseudonym where a layer is drawn by visitor, under a key of its own; no id in the clear, no session."""
    async with workbench(valkey_url, tmp_path, LAYERED) as bench:
        (record,) = await decided(bench, request("ada", "cart", visitor_id="canary-visitor", session_id="canary-session"))
        assert record.visitor_pseudonym == Pseudonyms.of_units("visitor", "test", b"k" * 32)("canary-visitor")
        assert record.visitor_pseudonym != Pseudonyms("test", b"k" * 32)("canary-visitor")
        assert record.session_pseudonym == b""
        assert b"canary" not in b"".join(bench.log.records)
        (record,) = await decided(bench, request("ada", "home", tag="other"))
        assert record.visitor_pseudonym == b""


async def test_without_consent_to_experiments_nobody_is_in_any_layer(valkey_url: str, tmp_path: Path) -> None:
    """Who has not agreed to experiments is in no layer of any kind, and the record withholds layers and the visitor; others are in."""
    folder = tmp_path / "asking"
    shutil.copytree(LAYERED, folder)
    with (folder / "bundle.yaml").open("a") as file:
        file.write("experiment_purpose: experiments\npurposes: {experiments: {}}\n")
    async with workbench(valkey_url, tmp_path / "log", folder) as bench:
        people = [f"agrees-{i}" for i in range(10)]
        for person in people[::2]:
            await bench.put(redis_keys.consent(person), consent.document({"experiments": {"status": "granted"}}))
        records = await decided(bench, *(request(person, "cart", visitor_id=f"v-{person}") for person in people))
        for i, (person, record) in enumerate(zip(people, records, strict=True)):
            assert ("layers.*" in record.masked_paths) is bool(i % 2)
            assert bool(record.visitor_pseudonym) is not bool(i % 2)
            wanted = {name: drawn(name, person) for name in ("universal", "shipping-holdout", "impact")}
            wanted["cart-by-visitor"] = drawn("cart-by-visitor", f"v-{person}")
            assert assigned(record) == ({} if i % 2 else wanted)


def held(layers: Sequence[Any], person: str, account: str, at_ms: float) -> tuple[bool, bool]:
    """Return what an event would be told of the person."""
    return Layers([one.layer for one in layers]).held_out_of_everything(person, account, at_ms)


def test_an_event_knows_its_ghost_as_far_as_ids_go() -> None:
    """A universal holdout by person is known from the event; a programme's holds nobody out of everything; none by visitor is certain."""
    universal, programme = LAYERS["universal"], LAYERS["shipping-holdout"]
    out = next(f"p-{i}" for i in range(1000) if universal.arm(f"p-{i}") == 0)
    inside = next(f"p-{i}" for i in range(1000) if universal.arm(f"p-{i}") == 1 and programme.arm(f"p-{i}") == 0)
    assert held([universal, programme], out, "", 0) == (True, True)
    assert held([universal, programme], inside, "", 0) == (False, True)
    by_account = Assigner(Layer("a", "holdout", "a-1", universal.layer.arms, unit="account"))
    assert held([by_account], out, "", 0) == (True, False)
    account = next(f"a-{i}" for i in range(1000) if by_account.arm(f"a-{i}") == 0)
    assert held([by_account], inside, account, 0) == (True, True)
    ended = Assigner(Layer("u", "holdout", "universal-2026h2", universal.layer.arms, ends_at_ms=5.0))
    assert [held([ended], out, "", at)[0] for at in (4, 5)] == [True, False]


def test_the_assignment_of_a_batch_is_that_of_each_request() -> None:
    """One batch of many requests gives each what it gets alone, at every placement."""
    bundle = load_bundle(LAYERED)
    layers = Layers(bundle.layers)
    requests = [request(f"p-{i}", ("home", "cart")[i % 2], visitor_id=f"v-{i}" if i % 3 else "") for i in range(60)]
    places = np.array([bundle.placement_index[each.placement_id] for each in requests])
    whole = layers.assign(requests, places, np.full(60, NOW_MS))
    for i, each in enumerate(requests):
        assert (layers.assign([each], places[i : i + 1], np.array([NOW_MS])) == whole[i]).all()
    assert (whole[:, [layer.name for layer in bundle.layers].index("cart-by-visitor")][::2] == OUTSIDE).all()
