"""From a hypothesis to its experiment: N*, the layer for the bundle, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def setup_of(row: dict[str, Any], arms: Sequence[str] = ("treatment",)) -> dict[str, Any]:
    """Return the setup of the experiment that a hypothesis asks for: its plan, its layer for the bundle, and how it is read."""
    n_star, name = row["n_star"], row["experiment_id"]
    share = int(1e6 / (len(arms) + 1)) / 1e6  # shares are exact to one millionth
    shares = {"control": share} | dict.fromkeys(arms, share)
    layer = {
        "kind": "experiment",
        "unit": "person",
        "salt": f"{name}-1",
        "coverage": 0.1,
        "owner": row["owner"],
        "hypothesis": row["id"],
        "metric": row["metric"],
        "n_star": n_star,
        "arms": shares,
    }
    from_log = f"liftgate measure lift --log LOG --layer {name} --control control --window 7d --metric {row['metric']}"
    return {
        "experiment_id": name,
        "hypothesis": row["id"],
        "metric": row["metric"],
        "expected_lift": row["expected_lift"],
        "arms": shares,
        "n_star": n_star,
        "alpha": 0.05,
        "layers": {name: layer},
        "look": f"liftgate report --log LOG --layer {name} --window 7d --metric {row['metric']} --out {name}.html",
        "readout": f"{from_log} --json > readout.json",
        "learn": f"liftgate hypotheses learn {row['id']}{' --arm ARM' if len(arms) > 1 else ''} --from readout.json",
    }


def layer_text(setup: dict[str, Any]) -> str:
    """Return the setup's layer as YAML for a bundle."""
    lines = ["layers:"]
    for name, layer in setup["layers"].items():
        lines.append(f"  {name}:")
        for key, value in layer.items():
            said = "{" + ", ".join(f"{arm}: {share:g}" for arm, share in value.items()) + "}" if isinstance(value, dict) else value
            lines.append(f"    {key}: {json.dumps(said) if key == 'owner' else said}")
    lines[-1] += "   # then say what an arm changes: {share: 0.5, values: {loan: 9.0}}"
    return "\n".join(lines)


def planned(expected_lift: float, baseline: float, sd: float | None, arms: Sequence[str]) -> int:
    """Return N* for an expected lift, all arms alike, at alpha 0.05 and power 0.8. Raises Misused."""
    from liftgate.measure.power import Metric, plan
    from liftgate.measure.refusal import Misused

    try:
        metric = Metric.proportion(baseline) if sd is None else Metric.mean(baseline, sd)
        share = 1 / (len(arms) + 1)
        # Several arms are held at alpha over their number, as `measure sequential` holds them.
        needs = plan(metric, expected_lift * baseline, {"control": share} | dict.fromkeys(arms, share), "control", 0.05 / len(arms))
    except ValueError as err:
        raise Misused(str(err)) from err
    return max(need.total for need in needs)
