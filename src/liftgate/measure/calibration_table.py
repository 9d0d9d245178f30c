"""From a table of scores and outcomes to a verdict on calibration."""

from __future__ import annotations

from typing import Any

from liftgate.measure import calibration
from liftgate.measure.envelope import enveloped
from liftgate.measure.refusal import Refused
from liftgate.measure.table import open_table

_TEXT = "'"


def check_calibration(path: str, *, score: str, outcome: str, bins: int = 10, where: str = "") -> dict[str, Any]:
    """Return the measures as plain data, observed/expected as the estimate. Raises Misused, and Refused where a cell is no number."""
    table = open_table(path, where=where)
    table.has(score, outcome)
    table.check((score, outcome))
    found = table.arrays({"score": table.number(score), "outcome": table.number(outcome)})
    answer: dict[str, Any] = {"what": "calibration", "n": len(found["score"]), "definition": calibration.DEFINITION}
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
        "p_value": seen.observed_over_expected_p,
        "calibrated": calibrated,
        "verdict": words,
        "measures": seen,
    }


def check_each(path: str, *, by: str, score: str, outcome: str, bins: int = 10, where: str = "") -> dict[str, Any]:
    """Return the same for each value of a column, under `parts`; refused where every one is. Raises Misused, and Refused `no_rows`."""
    table = open_table(path, text=(by,), where=where)
    table.has(by)
    values = [row["value"] for row in table.fetch(table.rows.select(value=table.text(by)).distinct().order_by("value"))]
    if not values:
        raise Refused("no_rows", "the table holds no rows", "check the file and the --where condition")
    parts: dict[str, Any] = {}
    for value in values:
        mine = f"{_quoted(by)} is null" if value is None else f"{_quoted(by)} = {_quoted(str(value), _TEXT)}"
        both = f"({mine}) and ({where})" if where else mine
        try:
            found = check_calibration(path, score=score, outcome=outcome, bins=bins, where=both)
        except Refused as err:
            found = {"refusal": err.refusal}
        parts[str(value)] = enveloped("calibration", found)
    refused = [one["refusal"] for one in parts.values()]
    refusal = None if None in refused else refused[0]
    return {"what": "calibration", "by": by, "definition": calibration.DEFINITION, "parts": parts, "refusal": refusal}


def _quoted(word: str, mark: str = '"') -> str:
    """Return a column's name, or a text, as a condition in SQL has it."""
    return mark + word.replace(mark, 2 * mark) + mark
