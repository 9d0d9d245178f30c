"""Levers, minima and the like in a replay: what changes with them is worked out anew, and what the record does not hold is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.bundle.load import load_bundle
from liftgate.replay.compare import Comparison, compare
from liftgate.replay.logged import read_logged
from tests.pipeline.workbench import BUNDLES
from tests.replay.logbook import write_log

WORTH = BUNDLES / "worth"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 decisions under the bundle of the golden cases of worth."""
    directory = tmp_path_factory.mktemp("log")
    write_log(directory, load_bundle(WORTH), people=150, rounds=4, slots=3)
    return directory


def against(log: Path, tmp_path: Path, before: str, after: str) -> Comparison:
    """Compare the log's bundle with one in which a text is replaced."""
    folder = tmp_path / "bundle"
    shutil.copytree(WORTH, folder)
    text = (folder / "bundle.yaml").read_text(encoding="utf-8")
    assert text.count(before) == 1
    (folder / "bundle.yaml").write_text(text.replace(before, after), encoding="utf-8")
    old, new = load_bundle(WORTH), load_bundle(folder)
    found = compare(read_logged(log), (old, OnnxModels.load(old)), (new, OnnxModels.load(new)))
    assert (found.not_reproduced, found.not_again) == (0, {})
    return found


def test_a_changed_lever_moves_shares_and_no_reason(log: Path, tmp_path: Path) -> None:
    """Pulled the other way, a lever loses its offer the place; who may have it stays."""
    found = against(log, tmp_path, "{name: push, percent: 50}", "{name: push, percent: -50}")
    assert not found.unknowable
    assert found.offers["pushed"].after < found.offers["pushed"].before
    assert {offer for offer, _, _ in found.reasons} <= {"pushed"}


def test_a_minimum_that_is_taken_away_lets_in_what_it_kept_out(log: Path, tmp_path: Path) -> None:
    """What was below the minimum is allowed without it, and the record is enough to say so."""
    found = against(log, tmp_path, "minimum_value: 1.5, ", "")
    assert not found.unknowable
    moves = {(before, after) for _, before, after in found.reasons}
    assert ("BELOW_THRESHOLD", "ALLOWED") in moves
    assert all(before == "BELOW_THRESHOLD" for before, _ in moves)


def test_a_minimum_that_nothing_reaches_shows_nothing(log: Path, tmp_path: Path) -> None:
    """A minimum above everything keeps every offer of its placement out, and no default stands in."""
    found = against(log, tmp_path, "minimum_value: 1.5, ", "minimum_value: 1000.0, ")
    assert ("pushed", "ALLOWED", "BELOW_THRESHOLD") in found.reasons
    assert any(example.before and not example.after for example in found.examples)


def test_a_lever_on_what_the_record_does_not_hold_is_said(log: Path, tmp_path: Path) -> None:
    """A lever on an input that is new to the bundle leaves decisions open where its offer is allowed, and no others."""
    before = "  basket: {type: float}\n"
    folder = tmp_path / "first"
    shutil.copytree(WORTH, folder)
    text = (folder / "bundle.yaml").read_text(encoding="utf-8")
    text = text.replace(before, before + "  weather: {type: int}\n").replace("percent: 50}", "percent: 50, if: 'context.weather > 20'}")
    (folder / "bundle.yaml").write_text(text, encoding="utf-8")
    old, new = load_bundle(WORTH), load_bundle(folder)
    found = compare(read_logged(log), (old, OnnxModels.load(old)), (new, OnnxModels.load(new)))
    assert set(found.unknowable) == {"not in the record: context.weather as a lever or context weight would have read it"}
    assert 0 < found.compared < found.read
