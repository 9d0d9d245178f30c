"""Power: the published numbers, the promise kept in simulation, and plans of several arms."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.measure.power import (
    Metric,
    control_units,
    days_needed,
    plan,
    power_of,
    smallest_change_of_rate,
    smallest_effect,
)

ORACLE = Path(__file__).parents[2] / "../shared/oracle/09_power_proportions.json"
with_oracle = pytest.mark.skipif(not ORACLE.is_file(), reason=f"THE ORACLE OF POWER DID NOT RUN: {ORACLE} is not there")
RUNS = 1_000


def _oracle() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ORACLE.read_text())
    return found


@with_oracle
def test_units_power_and_mde_equal_the_oracle() -> None:
    """Every convention gives the published units, power and smallest effect."""
    case = _oracle()
    rtol = case["tolerance"]["rtol"]
    for name, inputs in case["inputs"].items():
        want, metric, effect = case["expected"][name], Metric.proportion(inputs["p1"]), inputs["p2"] - inputs["p1"]
        alpha, power = inputs["alpha"], inputs["power"]
        got = {
            "n_per_arm_wald_unpooled": control_units(metric, effect, 1, alpha, power),
            "n_per_arm_pooled_null": control_units(metric, effect, 1, alpha, power, "pooled_null"),
            "n_per_arm_arcsine_statsmodels": control_units(metric, effect, 1, alpha, power, "arcsine"),
            "n_per_arm_statsmodels_score_2sided": control_units(metric, effect, 1, alpha, power, "pooled_null"),
            "n_control_wald_ratio9": control_units(metric, effect, 9, alpha, power),
            "power_at_10000_statsmodels": power_of(metric, effect, 10_000, 10_000, alpha, "pooled_null"),
            "mde_abs_at_10000_per_arm_equal_var": smallest_effect(metric.sd, 10_000, 10_000, alpha, power),
        }
        assert got.keys() == want.keys()
        for key, number in want.items():
            assert got[key] == pytest.approx(number, rel=rtol, abs=0), (name, key)


def test_a_mean_equals_the_formula_worked_by_hand() -> None:
    """sd 12, 500 against 1,500 units: (1.959964 + 0.841621) * 12 * sqrt(1/500 + 1/1500)."""
    assert smallest_effect(12, 500, 1_500) == pytest.approx(2.801585 * 12 * math.sqrt(1 / 500 + 1 / 1_500), rel=1e-6)


@given(
    st.floats(0.001, 0.9),
    st.floats(0.02, 0.3),
    st.floats(0.05, 20),
    st.sampled_from([0.8, 0.9]),
)
def test_units_and_smallest_effect_undo_each_other(rate: float, lift: float, ratio: float, power: float) -> None:
    """The smallest rise that the needed units find is the effect that was asked for; so for a mean with the house formula."""
    metric = Metric.proportion(rate)
    effect = min(rate * lift, (1 - rate) / 2)
    n_control = control_units(metric, effect, ratio, 0.05, power)
    assert smallest_change_of_rate(rate, n_control * ratio, n_control, 0.05, power)[0] == pytest.approx(effect, rel=1e-6)
    mean = Metric.mean(10, 3)
    n_control = control_units(mean, effect, ratio, 0.05, power)
    assert smallest_effect(3, n_control * ratio, n_control, 0.05, power) == pytest.approx(effect)


@given(st.floats(0.01, 0.5), st.floats(0.001, 0.05), st.integers(100, 10_000))
def test_more_units_more_power(rate: float, effect: float, n: int) -> None:
    """Power never falls with units, and lies between alpha and 1."""
    metric = Metric.proportion(rate)
    small, large = power_of(metric, effect, n, n), power_of(metric, effect, 2 * n, 2 * n)
    assert 0.05 <= small <= large <= 1


@pytest.mark.parametrize("ratio", [1.0, 19.0])
@pytest.mark.parametrize("effect", [0.02, 0.0])
def test_the_promise_is_kept(ratio: float, effect: float) -> None:
    """With the units of a plan, a planted effect is found in 80 % of experiments and no effect in 5 %, within 3.3 standard errors."""
    metric, dice = Metric.proportion(0.1), np.random.default_rng(9)
    n_control = math.ceil(control_units(metric, 0.02, ratio))
    n_treatment = math.ceil(n_control * ratio)
    control = dice.binomial(n_control, 0.1, RUNS) / n_control
    treatment = dice.binomial(n_treatment, 0.1 + effect, RUNS) / n_treatment
    se = np.sqrt(control * (1 - control) / (n_control - 1) + treatment * (1 - treatment) / (n_treatment - 1))
    found = float(np.mean(np.abs(treatment - control) / se > 1.959964))
    promised = 0.8 if effect else 0.05
    assert abs(found - promised) < 3.3 * math.sqrt(promised * (1 - promised) / RUNS)


def test_several_arms_each_get_what_they_need() -> None:
    """Each arm is planned against the control with its own share; a smaller arm makes the experiment longer."""
    needs = plan(Metric.proportion(0.1), 0.01, {"none": 0.5, "mens": 0.4, "womens": 0.1}, "none")
    assert [need.arm for need in needs] == ["mens", "womens"]
    assert needs[0].total < needs[1].total
    for need, share in zip(needs, (0.4, 0.1), strict=True):
        assert need.n_treatment == pytest.approx(need.total * share, abs=1)
        assert need.n_control == pytest.approx(need.total * 0.5, abs=1)
        assert power_of(Metric.proportion(0.1), 0.01, need.n_treatment, need.n_control) == pytest.approx(0.8, abs=2e-3)


def test_days_are_whole_and_enough() -> None:
    """1,001 units at 100 a day take 11 days."""
    assert days_needed(1_001, 100) == 11
    assert days_needed(1_000, 100) == 10


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Metric.proportion(1.2), "between 0 and 1"),
        (lambda: Metric.mean(1, 0), "above 0"),
        (lambda: control_units(Metric.proportion(0.5), 0.6), "no rate"),
        (lambda: control_units(Metric.proportion(0.5), 0.0), "cannot be found"),
        (lambda: control_units(Metric.mean(5, 1), 0.1, convention="arcsine"), "for rates"),
        (lambda: plan(Metric.proportion(0.5), 0.1, {"a": 0.9, "b": 0.3}, "a"), "above 1"),
        (lambda: plan(Metric.proportion(0.5), 0.1, {"a": 0.5, "b": 0.3}, "c"), "no share"),
        (lambda: smallest_effect(1, 10, 10, 0.05, 0.01), "power"),
        (lambda: days_needed(5, 0), "above 0"),
    ],
)
def test_what_cannot_be_planned_is_refused(call: Any, says: str) -> None:
    """A plan that makes no sense is an error that says why."""
    with pytest.raises(ValueError, match=says):
        call()
