"""`liftgate layers`, as a person at a shell meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from liftgate.app.cli.layers import app
from liftgate.app.cli.layers_print import picture
from liftgate.app.layers.plan import Wanted, plans
from liftgate.app.layers.randomness import count
from liftgate.bundle.load import load_bundle
from liftgate.measure.hypotheses import Hypothesis
from liftgate.measure.power import Metric, plan
from liftgate.selection.layers import Assigner

LAYERED = Path(__file__).parents[1] / "cases" / "bundles" / "layered"


def run(*arguments: object) -> Result:
    """Run `liftgate layers ...`."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


def told(*arguments: object) -> dict[str, Any]:
    """Return what a command says as JSON."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the layers of an answer by name."""
    return {one["layer"]: one for one in found["layers"]}


def test_show_says_everything_about_a_layer() -> None:
    """Arms with ranges and shares, coverage, phase, dates, targeting and what it is to show, in JSON and in words."""
    found = told("show", LAYERED, "--at", "2026-05-01T00:00:00Z")
    layers = by_name(found)
    values = layers["hero-values"]
    assert values["arms"][1] == {"arm": "dearer", "from": 0.5, "to": 1.0, "in_use_to": 0.7, "share": pytest.approx(0.1)}
    assert [values[key] for key in ("coverage", "space", "state", "n_star", "hypothesis")] == [0.4, 0.5, "running", 40000, "dearer-loan"]
    cart = layers["cart-by-visitor"]
    assert [cart[key] for key in ("state", "unit", "phase", "salt", "channels")] == [
        "planned",
        "visitor",
        2,
        ["layer", "cart-1", "2"],
        ["web"],
    ]
    assert layers["shipping-holdout"]["withholds"] == ["express", "free-shipping"]
    assert [part["layer"] for part in found["namespaces"]["hero"]] == ["hero-values", "hero-adults"]
    assert by_name(told("show", LAYERED, "--at", "2027-01-01T00:00:00Z"))["cart-by-visitor"]["state"] == "ended"
    text = run("show", LAYERED).stdout
    assert all(word in text for word in ("hero-values", "if profile.age >= 18", "namespace hero", "raising it moves nobody"))


def test_the_picture_is_the_range_from_left_to_right() -> None:
    """Letters are arms in use, dots what a coverage keeps for them, blanks no arm's; an arm too small for a cell has one all the same."""
    arms = by_name(told("show", LAYERED))["hero-values"]["arms"]
    assert picture(arms, 20) == "aaaa......bbbb......"
    assert picture(by_name(told("show", LAYERED))["hero-adults"]["arms"], 8) == "aaaabb  "
    assert picture(by_name(told("show", LAYERED))["impact"]["arms"], 10) == "bccccccccc"


def test_who_says_the_arm_that_a_decision_would_log() -> None:
    """For persons and visitors the arm is that of the pure function, and why is said for those who are not in."""
    layers = {layer.name: Assigner(layer) for layer in load_bundle(LAYERED).layers}
    for i in range(40):
        found = by_name(told("who", LAYERED, f"p-{i}", "--visitor", f"v-{i}"))
        for name, one in layers.items():
            arm = one.arm(f"v-{i}" if one.layer.unit == "visitor" else f"p-{i}")
            assert found[name]["arm"] == (one.layer.arms[arm].name if arm >= 0 else None)
            assert found[name]["why"]


def test_who_says_why_not() -> None:
    """A unit that is not named, a date, a placement, a channel, another part of the namespace, and what a coverage keeps are told apart."""
    layers = {layer.name: Assigner(layer) for layer in load_bundle(LAYERED).layers}
    values = layers["hero-values"]
    people = [f"p-{i}" for i in range(500)]
    kept = next(p for p in people if values.namespace_bucket(p) < 500_000 and 200_000 <= values.bucket(p) < 500_000)
    elsewhere = next(p for p in people if values.namespace_bucket(p) >= 500_000)
    assert "kept for control" in by_name(told("who", LAYERED, kept))["hero-values"]["why"]
    assert "namespace hero" in by_name(told("who", LAYERED, elsewhere))["hero-values"]["why"]
    assert by_name(told("who", LAYERED, kept))["cart-by-visitor"]["why"] == "drawn by visitor, and none is named"
    for options, wanted in (
        (("--placement", "home"), "does not look at home"),
        (("--placement", "cart", "--channel", "email"), "looks at web alone"),
        (("--at", "2026-05-01T00:00:00Z"), "begins at 2026-06-01T00:00:00Z"),
        (("--at", "2027-05-01T00:00:00Z"), "ended at 2027-01-01T00:00:00Z"),
    ):
        assert by_name(told("who", LAYERED, "--visitor", "v", *options))["cart-by-visitor"]["why"] == wanted
    assert "not in it" in run("who", LAYERED, kept).stdout
    adults = next(p for p in people if by_name(told("who", LAYERED, p))["hero-adults"]["arm"])
    assert by_name(told("who", LAYERED, adults))["hero-adults"]["if"] == "profile.age >= 18"


