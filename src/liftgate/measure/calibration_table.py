"""From a table of scores and outcomes to a verdict on calibration."""

from __future__ import annotations

from typing import Any

from liftgate.measure import calibration
from liftgate.measure.table import open_table


def check_calibration(path: str, *, score: str, outcome: str, bins: int = 10, where: str = "") -> dict[str, Any]:
    """Return the measures as plain data, observed/expected as the estimate. Raises Misused, and Refused where a cell is no number."""
    table = open_table(path, where=where)
    table.has(score, outcome)
    table.check((score, outcome))
    found = table.arrays({"score": table.number(score), "outcome": table.number(outcome)})
    answer: dict[str, Any] = {"n": len(found["score"]), "definition": calibration.DEFINITION}
    if refused := calibration.judge(found["score"], found["outcome"]):
        return answer | {"refusal": refused}
    seen = calibration.measure(found["score"], found["outcome"], bins=bins)
    calibrated, words = calibration.verdict(seen)
    ratio = seen.observed_over_expected
    return answer | {
        "estimate": ratio.estimate,
        "se": ratio.se,
        "ci_low": ratio.ci_low,
        "ci_high": ratio.ci_high,
        "calibrated": calibrated,
        "verdict": words,
        "measures": seen,
    }
