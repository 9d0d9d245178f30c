"""Drift of a log by bundle: inputs, scores, calibration and outcomes, against what came before or what the models were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from liftgate.measure.drift_table import compare_tables
from liftgate.measure.refusal import Misused
from liftgate.measure.table import open_table

KNOWN = ("unit", "version", "placement", "branch", "offer", "decided_at", "half", "score", "probability", "even", "reward", "outcome")
"""Columns of a log's table of decisions besides its inputs."""
ALWAYS = ("placement", "offer", "outcome")
"""What is compared whatever was asked, besides the score."""
EXPLORED = "branch = 'EXPLORE'"
"""Decisions that no score picked."""


def compare_bundles(
    path: str, inputs: Sequence[str], *, reference: str = "", reference_where: str = "", current_where: str = "", binary: bool = True
) -> dict[str, Any]:
    """Return each bundle's drift under `versions`, and of all together whether anything is in alarm and whether to train again.

    `path`: a log's table of decisions. `reference`: a table of what the models were trained on; absent: the rows of the log that meet
    `reference_where`, else those of its first bundle, else the first half of its time. `binary`: the reward is 0 or 1, so that scores can
    be held against it: those of explored decisions, where these are enough; of a bundle's second half, those of all its explored ones
    where its own are too few. Raises Misused, Refused.
    """
    seen = _versions(path, current_where)
    if not reference and not reference_where:
        reference_where = f"version = '{seen[0]}'" if len(seen) > 1 else "half = 'first'"
        parts = {v: f"version = '{v}'" for v in seen[1:]} or dict.fromkeys(seen, "half = 'second'")
    else:
        parts = {v: f"version = '{v}'" for v in seen}
    source = reference or path
    columns, scored = _comparable(source, reference_where, path, inputs)
    if not columns and not scored:
        raise Misused(f"--reference {reference} has none of the columns of the log: {', '.join((*ALWAYS, 'score', *inputs))}")
    found: dict[str, dict[str, Any]] = {}
    for version, where in parts.items():
        both, whole = _all_of(where, current_where), _all_of(f"version = '{version}'", current_where)
        explored = [_all_of(EXPLORED, both), *([_all_of(EXPLORED, whole)] if where.startswith("half") else [])]
        score = {"score": "score", "outcome": "reward"} if scored and binary else {"score": "score"} if scored else {}
        found[version] = compare_tables(
            source, path, columns, **score, reference_where=reference_where, current_where=both, explored=explored
        )
    return {"what": "drift", "by": "version", "reference": reference or reference_where, "versions": found} | together(found)


def together(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return alarm, retrain, why and refusal over all of them: the newest that asks for something is named."""
    alarmed = [version for version, one in found.items() if one["alarm"]]
    asking = [version for version, one in found.items() if one["retrain"]]
    unsure = [version for version, one in found.items() if one["refusal"]]
    shown = (asking or alarmed or unsure or list(found))[-1]
    one = found[shown]
    p_value = one.get("p_value")
    return {
        **{key: one.get(key) for key in ("estimate", "n", "column")},
        "p_value": None if p_value is None else min(1.0, p_value * len(found)),
        "alarm": bool(alarmed),
        "retrain": True if asking else None if unsure else False,
        "why": f"Bundle {shown[:12]}: {found[shown]['why']}",
        "levels": found[shown]["levels"],
        "definition": found[shown]["definition"],
        "refusal": found[unsure[-1]]["refusal"] if unsure and not alarmed else None,
    }


def _all_of(*conditions: str) -> str:
    return " and ".join(f"({one})" for one in conditions if one)


def _versions(path: str, where: str) -> list[str]:
    table = open_table(path, where=where)
    found = table.fetch(table.rows.group_by("version").aggregate(at=table.rows.decided_at.min()).order_by("at", "version"))
    if not found:
        raise Misused("--current-where leaves no decision of the log")
    return [str(row["version"]) for row in found]


def _comparable(reference: str, where: str, path: str, inputs: Sequence[str]) -> tuple[list[str], bool]:
    """Return the columns that both have and that the reference has any value of, and whether there are scores to compare."""
    then, there = open_table(reference, where=where), open_table(path).columns
    names = [name for name in (*ALWAYS, *inputs, "score") if name in then.columns and name in there]
    filled = then.one({f"c{i}": then.rows[name].count() for i, name in enumerate(names)})
    kept = [name for i, name in enumerate(names) if filled[f"c{i}"]]
    return [name for name in kept if name != "score"], "score" in kept
