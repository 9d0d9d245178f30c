"""What another bundle would have earned: against outcomes whose chances are known, as a gate, and refused where the log cannot know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from liftgate.adapters.bundle_archive import keep
from liftgate.app.cli.main import make_app
from liftgate.bundle.load import load_bundle
from liftgate.domain.bucketing import Salt
from liftgate.measure import ope_source
from liftgate.measure.envelope import KEYS, NUMBERS
from liftgate.record.frame import Header, Stream, encode_frames
from liftgate.record.parquet import read_log
from liftgate.v1.record_pb2 import EventRecord
from tests.replay.logbook import DEMO, NOW_MS, write_log

MODELS = str(DEMO / "models")
READ_AT = "2030-01-01"


def chance(offer: str) -> float:
    """How likely a purchase is once this offer was shown: by its name alone, 0.05 to 0.45."""
    return 0.05 + 0.4 * Salt("worth").uniform(offer)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of some thousand decisions, with a purchase by the known chance of what was shown, named by its decision."""
    directory = tmp_path_factory.mktemp("simulate") / "log"
    directory.mkdir()
    bundle = load_bundle(DEMO / "bundle")
    keep(bundle, directory)
    write_log(directory, bundle, people=1500, rounds=3)
    told = []
    for row in read_log(directory):
        if row["offered"] and Salt("buys").uniform(row["decision_id"]) < chance(row["offered"][0]):
            event = EventRecord(
                event_id=f"e-{row['decision_id']}",
                kind="EVENT_KIND_PURCHASE",
                person_pseudonym=row["person_pseudonym"],
                decision_id=row["decision_id"],
                occurred_at_ms=row["decided_at_ms"] + 1000,
                received_at_ms=row["decided_at_ms"] + 1000,
                value=2.0,
            )
            told.append(event.SerializeToString())
    header = Header(Stream.EVENT, b"e" * 16, b"b" * 16, 0, NOW_MS)
    (directory / f"event-{NOW_MS}-{header.writer_id.hex()}-000001.seg").write_bytes(header.encode() + encode_frames(told, 0))
    return directory


def other(directory: Path, was: str, now: str) -> str:
    """The demo's bundle with one thing said otherwise."""
    shutil.copytree(DEMO / "bundle", directory)
    placements = directory / "placements.yaml"
    assert was in placements.read_text()
    placements.write_text(placements.read_text().replace(was, now))
    return str(directory)


def simulate(bundle: str, log: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON."""
    asked = ["simulate", "--bundle", bundle, "--log", str(log), "--models", MODELS, "--read-at", READ_AT, "--json", *more]
    result = CliRunner().invoke(make_app("simulate"), asked, catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout or result.stderr)


def test_the_interval_holds_the_known_worth(log: Path, tmp_path: Path) -> None:
    """The worth of a bundle that explores half of the time lies in its interval, and with a value twice as high it is twice as much."""
    bundle, table = other(tmp_path / "b", "epsilon: 0.10", "epsilon: 0.50"), tmp_path / "t.parquet"
    code, found = simulate(bundle, log, "--keep", str(table))
    assert (code, found["refusal"], found["unknown"]) == (0, None, 0)
    # Deferred decisions that no exposure activated were never made.
    never = {row["decision_id"] for row in read_log(log) if row["deferred"]}
    rows = [row for row in pq.read_table(table).to_pylist() if not row["why"] and row["decision_id"] not in never]
    assert len(rows) == found["decisions"] > 3000
    # Of what was logged: each decision's own chance, weighted as the other bundle would have made it.
    weights = [row["target_probability"] / row["logged_probability"] for row in rows]
    shown = [chance(row["action"]) if row["action"] != "(nothing)" else 0.0 for row in rows]
    truth = sum(w * p for w, p in zip(weights, shown, strict=True)) / sum(weights)
    assert found["ci_low"] < truth < found["ci_high"]
    assert abs(found["diagnostics"]["mean_weight"] - 1) < 3 * found["diagnostics"]["mean_weight_se"]
    _, valued = simulate(bundle, log, "--metric", "purchase_value")
    assert valued["estimate"] == pytest.approx(2 * found["estimate"])


def test_a_large_log_is_valued_in_parts(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit decisions are not held at once: the estimate, its error and the support are the same, and all keys are there."""
    bundle = other(tmp_path / "b", "epsilon: 0.10", "epsilon: 0.50")
    held = simulate(bundle, log)[1]
    monkeypatch.setattr(ope_source, "HELD_ROWS", 100)
    code, parted = simulate(bundle, log)
    assert (code, parted["what"]) == (0, "simulate")
    assert set(KEYS) <= parted.keys()
    for key in (*NUMBERS, "difference", "difference_se", "units", "n"):
        assert parted[key] == pytest.approx(held[key], rel=1e-9), key
    assert [one["n"] for one in parted["actions"]] == [one["n"] for one in held["actions"]]


def test_the_same_bundle_earns_what_was_earned(log: Path) -> None:
    """Under the bundle that decided, every weight is 1 and the difference is 0."""
    code, found = simulate(str(DEMO / "bundle"), log)
    assert (code, found["difference"]) == (0, pytest.approx(0.0, abs=1e-12))
    assert found["estimate"] == pytest.approx(found["on_log"]["estimate"])


def test_the_gate_passes_and_does_not(log: Path, tmp_path: Path) -> None:
    """Exit code 4 where the interval does not rule the margin out, 0 where it does; without a gate always 0."""
    bundle = other(tmp_path / "b", "epsilon: 0.10", "epsilon: 0.50")
    assert simulate(bundle, log, "--no-worse-than", "0.5")[0] == 0
    code, found = simulate(bundle, log, "--no-worse-than", "0")
    assert (code, found["gate"]) == (
        (4, {"no_worse_than": 0.0, "passed": False}) if found["difference_ci_low"] <= 0 else (0, found["gate"])
    )
    code, found = simulate(str(DEMO / "bundle"), log, "--no-worse-than", "0")
    assert (code, found["gate"]["passed"]) == (4, False)


def test_what_the_log_never_showed_is_refused(log: Path, tmp_path: Path) -> None:
    """An offer that the log's bundle held back earns nothing that anybody knows of: refused, and the gate does not pass."""
    bundle = tmp_path / "b"
    shutil.copytree(DEMO / "bundle", bundle)
    offers = bundle / "offers.yaml"
    lines = offers.read_text().splitlines()
    offers.write_text("\n".join(line for line in lines if "eligible_if" not in line and "suppress_if" not in line) + "\n")
    code, found = simulate(str(bundle), log, "--no-worse-than", "1")
    assert code == 3
    assert found["refusal"]["code"] in ("no_support", "unknowable", "unsupported")
    assert found["gate"]["passed"] is False


def test_open_windows_and_misuse_are_said(log: Path, tmp_path: Path) -> None:
    """Read at the log's own end no window has closed; a bundle with mistakes, a wrong credit and no log are misuse."""
    code, found = simulate(str(DEMO / "bundle"), log, "--read-at", "2000-01-01")
    assert (code, found["refusal"]["code"]) == (3, "open_windows")
    for more in (["--credit", "middle"], ["--window", "long"], ["--no-worse-than", "-1"], ["--keep", "x.csv"], ["--engine", "abacus"]):
        assert (
            CliRunner().invoke(make_app("simulate"), ["simulate", "--bundle", str(DEMO / "bundle"), "--log", str(log), *more]).exit_code
            == 2
        )
    assert simulate(str(DEMO / "bundle"), tmp_path / "none")[0] == 2
    assert simulate(str(tmp_path), log)[0] == 2
