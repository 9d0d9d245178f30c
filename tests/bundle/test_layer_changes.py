"""What is frozen in a layer that runs, what may change, and what is said of memories that people bring along."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.layer_changes import carry_over, openings, refused, refused_to_publish
from liftgate.bundle.load import load_bundle

LAYERED = Path(__file__).parents[1] / "cases" / "bundles" / "layered" / "bundle.yaml"
NOW_MS = 1_781_524_800_000
"""2026-06-15: the visitors' experiment has begun."""

VALUES = "metric: {}\n    n_star: 40000\n    exclusive: {{name: hero, from: 0.0"
VISITORS = "n_star: {}\n    arms: {{control: 0.5, loans"
SHIPPING, IMPACT = (
    "  shipping-holdout: ",
    "  impact: {kind: ablation, salt: impact-1, arms: {random_allowed: 0.02, eligibility_only: 0.02}}\n",
)
ARMS = "arms: {control: 0.5, loans: {share: 0.5, offers: [loan]}}"
FROZEN = {
    "share of an arm": ("hero-values", "arms: {control: 0.5, dearer: {share: 0.5", "arms: {control: 0.4, dearer: {share: 0.5", "arms"),
    "an arm's range": ("hero-adults", "cheaper: {share: 0.25,", "cheaper: {share: 0.25, from: 0.7,", "arms"),
    "an arm's name": ("hero-adults", "arms: {control: 0.5, cheaper", "arms: {as-is: 0.5, cheaper", "arms"),
    "order of arms": ("cart-by-visitor", ARMS, "arms: {loans: {share: 0.5, offers: [loan]}, control: 0.5}", "arms"),
    "salt": ("hero-values", "salt: hero-1", "salt: hero-9", "salt"),
    "unit": ("cart-by-visitor", "unit: visitor", "unit: session", "unit"),
    "metric": ("hero-values", VALUES.format("purchase"), VALUES.format("visit"), "metric"),
    "n_star": ("cart-by-visitor", VISITORS.format(40000), VISITORS.format(40001), "n_star"),
    "hypothesis": ("hero-values", "hypothesis: dearer-loan", "hypothesis: other", "hypothesis"),
    "namespace": ("hero-values", "from: 0.0, to: 0.5", "from: 0.0, to: 0.4", "exclusive"),
    "beginning": ("cart-by-visitor", "from: 2026-06-01T00:00:00Z", "from: 2026-06-02T00:00:00Z", "from"),
    "kind": (
        "shipping-holdout",
        f"{SHIPPING}{{kind: holdout, groups: [shipping], salt: ship-1, share: 0.1, answer: next_best}}\n{IMPACT}",
        f"{SHIPPING}{{kind: model_control, salt: ship-1, share: 0.1}}\n",
        "kind",
    ),
}


def changed(tmp_path: Path, *replacements: tuple[str, str]) -> Bundle:
    """Return the bundle with texts replaced; each must be there."""
    text = LAYERED.read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "bundle.yaml").write_text(text, encoding="utf-8")
    return load_bundle(tmp_path)


@pytest.fixture(scope="module")
def layered() -> Bundle:
    """The bundle in force."""
    return load_bundle(LAYERED.parent)


@pytest.mark.parametrize("name", FROZEN)
def test_what_is_frozen_is_refused(layered: Bundle, tmp_path: Path, name: str) -> None:
    """A change within a phase that runs is refused by publish and by reload, at the layer's key, with the new phase as the mend."""
    layer, old, new, key = FROZEN[name]
    after = changed(tmp_path, (old, new))
    found = refused(layered, after, NOW_MS)
    assert [mistake.field for mistake in found] == [f"layers.{layer}.{key}"]
    assert "phase" in found[0].problem
    assert "`phase: " in found[0].mend
    assert found[0].file == "bundle.yaml"
    assert found[0].line > 0
    assert refused_to_publish(layered, after, NOW_MS) == found


def test_nothing_is_frozen_before_the_start(layered: Bundle, tmp_path: Path) -> None:
    """A layer whose beginning is still to come, or that has nobody in an arm, may change in any way."""
    _, old, new, _ = FROZEN["n_star"]
    assert refused(layered, changed(tmp_path, (old, new)), 0) == []
    empty = changed(tmp_path, ("coverage: 0.4", "coverage: 0"))
    _, old, new, _ = FROZEN["salt"]
    assert refused(empty, changed(tmp_path, (old, new)), NOW_MS) == []


