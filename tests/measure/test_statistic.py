"""Sufficient statistics and the contrast of two: what must hold for any rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.measure.contrast import Contrast, Quantity, contrast
from liftgate.measure.refusal import Refused
from liftgate.measure.relative import fieller
from liftgate.measure.statistic import Statistic, merged

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(3, 60)


def _rows(seed: int, n: int, shift: float = 0.0) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    dice = np.random.default_rng(seed)
    x = dice.normal(5, 2, n)
    d = dice.integers(1, 6, n).astype(np.float64)
    return {"y": shift + 0.5 * x + dice.normal(0, 1, n), "x": x, "d": d, "e": dice.normal(0, 1, n) * d}


def _same(one: Statistic, other: Statistic) -> None:
    assert one.n == other.n
    np.testing.assert_allclose(one.means, other.means, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(one.products, other.products, rtol=1e-9, atol=1e-8)


def _figures(one: Contrast) -> tuple[float, ...]:
    return one.estimate, one.se, one.df, one.p_value, one.ci_low, one.ci_high, *one.theta


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_merging_is_pooling(seed: int, cuts: list[int]) -> None:
    """Parts merged in any order are the statistic of all rows; an empty part changes nothing."""
    rows = _rows(seed, sum(cuts))
    ends = np.cumsum(cuts)
    parts = [Statistic.of_rows({k: v[end - n : end] for k, v in rows.items()}) for n, end in zip(cuts, ends, strict=True)]
    whole = Statistic.of_rows(rows)
    _same(merged(parts), whole)
    _same(merged(parts[::-1]), whole)


@settings(max_examples=40, deadline=None)
@given(SEEDS, SIZES, SIZES)
def test_swapping_arms_changes_signs_alone(seed: int, n: int, m: int) -> None:
    """Treatment and control swapped: the same with the other sign, with CUPED, ratios and strata."""
    t, c = Statistic.of_rows(_rows(seed, n, 1.0)), Statistic.of_rows(_rows(seed + 1, m))
    for metric, covariates in ((Quantity("y"), [Quantity("x")]), (Quantity("e", "d"), [])):
        there, back = contrast([t, c], [c, t], metric, covariates), contrast([c, t], [t, c], metric, covariates)
        assert there.estimate == pytest.approx(-back.estimate, abs=1e-9)
        one, other = contrast([t], [c], metric, covariates), contrast([c], [t], metric, covariates)
        assert (one.estimate, one.ci_low, one.ci_high) == pytest.approx(
            (-other.estimate, -other.ci_high, -other.ci_low), rel=1e-9, abs=1e-12
        )
        assert (one.se, one.df, one.p_value, *one.theta) == pytest.approx((other.se, other.df, other.p_value, *other.theta), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(SEEDS, SIZES, st.floats(0.01, 100), st.floats(-100, 100))
def test_affine_changes_of_a_metric(seed: int, n: int, scale: float, shift: float) -> None:
    """Another unit and another zero of metric and covariate scale the effect and leave its p-value; a relative lift keeps with scale."""
    rows_t, rows_c = _rows(seed, n, 1.0), _rows(seed + 1, n)
    before = contrast([Statistic.of_rows(rows_t)], [Statistic.of_rows(rows_c)], Quantity("y"), [Quantity("x")])
    changed = [Statistic.of_rows(rows | {"y": scale * rows["y"] + shift, "x": 3 * rows["x"] - 7}) for rows in (rows_t, rows_c)]
    after = contrast([changed[0]], [changed[1]], Quantity("y"), [Quantity("x")])
    assert after.estimate == pytest.approx(scale * before.estimate, rel=1e-6, abs=1e-9)
    assert (after.se, after.df, after.p_value) == pytest.approx((scale * before.se, before.df, before.p_value), rel=1e-6)
    scaled = [Statistic.of_rows(rows | {"y": scale * rows["y"]}) for rows in (rows_t, rows_c)]
    plain = [contrast([a], [b], Quantity("y")).relative for a, b in (scaled, (Statistic.of_rows(rows_t), Statistic.of_rows(rows_c)))]
    assert plain[0].bounded == plain[1].bounded
    if plain[0].bounded:
        assert (plain[0].lift, plain[0].ci_low, plain[0].ci_high) == pytest.approx(
            (plain[1].lift, plain[1].ci_low, plain[1].ci_high), rel=1e-6
        )


@settings(max_examples=20, deadline=None)
@given(SEEDS, SIZES)
def test_order_of_rows_says_nothing(seed: int, n: int) -> None:
    """Shuffled rows give the same."""
    rows = _rows(seed, n)
    mixed = np.random.default_rng(seed).permutation(n)
    _same(Statistic.of_rows(rows), Statistic.of_rows({k: v[mixed] for k, v in rows.items()}))


def test_one_stratum_is_none() -> None:
    """Two strata that are alike in both arms give the effect of the whole."""
    t, c = Statistic.of_rows(_rows(1, 50, 1.0)), Statistic.of_rows(_rows(2, 50))
    assert contrast([t, t], [c, c], Quantity("y")).estimate == pytest.approx(contrast([t + t], [c + c], Quantity("y")).estimate)


def test_strata_take_a_season_off() -> None:
    """A control that moved into the season is no effect within periods, and is one when pooled: the trap is real."""
    quiet, busy = 0.0, 10.0
    t = [Statistic.of_rows({"y": _rows(1, 900)["y"] + quiet}), Statistic.of_rows({"y": _rows(2, 500)["y"] + busy})]
    c = [Statistic.of_rows({"y": _rows(3, 100)["y"] + quiet}), Statistic.of_rows({"y": _rows(4, 500)["y"] + busy})]
    within, pooled = contrast(t, c, Quantity("y")), contrast([merged(t)], [merged(c)], Quantity("y"))
    assert abs(within.estimate) < 4 * within.se < 1
    assert pooled.p_value < 1e-20


def test_statistics_are_frozen() -> None:
    """Nobody changes a statistic under another's hands."""
    one = Statistic.of_one(3, 1.0, 2.0)
    with pytest.raises(ValueError, match="read-only"):
        one.means[0] = 7


