"""Drift: the oracle's numbers, what happens without a shift, alarms, missing values, categories and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from liftgate.measure.drift import ALARM, CHANCE, Drift, Level, compare, psi
from liftgate.measure.refusal import Refusal

ORACLE = Path(__file__).parents[2] / "../shared/oracle/16_drift_closed_forms.json"
with_oracle = pytest.mark.skipif(not ORACLE.is_file(), reason=f"THE ORACLE OF DRIFT DID NOT RUN: {ORACLE} is not there")
RUNS = 500


def found(reference: object, current: object) -> Drift:
    """Compare two columns that can be compared."""
    one = compare("x", np.asarray(reference), np.asarray(current))
    assert isinstance(one, Drift)
    return one


@with_oracle
@pytest.mark.parametrize(("name", "column"), [("shifted", 0), ("same", 1)])
def test_numbers_equal_the_oracle(name: str, column: int) -> None:
    """PSI, shares, Jensen-Shannon, KS, Wasserstein and chi-square of two samples are the published ones."""
    case = json.loads(ORACLE.read_text())
    want, rtol = case["expected"][name], case["tolerance"]["rtol"]
    reference = np.loadtxt(ORACLE.parent / "16_ref.csv", skiprows=1)
    current = np.loadtxt(ORACLE.parent / "16_cur.csv", delimiter=",", skiprows=1)[:, column]
    got = found(reference, current)
    assert got.psi == pytest.approx(want["psi_10_quantile_bins_of_ref_eps1e-4"], rel=rtol)
    assert got.reference_shares == pytest.approx(want["bin_shares_ref"], rel=rtol)
    assert got.current_shares == pytest.approx(want["bin_shares_cur"], rel=rtol)
    assert got.jensen_shannon == pytest.approx(want["js_distance_base2_decile_bins"], rel=rtol)
    assert (got.ks, got.ks_p) == pytest.approx((want["ks_stat"], want["ks_p_auto"]), rel=rtol)
    assert got.wasserstein_over_sd == pytest.approx(want["wasserstein_over_ref_sd_ddof0"], rel=rtol)
    assert [got.chi2, got.chi2_p, len(got.bins) - 1] == pytest.approx(want["chi2_homogeneity"], rel=rtol)
    assert got.psi_expected == pytest.approx(9 * (1 / 2000 + 1 / 1500), rel=1e-12)


@with_oracle
def test_categories_equal_the_oracle() -> None:
    """PSI of shares with an empty category, the largest gap and the Jensen-Shannon distance are the published ones."""
    case = json.loads(ORACLE.read_text())
    shares, want, rtol = case["inputs"]["categorical"], case["expected"]["categorical"], case["tolerance"]["rtol"]
    assert psi(np.array(shares["p"]), np.array(shares["q"])) == pytest.approx(want["psi_eps1e_4"], rel=rtol)
    rows = [np.repeat(["a", "b", "c", "d"], np.round(np.array(shares[side]) * 1_000).astype(int)).astype(object) for side in "pq"]
    got = found(*rows)
    assert got.psi == pytest.approx(want["psi_eps1e_4"], rel=rtol)
    assert got.largest_gap == pytest.approx(want["linf"], rel=rtol)
    assert got.jensen_shannon == pytest.approx(want["js_distance_base2"], rel=rtol)
    assert got.ks is None


def test_without_a_shift_psi_is_what_is_printed_beside_it() -> None:
    """Over runs without a shift PSI averages to its expected value, exceeds its chance level about once in 1,000, and never alarms."""
    dice = np.random.default_rng(16)
    values, beyond, alarms, expected = [], 0, 0, 0.0
    for _ in range(RUNS):
        one = found(dice.normal(size=600), dice.normal(size=800))
        values.append(one.psi)
        beyond += one.psi > one.psi_by_chance
        alarms += one.level is not Level.STEADY
        expected = one.psi_expected
    print(f"\n{RUNS} runs without a shift: mean PSI {np.mean(values):.4f}, expected {expected:.4f}; beyond chance {beyond}")
    assert np.mean(values) == pytest.approx(expected, rel=0.1)
    assert beyond <= RUNS * CHANCE * 5
    assert alarms == 0


def deciles(dice: np.random.Generator, rows: int) -> tuple[object, object]:
    """Give two samples of the same numbers."""
    return dice.normal(size=rows), dice.normal(size=rows)


def categories(dice: np.random.Generator, rows: int, kinds: int) -> tuple[object, object]:
    """Give two samples of the same equally frequent categories."""
    one, other = (dice.integers(kinds, size=rows).astype(str).astype(object) for _ in range(2))
    return one, other


@pytest.mark.parametrize(
    ("kinds", "rows", "runs"), [(0, 12, 1000), (0, 25, 1000), (0, 50, 1000), (40, 200, 300), (200, 200, 20), (200, 1000, 100)]
)
def test_empty_bins_alone_raise_no_alarm(kinds: int, rows: int, runs: int) -> None:
    """With so few rows that bins stay empty, a column that did not move is watched or alarmed no more often than promised."""
    dice = np.random.default_rng(1954)
    sides = (categories(dice, rows, kinds) if kinds else deciles(dice, rows) for _ in range(runs))
    found_out = [compare("x", np.asarray(reference), np.asarray(current)) for reference, current in sides]
    alarms = sum(isinstance(one, Drift) and one.level is not Level.STEADY for one in found_out)
    print(f"\n{kinds or 'deciles'}, {rows} rows: {alarms} of {runs} runs without a shift are watched or alarmed")
    assert alarms <= stats.binom.isf(1e-3, runs, CHANCE)


def test_a_shift_of_few_rows_is_still_found() -> None:
    """With 50 rows, a shift of one and a half standard deviations alarms in at least nine runs of ten."""
    dice = np.random.default_rng(1955)
    runs = [compare("x", dice.normal(size=50), dice.normal(1.5, size=50)) for _ in range(50)]
    assert sum(isinstance(one, Drift) and one.level is Level.ALARM for one in runs) >= 45


def test_a_shift_alarms_and_a_slight_one_does_not() -> None:
    """Half a standard deviation alarms, 0.35 is to be watched, a tenth is steady even where 100,000 rows prove it real."""
    dice = np.random.default_rng(17)
    reference = dice.normal(size=100_000)
    assert found(reference, reference[::-1] + 0.5).level is Level.ALARM
    assert found(reference, reference[::-1] + 0.35).level is Level.WATCH
    slight = found(reference, reference[::-1] + 0.1)
    assert slight.level is Level.STEADY
    assert slight.ks_p is not None
    assert slight.ks_p < 1e-6


def test_missing_values_are_a_bin() -> None:
    """A column whose values stay as they were but that goes missing for a quarter of the people alarms."""
    dice = np.random.default_rng(18)
    now = dice.normal(size=5_000)
    now[:1_250] = np.nan
    got = found(dice.normal(size=5_000), now)
    assert got.level is Level.ALARM
    assert got.missing_current == 0.25
    assert got.bins[-1] == "(missing)"
    assert got.ks is not None
    assert got.ks < 0.05
    words = np.array(["a", "b"] * 2_500, dtype=object)
    lost = words.copy()
    lost[:1_250] = None
    assert found(words, lost).missing_current == 0.25


def test_everything_missing_now_alarms() -> None:
    """A column that is gone is the greatest drift there is."""
    got = found(np.random.default_rng(19).normal(size=500), np.full(500, np.nan))
    assert got.level is Level.ALARM
    assert got.ks is None


def test_a_column_of_few_values_has_few_bins_and_a_new_value_is_seen() -> None:
    """Where deciles coincide they are one edge, and zeros that appear below the reference are not lost."""
    flags = np.array([0.0] * 950 + [1.0] * 50)
    same = found(flags, flags)
    assert same.psi == 0
    assert len(same.bins) <= 2
    assert found(np.ones(1_000), np.concatenate([np.zeros(500), np.ones(500)])).level is Level.ALARM
    assert found(np.ones(1_000), np.concatenate([np.full(500, 2.0), np.ones(500)])).wasserstein_over_sd is None


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1_000), st.floats(0.01, 100), st.floats(-100, 100))
def test_units_change_nothing(seed: int, scale: float, shift: float) -> None:
    """Another unit of measure changes neither PSI nor KS nor the distance in standard deviations."""
    dice = np.random.default_rng(seed)
    a, b = dice.integers(0, 64, 500) / 4, dice.integers(0, 64, 500) / 4
    was, now = found(a, b), found(a * 2 + 1, b * 2 + 1)
    assert (was.psi, was.ks, was.wasserstein_over_sd) == pytest.approx((now.psi, now.ks, now.wasserstein_over_sd), rel=1e-9)
    c, d = dice.normal(size=300), dice.normal(size=300)
    assert found(c, d).wasserstein_over_sd == pytest.approx(found(c * scale + shift, d * scale + shift).wasserstein_over_sd, rel=1e-6)


def test_too_few_rows_to_tell_are_refused_unless_the_shift_is_plain() -> None:
    """With 100 rows chance alone passes the alarm level: refused, unless PSI is beyond chance too."""
    dice = np.random.default_rng(20)
    refusal = compare("age", dice.normal(size=100), dice.normal(size=100))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "too_few_rows"
    assert "age" in refusal.why
    plain = found(dice.normal(size=100), dice.normal(3, 1, size=100))
    assert plain.psi > plain.psi_by_chance > ALARM
    assert plain.level is Level.ALARM


@pytest.mark.parametrize(
    ("reference", "current", "code"),
    [
        (np.array([]), np.ones(10), "no_rows"),
        (np.ones(10), np.array([]), "no_rows"),
        (np.full(10, np.nan), np.ones(10), "no_rows"),
        (np.ones(10), np.array([1.0, np.inf]), "not_a_number"),
        (np.array([str(i) for i in range(500)], dtype=object), np.array(["a"], dtype=object), "too_many_categories"),
    ],
)
def test_what_cannot_be_compared_is_refused(reference: object, current: object, code: str) -> None:
    """Each unusable pair of columns has its code."""
    refusal = compare("x", np.asarray(reference), np.asarray(current))
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
