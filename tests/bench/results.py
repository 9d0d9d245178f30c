"""Keeps what a run found."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from .goals import Findings, goals
from .processes import ROOT

FOLDER = ROOT / "bench" / "results"
"""Not in git."""


def keep(findings: Findings, facts: Mapping[str, Any], text: str) -> Path:
    """Write everything as JSON and the tables as Markdown, by time and as `latest`; return the JSON's path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    raw = {
        name: {"label": one.contender.label, "rounds": one.rounds, "idle": one.idle, "failures": one.failures}
        for name, one in findings.found.items()
    }
    whole = json.dumps(
        _finite(
            {
                **facts,
                "goals": [{**asdict(goal), "verdict": goal.verdict} for goal in goals(findings)],
                "contenders": raw,
                "open": findings.levels,
                "saturation_per_s": findings.saturation,
                "overload": findings.overload,
                "generator": findings.generator,
                "failures": findings.failures,
            }
        ),
        indent=1,
        allow_nan=False,
    )
    path = FOLDER / time.strftime("%Y%m%d-%H%M%S.json", time.gmtime())
    for to in (path, FOLDER / "latest.json"):
        to.write_text(whole, encoding="utf-8")
        to.with_suffix(".md").write_text(text, encoding="utf-8")
    return path


def _finite(value: Any) -> Any:
    """Return the value with null for what JSON has no number for: an infinite wait, a percentile of nothing."""
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
