"""A way to select in words."""

from __future__ import annotations

from liftgate.bundle.schema_select import Select
from liftgate.domain.policy import DEFAULT_EVIDENCE


def policy_words(select: Select, currency: str) -> str:
    """Return what a `select:` does, for people who write no bundles."""
    words = _words(select, currency)
    if select.floor is not None:
        words += f"; each allowed offer in {select.floor:.2%} of cases at least, to learn"
    return words


def _words(select: Select, currency: str) -> str:
    if select.policy == "epsilon_greedy":
        share = select.epsilon or 0.0
        return f"the allowed offer that is worth most, in {1 - share:.0%} of cases; in {share:.0%} one of the allowed at random, to learn"
    if select.policy == "softmax":
        unit = "times what the best is worth" if select.temperature_unit == "best" else currency
        return f"the more an allowed offer is worth, the more often: e times as often for every {select.temperature:g} {unit} more"
    if select.policy == "thompson":
        seen = select.evidence or DEFAULT_EVIDENCE
        known = f"if propensities are known from their offers' trials, or {seen:g}"
        return f"each allowed offer as often as it may be the one worth most, {known}"
    if select.policy == "fixed":
        shares = ", ".join(f"{name} {weight:g}" for name, weight in (select.weights or {}).items())
        return f"by declared weights, whoever the person is: {shares}"
    return "any allowed offer, all as often" if select.policy == "uniform" else "the allowed offer that is worth most"