def test_other_columns_do_not_merge() -> None:
    """Statistics of other columns are told apart."""
    with pytest.raises(ValueError, match="cannot merge"):
        Statistic.of_one(3, 1.0, 2.0, "a") + Statistic.of_one(3, 1.0, 2.0, "b")


@pytest.mark.parametrize(
    ("columns", "metric", "covariates", "code"),
    [
        ({"y": [1.0, 1.0, 1.0]}, Quantity("y"), [], "zero_variance"),
        ({"y": [1.0]}, Quantity("y"), [], "too_few_units"),
        ({"y": [1.0, 2.0, 3.0], "d": [0.0, 0.0, 0.0]}, Quantity("y", "d"), [], "zero_denominator"),
        ({"y": [1.0, 2.0, 3.0], "x": [4.0, 4.0, 4.0]}, Quantity("y"), [Quantity("x")], "covariate_without_variance"),
        (
            {"y": [1.0, 2.0, 3.0], "x": [4.0, 5.0, 9.0], "z": [8.0, 10.0, 18.0]},
            Quantity("y"),
            [Quantity("x"), Quantity("z")],
            "covariate_without_variance",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    columns: dict[str, list[float]], metric: Quantity, covariates: list[Quantity], code: str
) -> None:
    """Each has its code, and says what to do."""
    one = Statistic.of_rows(columns)
    with pytest.raises(Refused) as refused:
        contrast([one], [one], metric, covariates)
    assert refused.value.refusal.code == code
    assert refused.value.refusal.what_to_do


def test_a_control_near_zero_has_no_bounded_lift() -> None:
    """Where control may be 0, the lift is unbounded, and where it is 0 there is none."""
    assert not fieller(2.0, 1.0, 0.1, 0.3).bounded
    assert fieller(2.0, 1.0, 0.1, 0.2).bounded
    assert fieller(2.0, 0.0, 0.1, 0.2).lift is None
