"""What is written of worth in plain words, from its canonical form. Pure; see `phrases`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liftgate.bundle.phrases import moment, quoted
from liftgate.bundle.schema_value import USUAL_TIER

KEYS = frozenset({"levers", "context_weight", "tier", "smoothing", "evidence"})
"""Keys of groups and offers that have words here; uplift is part of what an offer is worth."""


def worth_words(rule: Mapping[str, Any]) -> Iterator[tuple[str, int | None, str]]:
    """Yield (key, place in its list, words) of everything that a group or offer says of worth beside value and propensity."""
    for i, lever in enumerate(rule.get("levers", ())):
        yield "levers", i, lever_words(lever)
    for i, weight in enumerate(rule.get("context_weight", ())):
        yield "context_weight", i, weight_words(weight)
    if "tier" in rule:
        yield "tier", None, tier_words(rule["tier"])
    if "smoothing" in rule:
        yield "smoothing", None, smoothing_words(rule["smoothing"])
    if "evidence" in rule:
        yield "evidence", None, evidence_words(rule["evidence"])


def lever_words(lever: Mapping[str, Any]) -> str:
    """Return what a lever does, and when."""
    percent, factor = lever.get("percent"), lever.get("factor")
    much = f"{abs(percent):g} % {'more' if percent >= 0 else 'less'}" if percent is not None else f"{factor:g} times as much"
    text = f"lever {lever['name']}: counts for {much}"
    if "starts_at_ms" in lever:
        text += f" from {moment(lever['starts_at_ms'])} on"
    if "until_ms" in lever:
        text += f"{' and' if 'starts_at_ms' in lever else ''} before {moment(lever['until_ms'])}"
    return text + (f" while {quoted(lever['if'])}; where that is not known, it does not count" if "if" in lever else "")


def weight_words(weight: Mapping[str, Any]) -> str:
    """Return what a context weight does, and when."""
    return f"counts for {weight['weight']:g} times as much while {quoted(weight['if'])}; where that is not known, it does not count"


def tier_words(tier: int) -> str:
    """Return what a tier means."""
    usual = ", as every offer that names none" if tier == USUAL_TIER else ""
    return f"priority {tier} of 1 (first) to 9{usual}: while an offer of a higher priority can be shown, it is not"


def smoothing_words(smoothing: Mapping[str, Any]) -> str:
    """Return how an offer starts that nobody knows."""
    return (
        f"until enough is known of it {smoothing['prior']:.2%} is expected to respond; "
        f"after {smoothing['weight']:g} positive responses that and the model count the same, later the model counts more"
    )


def evidence_words(evidence: Mapping[str, Any]) -> str:
    """Return what has been seen."""
    of = f" of {evidence['trials']:,} times that it was shown" if evidence.get("trials") is not None else ""
    return f"seen so far: {evidence['positives']:,} positive responses{of}"


def minimum_words(key: str, least: float, currency: str) -> str:
    """Return what `minimum_propensity` or `minimum_value` of a placement asks for."""
    if key == "minimum_propensity":
        return f"only offers to which at least {least:.2%} are expected to respond (where an offer ranks by uplift: respond because of it)"
    return f"only offers that are expected to bring at least {least:g} {currency}; where there is none, nothing is shown"


def uplift_words(treated: str, untreated: str, allow_negative: bool) -> str:
    """Return what an offer's worth is multiplied by in uplift mode, to follow `4 EUR`; both models are given in words."""
    text = f" if it works, times how much more likely that is with it ({treated}) than without ({untreated})"
    return text + ("; shown also where it is not more likely" if allow_negative else "; where it is not more likely it is not shown")
