"""From a table of a randomised experiment with scores to what the ranking is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liftgate.measure import uplift
from liftgate.measure.refusal import Misused
from liftgate.measure.split_gate import gate_split
from liftgate.measure.table import open_table

if TYPE_CHECKING:
    from collections.abc import Sequence


def rank_value(
    path: str,
    *,
    score: str,
    outcome: str,
    arm: str,
    control: str,
    treatment: str | None = None,
    at: Sequence[float] = (0.1, 0.2, 0.3),
    where: str = "",
    share: Sequence[str] = (),
    replicates: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the measures as plain data, Qini as the estimate. Raises Misused, and Refused where a cell is no number."""
    if any(not 0 < k <= 1 for k in at):
        raise Misused("--at takes shares of people above 0 and up to 1, such as 0.1")
    table = open_table(path, text=(arm,), where=where)
    table.has(score, outcome)
    table.check((score, outcome))
    found = table.arrays({"score": table.number(score), "outcome": table.number(outcome), "arm": table.text(arm)}, ("arm",))
    place, names = found["arm"]
    arms = sorted({*names, *(["None"] if (place < 0).any() else [])})
    others = [one for one in arms if one != control]
    if control not in arms:
        raise Misused(f"no row has {arm} = {control!r}; the arms are {', '.join(arms)}")
    if treatment is None and len(others) != 1:
        raise Misused(f"besides {control!r} there are {len(others)} arms ({', '.join(others)}); name one with --treatment")
    treatment = others[0] if treatment is None else treatment
    if treatment not in others:
        raise Misused(f"no row has {arm} = {treatment!r}; the arms are {', '.join(arms)}")
    is_treated = place == (names.index(treatment) if treatment in names else -1)
    kept = is_treated | (place == (names.index(control) if control in names else -1))
    scores, outcomes, treated = found["score"][kept], found["outcome"][kept], is_treated[kept]
    n = {treatment: int(treated.sum()), control: int((~treated).sum())}
    words = [word for word in share if word.rpartition("=")[0] in ("", *n)] if len(others) > 1 else share
    split = gate_split(n, words, control)
    answer: dict[str, Any] = {
        "what": "uplift",
        "split": split.document,
        "warnings": [split.warning] if split.warning else [],
        "arms": {"treatment": treatment, "control": control},
        "n": n,
        "definition": uplift.DEFINITION,
    }
    if refused := uplift.judge(scores, treated, outcomes):
        return answer | {"refusal": refused}
    seen = uplift.measure(scores, treated, outcomes, at=tuple(at), replicates=replicates, seed=seed)
    return answer | {
        "estimate": seen.qini.estimate,
        "se": seen.qini.se,
        "ci_low": seen.qini.ci_low,
        "ci_high": seen.qini.ci_high,
        "p_value": seen.qini_p,
        "bootstrap": {"replicates": replicates, "seed": seed},
        "measures": seen,
    }
