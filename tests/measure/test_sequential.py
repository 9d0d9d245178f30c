"""The confidence sequence: its formula, and 50 peeks at nothing that the fixed interval does not survive and the sequence does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.measure.sequential import Look, always_valid_p, confidence_sequence, first_exclusion, half_width, mixture

RUNS, PEEKS, N_ARM = 1_000, 50, 5_000


def _runs(effect: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return units an arm at each peek, and differences and standard errors, runs x peeks, of Poisson-like spend with many zeros."""
    dice = np.random.default_rng(seed)
    each = N_ARM // PEEKS
    units = each * np.arange(1, PEEKS + 1)

    def arm(rate: float) -> tuple[np.ndarray, np.ndarray]:
        drawn = dice.binomial(1, rate, (RUNS, N_ARM)).astype(np.float32) * dice.exponential(1.0, (RUNS, N_ARM)).astype(np.float32)
        sums = drawn.reshape(RUNS, PEEKS, each).sum(2, dtype=np.float64).cumsum(1)
        squares = (drawn**2).reshape(RUNS, PEEKS, each).sum(2, dtype=np.float64).cumsum(1)
        means = sums / units
        return means, (squares - units * means**2) / (units - 1)

    (treated, var_t), (control, var_c) = arm(0.3 + effect), arm(0.3)
    return units, treated - control, np.sqrt((var_t + var_c) / units)


def test_50_peeks_fool_the_fixed_interval_and_not_the_sequence() -> None:
    """Without an effect, stopping at any of 50 looks errs in far more than 5 % with the fixed interval, and in less with the sequence."""
    units, difference, se = _runs(0.0, 50)
    widths = np.array([half_width(1.0, 2 * n, N_ARM) for n in units])
    fixed = float(np.mean(np.any(np.abs(difference) > 1.959964 * se, axis=1)))
    sequence = float(np.mean(np.any(np.abs(difference) > widths * se, axis=1)))
    print(f"{RUNS} runs, {PEEKS} peeks: fixed interval errs in {fixed:.1%}, the sequence in {sequence:.1%}")
    assert fixed > 0.2
    assert sequence < 0.05


def test_a_real_effect_is_found_and_covered() -> None:
    """The sequence covers a planted effect at all 50 looks in 95 % of runs, and excludes 0 before the end in most."""
    units, difference, se = _runs(0.1, 51)
    widths = np.array([half_width(1.0, 2 * n, N_ARM) for n in units]) * se
    covered = float(np.mean(np.all(np.abs(difference - 0.1) <= widths, axis=1)))
    found = float(np.mean(np.any(np.abs(difference) > widths, axis=1)))
    print(f"{RUNS} runs: covered at every look in {covered:.1%}, found in {found:.1%}")
    assert covered >= 0.95
    assert found > 0.9


def test_the_width_is_the_formula_worked_by_hand() -> None:
    """se 0.01, N 10,000, N* 20,000, alpha 0.05."""
    r2 = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 20_000
    want = 0.01 * 100 * math.sqrt(2 * (10_000 * r2 + 1) / (1e8 * r2) * math.log(math.sqrt(10_000 * r2 + 1) / 0.05))
    assert mixture(0.05, 20_000) ** 2 == pytest.approx(r2)
    assert half_width(0.01, 10_000, 20_000) == pytest.approx(want, rel=1e-12)


@given(st.integers(100, 10**6), st.integers(100, 10**6), st.sampled_from([0.01, 0.05, 0.1]))
def test_it_is_wider_than_the_fixed_interval_and_narrowest_about_n_star(n: int, n_star: int, alpha: float) -> None:
    """At any N the sequence is wider than the fixed interval; choosing N* = N is within 1 % of the best choice of N* for that N."""
    from scipy.special import ndtri

    width = half_width(1.0, n, n_star, alpha)
    assert width > float(ndtri(1 - alpha / 2))
    assert half_width(1.0, n, n, alpha) <= width * 1.01


@given(st.floats(-5, 5), st.integers(100, 10**5), st.integers(100, 10**5))
def test_the_p_value_and_the_interval_say_the_same(z: float, n: int, n_star: int) -> None:
    """The always-valid p-value is below alpha exactly where the sequence excludes 0."""
    if abs(abs(z) - half_width(1.0, n, n_star)) > 1e-6:
        assert (always_valid_p(z, 1.0, n, n_star) < 0.05) == (abs(z) > half_width(1.0, n, n_star))


def _look(n: int, difference: float, variance: float = 1.0) -> Look:
    return Look(f"look {n}", n, n, difference, 0.0, variance, variance)


def test_the_first_exclusion_stands_and_p_never_rises() -> None:
    """The first look that excludes 0 is the one to stop at, even when later looks do not; the p-value is a running minimum."""
    bounds = confidence_sequence([_look(500, 0.0), _look(1_000, 0.5), _look(1_100, 0.01)], 2_000)
    assert [bound.excludes_zero for bound in bounds] == [False, True, False]
    assert first_exclusion(bounds) is bounds[1]
    assert bounds[0].p_value >= bounds[1].p_value == bounds[2].p_value


def test_arms_swapped_changes_signs_only() -> None:
    """Treatment and control exchanged: the interval is mirrored, the p-value is the same."""
    one = Look("a", 800, 1_200, 0.4, 0.1, 1.5, 0.7)
    other = Look("a", 1_200, 800, 0.1, 0.4, 0.7, 1.5)
    (left,), (right,) = confidence_sequence([one], 2_000), confidence_sequence([other], 2_000)
    assert (left.ci_low, left.ci_high, left.p_value) == (-right.ci_high, -right.ci_low, right.p_value)


def test_a_look_with_too_little_says_nothing() -> None:
    """Few units, no variance, or few events of a binary metric give an infinite interval, not a verdict."""
    few, flat, rare = _look(20, 5.0), _look(500, 5.0, 0.0), Look("c", 5_000, 5_000, 0.004, 0.0004, 0.004, 0.0004)
    assert all(bound.says_nothing and not bound.excludes_zero for bound in confidence_sequence([few, flat], 2_000))
    assert confidence_sequence([rare], 10_000, binary=True)[0].says_nothing
    assert not confidence_sequence([rare], 10_000)[0].says_nothing


@pytest.mark.parametrize("wrong", [0.0, float("nan"), float("inf"), -5])
def test_n_star_has_to_be_a_number_of_units(wrong: float) -> None:
    """An N* that is no number of units is refused."""
    with pytest.raises(ValueError, match=r"N\*"):
        confidence_sequence([_look(500, 0.0)], wrong)


def test_looks_are_cumulative() -> None:
    """Units that fall from one look to the next are a mistake that is named."""
    with pytest.raises(ValueError, match="cumulative"):
        confidence_sequence([_look(500, 0.0), _look(400, 0.0)], 2_000)
