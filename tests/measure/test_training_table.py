"""What a log gives to train on: decisions that were seen, and no outcome that came late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from liftgate.app.cli.measure import app
from liftgate.record.frame import Stream
from liftgate.v1.record_pb2 import DecisionRecord, EventRecord, SlotProbabilities
from tests.measure.log_files import HOUR_MS, START_MS, decided, happened, write

TABLE = ("table", "--per", "decision", "--window", "7d", "--read-at", "2026-02-01", "--metric", "purchase")


def a_log(directory: Path, events: list[bytes]) -> Path:
    """Six people with a decision each."""
    decisions = []
    for i in range(6):
        record = DecisionRecord.FromString(decided(i, i, "treatment", START_MS))
        record.slot_count = 1
        record.candidate_offer_id.extend(["a", "b"])
        record.candidate_propensity.extend([0.5, 0.5])
        record.slots.append(SlotProbabilities(probability=[0.5, 0.5]))
        decisions.append(record.SerializeToString())
    write(directory, Stream.DECISION, decisions)
    write(directory, Stream.EVENT, events, writer=2)
    return directory


def late(raw: bytes) -> bytes:
    """Return an event as it stands in the log when it came late."""
    event = EventRecord.FromString(raw)
    event.late = True
    return event.SerializeToString()


def run(*words: str) -> tuple[int, dict[str, Any]]:
    """A command's exit code and JSON."""
    result = CliRunner().invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout or result.stderr)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """0 to 2 saw what was chosen, 3 after their consent was gone, 4 and 5 saw nothing. All but 2 and 5 bought; that 1 did was told late."""
    at = START_MS + HOUR_MS
    seen = [happened(10 + i, i, "exposure", at, decision=i) for i in range(3)]
    seen.append(happened(13, 3, "exposure", at, decision=3, reason="CONSENT_REVOKED"))
    bought = [happened(20 + i, i, "purchase", at, 9.0) for i in (0, 3, 4)]
    return a_log(tmp_path / "log", [*seen, *bought, late(happened(21, 1, "purchase", at, 9.0))])


@pytest.mark.parametrize(("train", "rewards"), [(True, [0.0, 0.0, 1.0]), (False, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0])])
def test_only_what_was_seen_and_came_in_time(log: Path, tmp_path: Path, train: bool, rewards: list[float]) -> None:
    """With `--train` an unseen decision gives no row and a late event no reward; measurement has both, for both happened."""
    out = tmp_path / "table.parquet"
    code, found = run(*TABLE, "--log", str(log), "--out", str(out), *(["--train"] if train else []))
    assert (code, found["rows"]) == (0, len(rewards))
    assert sorted(pq.read_table(out)["reward"].to_pylist()) == rewards


def test_decisions_that_nobody_saw_give_nothing_to_train_on(tmp_path: Path) -> None:
    """Without an exposure there is no row at all, and the refusal says why; it is a question of decisions alone."""
    log = a_log(tmp_path / "log", [happened(1, 1, "purchase", START_MS + HOUR_MS, 9.0)])
    code, found = run(*TABLE, "--log", str(log), "--out", str(tmp_path / "table.parquet"), "--train")
    assert (code, found["refusal"]["code"]) == (3, "no_rows")
    assert "whose exposure was told" in found["refusal"]["why"]
    assert run("table", "--log", str(log), "--window", "7d", "--out", str(tmp_path / "people.parquet"), "--train")[0] == 2
