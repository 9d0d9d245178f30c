"""What a replay makes of arms: it decides with those that were logged, and says where another bundle's are not known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.replay.compare import Comparison, compare
from liftgate.replay.logged import read_logged
from tests.pipeline.workbench import BUNDLES
from tests.replay.logbook import write_log

MOVED = "not in the record: which arm a layer that is new or has moved would have put the person in"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log of decisions in arms of every kind."""
    folder = tmp_path_factory.mktemp("arms")
    write_log(folder, load_bundle(BUNDLES / "arms"), people=100, rounds=4, slots=2)
    return folder


def edited(tmp_path: Path, before: str, after: str) -> Bundle:
    """Return the bundle of arms with one change."""
    folder = shutil.copytree(BUNDLES / "arms", tmp_path / "arms")
    text = (folder / "bundle.yaml").read_text(encoding="utf-8")
    assert text.count(before) == 1
    (folder / "bundle.yaml").write_text(text.replace(before, after), encoding="utf-8")
    return load_bundle(folder)


def against(log: Path, bundle: Bundle) -> Comparison:
    """Decide the log again under its own bundle and another."""
    own = load_bundle(BUNDLES / "arms")
    return compare(read_logged(log), (own, OnnxModels.load(own)), (bundle, OnnxModels.load(bundle)))


def test_an_arm_that_changes_something_else_changes_its_own_people_alone(log: Path, tmp_path: Path) -> None:
    """Another value in an arm is decided with the arms as logged: nothing is left open, and only that placement's answers move."""
    found = against(
        log,
        edited(tmp_path, "dear: {share: 1, values: {plain: 5.0}}}}\n  explored", "dear: {share: 1, values: {plain: 1.5}}}}\n  explored"),
    )
    assert (found.not_reproduced, dict(found.unknowable)) == (0, {})
    assert 0 < found.changed < 0.1 * found.read
    assert found.offers["better"].after > found.offers["better"].before


def test_a_layer_that_moved_leaves_its_placement_open(log: Path, tmp_path: Path) -> None:
    """Under another salt nobody's arm is known: the decisions at the layer's placement are counted and not guessed, others are decided."""
    found = against(log, edited(tmp_path, "salt: l6,", "salt: l6-next,"))
    assert set(found.unknowable) == {MOVED}
    assert 0 < found.unknowable[MOVED] < 0.15 * found.read
    assert (found.compared, found.changed) == (found.read - found.unknowable[MOVED], 0)


def test_an_arms_model_is_the_one_that_scores_again(log: Path, tmp_path: Path) -> None:
    """Another model in an arm changes the propensities that its people alone are decided by."""
    found = against(log, edited(tmp_path, "models: {likes: 2}", "models: {likes: fond}"))
    assert (found.not_reproduced, dict(found.unknowable)) == (0, {})
    assert found.changed > 0
    assert found.offers["liked"].after < found.offers["liked"].before
