"""What every engine is asked, and when two answers are the same."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from liftgate.app.cli.measure import app
from tests.engines.tables import Tables

TOLERANCE = 1e-9
"""Relative; absolute below 1."""
_ARMS = ("--arm", "arm", "--control", "control")
_SHARES = ("--share", "control=0.4", "--share", "mail=0.4", "--share", "push=0.2")
_LIFT = ("lift", "--unit", "id", *_ARMS, *_SHARES)
_OPE = ("ope", "--action", "action", "--reward", "bought", "--logged-probability", "p", "--target-probability", "p_new")
_FUNNEL = ("funnel", "--unit", "id", *_ARMS, *_SHARES)
_COVARIATES = ("--covariate", "before", "--covariate", "orders_before:ratio:sessions_before")
_EVENTS = ("funnel", "--unit", "person", "--event", "action", "--time", "at", "--assigned", "a")
_WHERE = "sessions % 3 <> 0 and 10 / (sessions - 4) < 5 and before > '1'"

QUESTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "srm": ("parquet", ("srm", "--unit", "id", "--arm", "arm", *_SHARES, "--stratum", "country")),
    "srm refused": ("packed", ("srm", "--unit", "row", "--arm", "arm")),
    "srm by unit": ("parquet", ("srm", "--unit", "person", "--arm", "country")),
    "lift": ("parquet", (*_LIFT, "--metric", "bought", "--metric", "spend", "--metric", "orders:ratio:sessions")),
    "lift CUPED": (
        "parquet",
        (*_LIFT, "--metric", "spend", "--metric", "orders:ratio:sessions", *_COVARIATES),
    ),
    "lift by stratum and segment": (
        "csv",
        (*_LIFT, "--metric", "bought", "--metric", "spend:mean", "--stratum", "period", "--segment", "country"),
    ),
    "lift triggered, exposed, guarded": (
        "parquet",
        (*_LIFT, "--metric", "bought", "--triggered", "due", "--exposed", "exposed", "--guardrail", "spend,up,0.5"),
    ),
    "lift winsorised": (
        "packed",
        (
            *_LIFT,
            "--metric",
            "spend:mean",
            "--winsorise",
            "0.95",
            "--where",
            "sessions % 3 <> 0 and 10 / (sessions - 4) < 5 and before > '1'",
        ),
    ),
    "lift far from 0": ("parquet", (*_LIFT, "--metric", "money:mean", "--metric", "account:mean")),
    "lift refused": ("csv", (*_LIFT, "--metric", "country")),
    "lift where": ("csv", (*_LIFT, "--metric", "account:mean", "--where", "country like 'N%' or not due and at >= date '2026-01-15'")),
    "funnel": ("parquet", (*_FUNNEL, "--step", "seen", "--step", "clicked", "--step", "paid", "--segment", "country")),
    "funnel in a window": (
        "csv",
        (*_FUNNEL, "--step", "clicked", "--step", "paid", "--time", "at", "--window", "7d", "--read-at", "2026-01-20"),
    ),
    "funnel of events": (
        "parquet",
        (*_EVENTS, "--step", "b", "--step", "c", "--window", "9d", "--read-at", "2026-01-25T00:00:00"),
    ),
    "ope": ("parquet", (*_OPE, "--cluster", "person", "--q-logged", "q", "--q-target", "q_new", "--replicates", "50")),
    "ope where": ("packed", (*_OPE, "--where", "country <> 'NL'", "--replicates", "50")),
}


def answer(engine: str, words: tuple[str, ...]) -> tuple[int, Any]:
    """Return a command's exit code and JSON on an engine."""
    result = CliRunner().invoke(app, [*words, "--engine", engine, "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout.startswith("{") else result.output


def ask(engine: str, question: str, tables: Tables) -> tuple[int, Any]:
    """Return an engine's answer to one of QUESTIONS."""
    kind, words = QUESTIONS[question]
    return answer(engine, (*words, "--table", getattr(tables, kind)))


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Return where two answers are not the same: texts and counts exactly, numbers to 1e-9."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [words for key in one for words in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [words for i, pair in enumerate(zip(one, other, strict=True)) for words in differences(*pair, f"{where}[{i}]")]
    if isinstance(one, float) and isinstance(other, (float, int)):
        return [] if abs(one - other) <= TOLERANCE * max(1.0, abs(one)) else [f"{where}: {one!r} and {other!r}"]
    return [] if type(one) is type(other) and one == other else [f"{where}: {one!r} and {other!r}"]
