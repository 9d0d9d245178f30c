"""When an off-policy estimate is refused, and that it is not refused otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.measure.ope import Logged
from liftgate.measure.ope_table import value_decisions
from liftgate.measure.ope_trust import Limits, diagnose, effective, judge, judge_columns, support_by_action

N = 10_000


def good() -> dict[str, np.ndarray]:
    """Return columns of a log that is answered: two actions at half each, the target prefers one."""
    dice = np.random.default_rng(5)
    first = dice.random(N) < 0.5
    return {
        "reward": (dice.random(N) < 0.2).astype(np.float64),
        "logged_probability": np.full(N, 0.5),
        "target_probability": np.where(first, 0.8, 0.2),
    }


def ask(columns: dict[str, np.ndarray], **more: np.ndarray) -> str | None:
    """Return the code of the refusal, or None."""
    refusal = value_decisions(Logged(**columns, **more), np.zeros(N, dtype=np.intp), ["a"], Limits(), replicates=0)["refusal"]
    return None if refusal is None else str(refusal.code)


def test_a_good_log_is_answered() -> None:
    """The log that every refusal below spoils one thing of is answered."""
    assert ask(good()) is None
    assert ask(good(), unsupported=np.zeros(N), q_logged=np.zeros(N), q_target=np.zeros(N)) is None


def test_two_effective_decisions_of_10_000_are_refused_although_the_mean_weight_is_1() -> None:
    """Two rows with a weight of 5,000 make a mean weight of 1 within its error, and an ESS of 2: refused."""
    columns = good()
    columns["logged_probability"] = np.full(N, 0.5)
    columns["target_probability"] = np.zeros(N)
    columns["logged_probability"][:2] = 0.0002
    columns["target_probability"][:2] = 1.0
    seen = diagnose(Logged(**columns), 10.0)
    assert seen.mean_weight == pytest.approx(1)
    assert seen.ess == pytest.approx(2)
    assert seen.top_1_percent_share == pytest.approx(1)
    assert ask(columns) == "low_ess"


@pytest.mark.parametrize("name", ["reward", "logged_probability", "target_probability", "q_logged", "q_target", "unsupported"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_cell_that_is_no_number_is_refused(name: str, bad: float) -> None:
    """One NaN or infinity in any column refuses the whole."""
    columns = good() | {"q_logged": np.zeros(N), "q_target": np.zeros(N), "unsupported": np.zeros(N)}
    columns[name] = columns[name].copy()
    columns[name][17] = bad
    assert ask(columns) == "not_a_number"


def test_each_spoiled_log_has_its_code() -> None:
    """A zero or impossible probability, lost support, doubled weights, no events and no variance are told apart."""
    columns = good()
    zero = columns["logged_probability"].copy()
    zero[3] = 0
    assert ask(columns | {"logged_probability": zero}) == "zero_logged_probability"
    assert ask(columns | {"target_probability": columns["target_probability"] * 100}) == "probability_out_of_range"
    assert ask(columns | {"target_probability": columns["target_probability"] * 0.9}) == "missing_support"
    assert ask(columns | {"target_probability": np.zeros(N)}) == "missing_support"
    assert ask(columns, unsupported=np.full(N, 0.001)) == "missing_support"
    assert ask(columns | {"logged_probability": np.full(N, 0.4)}) == "mean_weight_off"
    assert ask(columns | {"reward": np.ones(N)}) == "zero_variance"
    few = np.zeros(N)
    few[:5] = 1
    assert ask(columns | {"reward": few}) == "too_few_events"
    assert ask(columns, cluster=np.arange(N) % 20) == "too_few_units"


def test_a_refusal_gives_diagnostics_and_no_estimate() -> None:
    """What is refused has no estimate anywhere, and the weights are still shown."""
    columns = good() | {"target_probability": np.zeros(N)}
    found = value_decisions(Logged(**columns), np.zeros(N, dtype=np.intp), ["a"], Limits())
    assert found["estimate"] is None
    assert "estimates" not in found
    assert found["diagnostics"].mean_weight == 0


def test_an_empty_log_is_refused() -> None:
    """No rows, no answer."""
    nothing = np.array([])
    refusal = judge_columns(Logged(nothing, nothing, nothing))
    assert refusal is not None
    assert refusal.code == "no_rows"


def test_limits_are_limits() -> None:
    """An ESS share just above its limit is answered and just below is refused."""
    logged = Logged(**good())
    seen = diagnose(logged, 10.0)
    assert seen.ess == pytest.approx(effective(logged.weight))
    assert judge(seen, logged.reward, Limits(min_ess_share=seen.ess_share - 1e-9)) is None
    refusal = judge(seen, logged.reward, Limits(min_ess_share=seen.ess_share + 1e-9))
    assert refusal is not None
    assert refusal.code == "low_ess"


def test_support_by_action_adds_up() -> None:
    """Shares of the log add up to 1, shares of the target to the mean weight, and the smallest probability is named."""
    columns = good()
    action = (columns["target_probability"] == 0.8).astype(np.intp)
    columns["logged_probability"][action == 1] = 0.45
    rows = support_by_action(Logged(**columns), action, ["b", "a"])
    assert [row.action for row in rows] == ["a", "b"]
    assert sum(row.logged_share for row in rows) == pytest.approx(1)
    assert sum(row.target_share for row in rows) == pytest.approx(diagnose(Logged(**columns), 10).mean_weight)
    assert rows[0].smallest_logged_probability == 0.45


def test_a_small_log_is_refused_however_even_its_weights() -> None:
    """Below 100 effective decisions there is no answer, even where each of them counts in full."""
    dice = np.random.default_rng(6)
    half = np.full(99, 0.5)
    small = Logged((dice.random(99) < 0.5).astype(np.float64), half, half)
    seen = diagnose(small, 10.0)
    assert seen.ess_share == pytest.approx(1)
    refusal = judge(seen, small.reward, Limits())
    assert refusal is not None
    assert refusal.code == "low_ess"
