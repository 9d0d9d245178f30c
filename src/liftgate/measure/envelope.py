"""What every answer of `liftgate measure` carries, whatever was asked and whatever came of it. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEYS = ("estimate", "se", "ci_low", "ci_high", "p_value", "lift", "lift_ci_low", "lift_ci_high", "n", "definition", "refusal")
"""Null where a question has no such thing, or where the answer is refused; docs/measurement.md says what each means for each question."""
NUMBERS = KEYS[:8]
"""The effect and how well it is known."""


def enveloped(what: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer with `what` was asked and with all KEYS, in this order at the front."""
    return {"what": what, **dict.fromkeys(KEYS)} | dict(found)


def only(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the one comparison of an answer says under KEYS but its refusal, to stand for the whole answer."""
    return {key: found[key] for key in KEYS if key in found and key != "refusal"}
