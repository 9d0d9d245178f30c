"""Multiplicity: the published adjusted p-values, and what each method promises, in simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.measure.multiplicity import Method, adjust

ORACLE = Path(__file__).parents[2] / "../shared/oracle/11_multiplicity.json"
with_oracle = pytest.mark.skipif(not ORACLE.is_file(), reason=f"THE ORACLE OF MULTIPLICITY DID NOT RUN: {ORACLE} is not there")
FAMILIES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
RUNS = 1_000


@with_oracle
@pytest.mark.parametrize(("method", "key"), [("benjamini_hochberg", "fdr_bh"), ("holm", "holm")])
def test_adjusted_values_equal_the_oracle(method: Method, key: str) -> None:
    """Adjusted p-values and rejections of each family are the published ones."""
    case = json.loads(ORACLE.read_text())
    for name, inputs in case["inputs"].items():
        got, want = adjust(inputs["p"], inputs["alpha"], method), case["expected"][name][key]
        np.testing.assert_allclose(got.adjusted, want["adjusted"], rtol=case["tolerance"]["rtol"], atol=0)
        assert list(got.rejected) == want["reject"]


@given(FAMILIES)
def test_order_changes_nothing_and_holm_is_stricter(p: list[float]) -> None:
    """Adjusted values follow their test wherever it stands, never fall below the raw value, keep its order; Holm's are the larger."""
    order = np.random.default_rng(len(p)).permutation(len(p))
    for method in ("benjamini_hochberg", "holm"):
        whole = np.array(adjust(p, 0.05, method).adjusted)
        moved = np.array(adjust([p[i] for i in order], 0.05, method).adjusted)
        np.testing.assert_array_equal(whole[order], moved)
        assert np.all(whole >= np.array(p))
        assert np.all(whole <= 1)
        assert np.all(np.diff(whole[np.argsort(p, kind="stable")]) >= 0)
    assert np.all(np.array(adjust(p, 0.05, "holm").adjusted) >= np.array(adjust(p).adjusted) - 1e-15)


@pytest.mark.parametrize("bad", [[0.1, float("nan")], [1.1], [-0.1]])
def test_a_missing_or_impossible_p_value_is_refused(bad: list[float]) -> None:
    """A family with a value that is no p-value is not adjusted."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjust(bad)


def test_an_empty_family_is_empty() -> None:
    """No tests give no rejections."""
    assert adjust([]).rejected == ()


def test_each_method_keeps_its_promise() -> None:
    """Of 20 tests without effect, raw p-values find one in most runs, Holm in 5 %; with 10 real ones BH holds false finds to its share."""
    dice = np.random.default_rng(11)
    any_raw = any_holm = 0
    false_share = 0.0
    for _ in range(RUNS):
        null = dice.uniform(size=20)
        any_raw += bool(np.any(null <= 0.05))
        any_holm += any(adjust(null.tolist(), 0.05, "holm").rejected)
        found = np.array(adjust([*dice.uniform(size=10).tolist(), *(dice.uniform(size=10) * 1e-3).tolist()]).rejected)
        false_share += float(found[:10].sum() / max(found.sum(), 1))
    assert any_raw / RUNS > 0.5
    assert any_holm / RUNS < 0.05 + 3.3 * 0.007
    assert false_share / RUNS < 0.05
