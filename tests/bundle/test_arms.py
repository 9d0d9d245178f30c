"""Arms as a bundle says them: what changes its digest, which models it needs, and what it makes of both."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import check_bundle, check_texts, load_bundle

ARMS = Path(__file__).parents[1] / "cases" / "bundles" / "arms"
CHANGES = {
    "models: {likes: 2}": "models: {likes: fond}",
    "values: {plain: 5.0}}}}\n  explored": "values: {plain: 5.5}}}}\n  explored",
    "minimum_value: 1.8": "minimum_value: 1.9",
    "more: {share: 1, select: {policy: uniform}}": "more: {share: 1, select: {policy: epsilon_greedy, epsilon: 0.3}}",
    "other: {share: 1, offers: [plain, extra]}": "other: {share: 1, offers: [plain, extra, better]}",
    "arms: {no_levers: 1.0}": "arms: {random_propensity: 1.0}",
}


def edited(tmp_path: Path, before: str, after: str) -> Bundle:
    """Return the bundle of arms with one change."""
    folder = shutil.copytree(ARMS, tmp_path / "arms")
    text = (folder / "bundle.yaml").read_text(encoding="utf-8")
    assert before in text
    (folder / "bundle.yaml").write_text(text.replace(before, after, 1), encoding="utf-8")
    return load_bundle(folder)


@pytest.mark.parametrize("before", CHANGES)
def test_whatever_an_arm_changes_is_in_the_digest(before: str, tmp_path: Path) -> None:
    """Another model, value, threshold, policy, offer or ablation in an arm is another bundle."""
    assert edited(tmp_path, before, CHANGES[before]).digest != load_bundle(ARMS).digest


def test_the_order_of_an_arms_offers_is_not(tmp_path: Path) -> None:
    """An arm that names the same offers in another order is the same arm."""
    assert edited(tmp_path, "offers: [plain, extra]", "offers: [extra, plain]").digest == load_bundle(ARMS).digest


def test_a_version_that_only_an_arm_uses_is_pinned_too(tmp_path: Path) -> None:
    """Its manifest is read, its file is weighed, and other weights under the same version are another bundle."""
    bundle = load_bundle(ARMS)
    assert [(spec.name, spec.version) for spec in bundle.models] == [("fond", 1), ("likes", 1), ("likes", 2)]
    folder = shutil.copytree(ARMS, tmp_path / "arms")
    manifest = folder / "models" / "likes" / "2" / "model.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("base_rate: 0.5", "base_rate: 0.4"), encoding="utf-8")
    assert load_bundle(folder).digest != bundle.digest
    (folder / "models" / "likes" / "2" / "model.onnx").write_bytes(b"other")
    assert "bytes" in str(check_bundle(folder).mistakes)


def test_a_bundle_of_arms_is_had_from_the_texts_that_a_log_keeps() -> None:
    """The files and manifests that go with a log give the same bundle, versions of arms included."""
    bundle = load_bundle(ARMS)
    again = check_texts(bundle.texts, Path("models"))
    assert again.bundle is not None
    assert again.bundle.digest == bundle.digest
    assert [(spec.name, spec.version) for spec in again.bundle.models] == [(spec.name, spec.version) for spec in bundle.models]


def test_an_arms_offers_are_candidates_of_its_placements_alone() -> None:
    """What an arm adds is a candidate at the layer's placements for everybody, and nowhere else."""
    bundle = load_bundle(ARMS)
    extra = bundle.offer_index["extra"]
    there = {place.placement_id for place in bundle.placements if extra in place.offers}
    assert there == {"fewer", "as-many"}
    assert bundle.variation.own_candidates is not None
    assert not bundle.variation.own_candidates[:, extra].any()
