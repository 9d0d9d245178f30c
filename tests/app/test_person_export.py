"""`liftgate person export`: an access request is answered in names and values, with all that is held, and with nothing of anybody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import Command, connect
from liftgate.adapters.redis_review_queue import RedisReviewQueue
from liftgate.adapters.system import SystemClock
from liftgate.app.cli.person import app
from liftgate.bundle.load import load_bundle
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.event import Event, EventKind
from liftgate.domain.profile import pack
from liftgate.domain.verdict import Asked
from liftgate.signals.offline import state_at
from liftgate.signals.plan import FeaturePlan

ADA, BOB = "ada", "bob"
OFFERS = """
  plain: {value: 1.0, caps: [{max: 3, per: 7d}], pauses: [{after: 2, of: dismiss, within: 1d, for: 30d}]}
placements:
  home: {offers: [plain], select: {policy: greedy}}
"""
BUNDLE = (
    """bundle: held
currency: EUR
time_zone: UTC
profile_purpose: none
signals: {product_view: {}}
event_properties: {category: {type: string}}
features:
  age: {type: int}
  country: {type: string, values: [DE, FR]}
  member: {type: bool}
  spend: {type: float}
  views_1h: {type: int, from: {count: product_view, window: 1h}}
  category: {type: string, values: [shoes, hats], from: {last: product_view.category, window: 30d}}
offers:"""
    + OFFERS
)
OTHER = "bundle: other\ncurrency: EUR\ntime_zone: UTC\nprofile_purpose: none\nfeatures: {height: {type: float}}\noffers:" + OFFERS


@pytest.fixture
def bundles(tmp_path: Path) -> dict[str, Path]:
    """The bundle that the store was written for, and another."""
    found = {}
    for name, text in (("held", BUNDLE), ("other", OTHER)):
        found[name] = tmp_path / name
        found[name].mkdir()
        (found[name] / "bundle.yaml").write_text(text)
    return found


@pytest.fixture
def url(bundles: dict[str, Path]) -> Iterator[str]:
    """A store in which there is something of two people."""
    bundle, now_ms = load_bundle(bundles["held"]), SystemClock().now_ms()
    plan = FeaturePlan(bundle.streams, {}, bundle.currency)
    cap, pause = bundle.caps[0], bundle.pauses[0]
    history = b"".join(ENTRY.pack(one, b"\1" * 8, now_ms + 60_000, now_ms + 60_000) for one in (cap.cap_id, pause.outcome_id))

    async def fill(url: str) -> None:
        client = connect(url, 5_000)
        commands: list[Command] = []
        for person, category in ((ADA, "hats"), (BOB, "shoes")):
            view = Event("e", EventKind.CUSTOM, person, now_ms, now_ms, 1, name="product_view", properties={"category": category})
            state = state_at(plan, [view], now_ms)
            assert state is not None
            commands += [
                ("SET", redis_keys.profile(person), pack(bundle.schema, [41.0, 1.0, 0.0, float("nan")], now_ms // 1000)),
                ("SET", redis_keys.windows(person), state),
                ("SET", redis_keys.history(person, False), history),
            ]
        await client.call(commands, 5.0)
        await RedisReviewQueue(client, SystemClock()).put([asked(ADA), asked(BOB)])
        await client.close()

    with EmbeddedValkey() as store:
        asyncio.run(fill(store.url))
        yield store.url


def asked(person: str) -> Asked:
    """Return a decision about a person that waits for a reviewer."""
    named = ("decision_id", "pseudonym", "offer_id", "placement_id", "bundle", "digest", "role", "explanation")
    return Asked(review_id=f"d-{person}", person_id=person, valid_for_ms=1, asked_at_ms=1, **dict.fromkeys(named, "x"))


def exported(url: str, *more: str) -> dict[str, Any]:
    """Return what the store is said to hold of Ada."""
    done = CliRunner().invoke(app, ["export", ADA, "--redis", url, *more])
    assert done.exit_code == 0, done.output
    assert BOB not in done.stdout
    found: dict[str, Any] = json.loads(done.stdout)["stored"]
    return found


def test_with_the_bundle_everything_has_a_name_and_a_value(url: str, bundles: dict[str, Path]) -> None:
    """The profile, what events say now, counters and outcomes read as people wrote them; what waits for a reviewer is there."""
    found = exported(url, "--bundle", str(bundles["held"]))
    assert found["profile"] == {"profile.age": 41, "profile.country": "FR", "profile.member": False, "profile.spend": None}
    assert found["features_from_events"]["now"] == {"profile.views_1h": 1, "profile.category": "hats"}
    assert [entry["cap"].startswith("outcome kept for") for entry in found["contact_history"]] == [False, True]
    assert found["decisions_under_review"] == [asdict(asked(ADA))]


def test_what_the_bundle_cannot_read_is_shown_as_it_is(url: str, bundles: dict[str, Path]) -> None:
    """A profile of another bundle is not shown as a row of nothing: it is held, so its bytes are shown; so without a bundle."""
    for more in (("--bundle", str(bundles["other"])), ()):
        found = exported(url, *more)
        assert found["profile"]["hexadecimal"].startswith(b"LG".hex())
        assert found["features_from_events"].keys() == {"hexadecimal"}
        assert len(found["contact_history"]) == 2