def test_check_counts_shares_and_independence() -> None:
    """Shares come out as declared, no pair of draws is dependent, and exploration and plans are there."""
    found = told("check", LAYERED, "--ids", 60_000, "--baseline", 0.04, "--lift", "10%", "--traffic-per-day", 20_000)
    assert found["objections"] == []
    assert len(found["pairs"]) == 7 * 6 // 2
    shares = {(one["layer"], arm["arm"]): arm for one in found["layers"] for arm in one["arms"]}
    assert shares["hero-values", "dearer"]["expected"] == pytest.approx(0.1)
    assert all(abs(arm["counted"] - arm["expected"]) < 0.01 for arm in shares.values())
    home = next(each for each in found["exploration"] if each["where"] == "home")
    assert (home["smallest_probability"], home["largest_weight"]) == (pytest.approx(0.1), pytest.approx(10))
    text = run("check", LAYERED, "--ids", 10_000).stdout
    assert all(word in text for word in ("The draw is what it says.", "largest weight", "needs --baseline"))


def test_check_objects_to_a_draw_that_is_not_what_it_says() -> None:
    """The control arm: two layers that share a salt are not independent, and are named."""
    bundle = load_bundle(LAYERED)
    layers = {layer.name: layer for layer in bundle.layers}
    twin = replace(layers["impact"], salt=layers["universal"].salt)
    found = count(replace(bundle, layers=(layers["universal"], twin)), 20_000, lambda _: None)
    assert [objection.partition(":")[0] for objection in found.objections] == ["layer universal and layer impact"]


HYPOTHESIS = Hypothesis(id="dearer-loan", what="Show it", why="It pays", expected_lift=0.1, metric="visit", owner="ana", n_star=30_000)


def test_days_follow_from_shares_and_traffic() -> None:
    """Units are those of `liftgate measure power` for the arms' shares, days those that traffic times coverage needs."""
    bundle = load_bundle(LAYERED)
    wanted = Wanted(baseline=0.04, units_a_day=20_000)
    found = {one["layer"]: one for one in plans(bundle, wanted, {"dearer-loan": HYPOTHESIS})}
    values = found["hero-values"]
    (need,) = plan(Metric.proportion(0.04), 0.004, {"control": 0.5, "dearer": 0.5}, "control")
    assert (values["units"], values["in_arms"], values["control"]) == (need.total, pytest.approx(0.2), "control")
    assert values["days"] == -(-need.total // 4_000)
    notes = " ".join(values["notes"])
    assert all(word in notes for word in ("metric is purchase", "30,000 frozen", "n_star 40,000 is below"))
    assert (found["universal"]["control"], found["impact"]["control"]) == ("holdout", "treatment")
    assert "needs --lift" in " ".join(found["universal"]["notes"])


def test_mistakes_end_in_words_and_code_2(tmp_path: Path) -> None:
    """A bad bundle, moment, placement, rate, or nobody named: the message says what is wanted."""
    (tmp_path / "b.yaml").write_text("bundle: x\n", encoding="utf-8")
    for arguments, wanted in (
        (("show", tmp_path), "has mistakes"),
        (("show", LAYERED, "--at", "yesterday"), "write 2026-11-01T00:00:00Z"),
        (("who", LAYERED), "name a PERSON"),
        (("who", LAYERED, "ada", "--placement", "nowhere"), "the bundle has cart, home"),
        (("check", LAYERED, "--baseline", "1.5"), "between 0 and 1"),
        (("check", LAYERED, "--baseline", "0.04", "--lift", "much"), "write 5% or 0.05"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert wanted in result.stderr


def test_showing_layers_loads_nothing_that_measures() -> None:
    """`show` and `who` import neither scipy nor what measures, from a process of its own; help names the three commands."""
    code = "import sys; from liftgate.app.cli.main import main\ntry:\n main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "assert not {'scipy', 'pandas', 'duckdb', 'pyarrow', 'sklearn'} & set(sys.modules), sorted(sys.modules)"
    for arguments in (("layers", "show", LAYERED), ("layers", "who", LAYERED, "ada"), ("layers", "--help")):
        result = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, "")
    assert all(word in result.stdout for word in ("show", "who", "check"))
