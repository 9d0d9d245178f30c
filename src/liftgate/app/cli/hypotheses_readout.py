"""A lift from the answer of `liftgate measure lift --json`, for the hypothesis that it tested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from liftgate.measure.refusal import Misused, Refused


def read_out(path: Path, metric: str, arm: str) -> dict[str, Any]:
    """Return lift and interval of one metric over all units from an answer of `measure lift`. Raises Misused, Refused."""
    try:
        document = json.loads(path.read_bytes())
        rows = [
            one
            for one in document.get("results", ())
            if one["metric"] == metric and one["segment"] is None and one["analysis"] == "itt" and one["control"] == document["control"]
        ]
        refusal = document["refusal"] or next((one["refusal"] for one in rows if one["refusal"]), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise Misused(f"--from {path} is no answer of `liftgate measure lift --json` ({type(err).__name__})") from err
    if refusal:
        raise Refused(refusal["code"], refusal["why"], refusal["what_to_do"])
    rows = [one for one in rows if not arm or one["arm"] == arm]
    if len(rows) != 1:
        found = ", ".join(str(one["arm"]) for one in rows) or "none"
        raise Misused(f"--from {path} holds {len(rows)} lifts of {metric!r} over all units (arms: {found}); name one with --arm")
    (one,) = rows
    if one["lift"] is None:
        raise Refused("no_lift", f"{metric} has no relative lift: the control has 0", "wait for outcomes in the control")
    return {"lift": one["lift"], "ci_low": one["lift_ci_low"], "ci_high": one["lift_ci_high"]}