def test_a_new_phase_may_change_everything_and_is_on_record(layered: Bundle, tmp_path: Path) -> None:
    """With a raised phase shares, salt, metric and N* change; the phase is said for the audit chain, and carry-over is warned of."""
    edits = [FROZEN[name][1:3] for name in ("share of an arm", "hypothesis")]
    after = changed(tmp_path, ("salt: hero-1\n", "salt: hero-9\n    phase: 2\n"), *edits)
    assert refused_to_publish(layered, after, NOW_MS) == []
    assert openings(layered, after) == ["opens phase 2 of layer hero-values"]
    (caution,) = carry_over(layered, after, NOW_MS)
    assert caution.field == "layers.hero-values.phase"
    assert "follows phase 1" in caution.text


def test_a_ramp_goes_up_alone(layered: Bundle, tmp_path: Path) -> None:
    """Coverage and a holdout's share may grow, and be 0; publish refuses to shrink them, and a reload may go back by a rollback."""
    for old, up, down, off in (
        ("coverage: 0.4", "coverage: 0.9", "coverage: 0.2", "coverage: 0"),
        ("salt: universal-2026h2, share: 0.05", "salt: universal-2026h2, share: 0.06", "salt: universal-2026h2, share: 0.04", None),
    ):
        assert refused_to_publish(layered, changed(tmp_path, (old, up)), NOW_MS) == []
        smaller = changed(tmp_path, (old, down))
        (mistake,) = refused_to_publish(layered, smaller, NOW_MS)
        assert "people would fall out" in mistake.problem
        assert refused(layered, smaller, NOW_MS) == []
        assert off is None or refused_to_publish(layered, changed(tmp_path, (old, off)), NOW_MS) == []
    grown = carry_over(layered, changed(tmp_path, ("share: 0.05", "share: 0.06")), NOW_MS)
    assert [caution.text for caution in grown] == ["grows from 0.05 to 0.06: who is new to it was treated until now"]


def test_an_earlier_phase_is_for_rollbacks_alone(layered: Bundle, tmp_path: Path) -> None:
    """Publish refuses a phase below the one in force, which a rollback and its reload may bring back."""
    back = changed(tmp_path, ("phase: 2", "phase: 1"))
    (mistake,) = refused_to_publish(layered, back, NOW_MS)
    assert (mistake.field, refused(layered, back, NOW_MS)) == ("layers.cart-by-visitor.phase", [])


def test_another_name_is_no_way_around(layered: Bundle, tmp_path: Path) -> None:
    """A layer under another name with the same salt is the same layer: its shares are frozen."""
    renamed = changed(tmp_path, ("  hero-adults:\n", "  hero-grown-ups:\n"), ("cheaper: {share: 0.25,", "cheaper: {share: 0.3,"))
    assert [mistake.field for mistake in refused(layered, renamed, NOW_MS)] == ["layers.hero-grown-ups.arms"]


def test_whom_it_looks_at_and_what_arms_do_is_warned_of(layered: Bundle, tmp_path: Path) -> None:
    """A changed condition, channel or arm within a phase is allowed, and said to mix two effects."""
    after = changed(
        tmp_path, ("if: profile.age >= 18", "if: profile.age >= 21"), ("channels: [web]", "channels: [app]"), ("loan: 9.0", "loan: 8.0")
    )
    assert refused_to_publish(layered, after, NOW_MS) == []
    assert sorted(caution.field for caution in carry_over(layered, after, NOW_MS)) == [
        "layers.cart-by-visitor.channels",
        "layers.hero-adults.if",
        "layers.hero-values.arms.dearer",
    ]


def test_a_reused_range_is_warned_of(layered: Bundle, tmp_path: Path) -> None:
    """An experiment in a part of a namespace that another had until now is said to inherit its people; and that the other is gone."""
    after = changed(tmp_path, ("  hero-values:\n", "  hero-next:\n"), ("salt: hero-1", "salt: hero-3"))
    found = carry_over(layered, after, NOW_MS)
    assert [caution.field for caution in found] == ["layers.hero-values", "layers.hero-next.exclusive"]
    assert "layer `hero-values` had" in found[1].text
    assert carry_over(layered, layered, NOW_MS) == []


def test_layout_and_order_of_layers_change_nothing(layered: Bundle, tmp_path: Path) -> None:
    """Comments and key order leave the digest alone; the order of arms, which says where they begin, does not."""
    same = changed(tmp_path, ("# Layers of every kind", "# layers"), ("salt: cart-1\n    phase: 2", "phase: 2\n    salt: cart-1"))
    assert same.digest == layered.digest
    _, old, new, _ = FROZEN["order of arms"]
    assert changed(tmp_path, (old, new)).digest != layered.digest
