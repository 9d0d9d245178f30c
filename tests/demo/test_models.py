"""The demo's models: what is shipped is what the script makes, and it is decent and imperfect."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from liftgate.adapters.onnx_runtime import ort
from liftgate.bundle.manifest import Manifest
from liftgate.demo import make_models
from liftgate.demo.people import people
from liftgate.demo.shop import BUNDLE, MODELS
from liftgate.demo.truth import Truth
from liftgate.domain.input import Floats

NAMES = ("purchase_7d", "purchase_7d_context")


def manifest(name: str, folder: Path = MODELS) -> Manifest:
    """Return a model's manifest, validated."""
    return Manifest.model_validate(YAML(typ="safe").load((folder / name / "1" / "model.yaml").read_text()))


def answers(name: str, rows: Floats, folder: Path = MODELS) -> Floats:
    """Return a model's probabilities, straight from ONNX Runtime."""
    session = ort.InferenceSession((folder / name / "1" / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    found: Floats = session.run(["probabilities"], {"inputs": rows.astype(np.float32)})[0].astype(np.float64)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_manifest_fits_the_model(name: str) -> None:
    """Digest and size are the file's, and the golden vectors come out to 1e-5."""
    raw, told = (MODELS / name / "1" / "model.onnx").read_bytes(), manifest(name)
    assert (hashlib.sha256(raw).hexdigest(), len(raw)) == (told.sha256, told.size)
    assert np.abs(answers(name, np.array(told.golden.inputs)) - np.array(told.golden.outputs)).max() <= 1e-5


def test_script_makes_what_is_shipped(tmp_path: Path) -> None:
    """Training anew gives the same probabilities as the models in the package."""
    make_models.main(tmp_path)
    for name in NAMES:
        rows = np.array(manifest(name).golden.inputs)
        assert np.abs(answers(name, rows, tmp_path) - answers(name, rows)).max() <= 1e-6


def test_model_is_decent_and_imperfect() -> None:
    """On new people the model's own first choice buys more than a random offer would, and less than the best one."""
    shoppers = people(20_000, 77)
    world = Truth(shoppers, 77)
    offers = [output.name for output in manifest("purchase_7d").outputs]
    truth = world.seen[:, [world.index[offer] for offer in offers]]
    guess = answers("purchase_7d", make_models.profile_matrix(shoppers))
    random, picked, best = truth.mean(), truth[np.arange(len(truth)), guess.argmax(axis=1)].mean(), truth.max(axis=1).mean()
    assert random + 0.3 * (best - random) < picked < best - 0.02 * (best - random)
    assert np.abs(guess - truth).mean() < 0.03
    assert guess.mean() == pytest.approx(truth.mean(), abs=0.005)


def test_training_saw_the_bundles_defaults() -> None:
    """What training put in the place of old values is what the bundle declares as their default."""
    features = YAML(typ="safe").load((BUNDLE / "shop.yaml").read_text())["features"]
    shoppers = people(5_000, 1)
    names = {column.input.removeprefix("profile.") for column in make_models.PROFILE_COLUMNS}
    assert shoppers.stale.keys() & names
    for i, column in enumerate(make_models.PROFILE_COLUMNS):
        name = column.input.removeprefix("profile.")
        if name in shoppers.stale:
            found = make_models.profile_matrix(shoppers)[shoppers.stale[name], i]
            assert set(found.tolist()) == {features[name]["default"]}
