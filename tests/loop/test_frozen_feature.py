"""A pipeline stops writing one feature: decisions do what the bundle declares of it, the log says so, and drift alarms a scheduler."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liftgate.adapters.memory_stores import MemoryProfileStore
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.telemetry import Telemetry
from liftgate.adapters.telemetry_metrics import LAYOUT, STALE
from liftgate.adapters.telemetry_page import Page
from liftgate.app.cli.measure import app
from liftgate.bundle.load import load_bundle
from liftgate.domain.profile import pack
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.batching import Live
from liftgate.record.parquet import read_log
from tests.replay.logbook import NOW_MS, Hands, deciding, die, reservations_of

BUNDLE = """bundle: frozen
currency: EUR
time_zone: UTC
profile_purpose: none
features:
  spend: {type: float, default: -1.0, max_age: 2d}
  visits: {type: float, default: -1.0, max_age: 2d}
  score: {type: float, default: -1.0, max_age: 2d, on_stale: skip_offer}
offers:
  plain: {value: 1.0}
  scored: {value: 2.0, suitable_if: 'profile.score >= 0.0'}
placements:
  home: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.1}}
layers:
  none-held: {kind: holdout, unit: person, salt: frozen, share: 0.0, answer: none}
"""
PEOPLE, DAYS, DAY_S = 120, 8, 86_400
FEATURES = ("profile.score", "profile.spend", "profile.visits")


async def decide_for_days(log: Path, folder: Path, frozen: str, observer: Telemetry) -> None:
    """Decide once a day for everybody by features that are written each night; `frozen` is no more after the first."""
    bundle = load_bundle(folder)
    hands, store, live = Hands(), MemoryProfileStore(), Live(bundle, OnnxModels.load(bundle))
    names = [column.name for column in bundle.schema.profile]
    async with deciding(log, hands, store, reservations_of(store), observer) as (batcher, _):
        for day in range(DAYS):
            hands.ms = NOW_MS + day * DAY_S * 1000
            requests = []
            for i in range(PEOPLE):
                at_s = [NOW_MS // 1000 + (0 if name == frozen else day) * DAY_S - 60 for name in names]
                value = [die(name, i, 0 if name == frozen else day) for name in names]
                store.packed[f"p-{i}"] = pack(bundle.schema, value, at_s)
                requests.append(DecideRequest(f"r-{day}-{i}", f"p-{i}", "home", context=Context(channel="web")))
            await asyncio.gather(*(batcher.submit(request, live) for request in requests))


@pytest.mark.parametrize("frozen", ["profile.spend", "profile.score", ""])
def test_a_frozen_feature_does_what_is_declared_and_alarms(tmp_path: Path, frozen: str) -> None:
    """Once it is older than its max_age the default stands in, in the log too, offers that were to be left out are, the metric of this
    feature counts those decisions, and `measure drift --log` ends with 4 and names it alone. The control arm freezes none: nothing is
    left out or counted, and nothing alarms."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.yaml").write_text(BUNDLE)
    page = Page(LAYOUT)
    asyncio.run(decide_for_days(tmp_path / "log", tmp_path / "bundle", frozen, Telemetry(page)))
    rows = list(read_log(tmp_path / "log", "decision"))
    assert len(rows) == PEOPLE * DAYS
    counted = dict.fromkeys(FEATURES, 0)
    for row in rows:
        stale = frozen if row["decided_at_ms"] > NOW_MS + 2 * DAY_S * 1000 - 60_000 else ""
        if stale:
            counted[stale] += 1
        names = [column["name"] for column in row["inputs"]]
        told = {name: at for at, name in enumerate(names) if name in FEATURES}
        assert {name for name, at in told.items() if row["input_value"][at] == -1.0} == {stale} - {""}
        assert {name for name, at in told.items() if row["input_age_s"][at] > 2 * DAY_S} == {stale} - {""}
        reasons = dict(zip(row["candidate_offer_id"], row["candidate_reason"], strict=True))
        assert (reasons["scored"] == "FEATURE_STALE") is (stale == "profile.score")
        assert set(reasons.values()) <= {"CHOSEN", "ALLOWED", "FEATURE_STALE"}
    names, start = page.names(STALE), LAYOUT.start(STALE.name)
    assert {f"profile.{name}": page.cells[start + i] for i, name in enumerate(names)} == (counted if frozen else {})
    code, found = drift(tmp_path / "log")
    (answer,) = found["versions"].values()
    alarmed = {one["column"] for one in answer["columns"] if one["level"] == "alarm" and one["column"] in FEATURES}
    assert alarmed == ({frozen} if frozen else set())
    assert (code, found["alarm"]) == ((4, True) if frozen else (0, False))


def drift(log: Path) -> tuple[int, dict[str, Any]]:
    """Return exit code and answer of `measure drift --log`: the last days against the first two."""
    later = datetime.fromtimestamp(NOW_MS / 1000 + 30 * DAY_S, UTC).isoformat()
    last = datetime.fromtimestamp(NOW_MS / 1000 + 2 * DAY_S, UTC).date()
    apart = ("--reference-where", f"decided_at < date '{last}'", "--current-where", f"decided_at >= date '{last}'")
    result = CliRunner().invoke(app, ["drift", "--log", str(log), "--read-at", later, "--window", "1d", *apart, "--json"])
    return result.exit_code, json.loads(result.stdout or result.stderr)
