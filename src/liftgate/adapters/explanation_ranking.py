"""What the offers of a record were ranked by, and how much each factor had to do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, log

from liftgate.domain.reason import Reason
from liftgate.v1.record_pb2 import DecisionRecord

RANKED = frozenset({Reason.ALLOWED, Reason.CHOSEN})
"""Reasons of offers that were in the draw."""
WEIGHED = RANKED | {Reason.BELOW_THRESHOLD, Reason.LOWER_TIER}
"""Reasons of offers that passed the guardrails, so that their worth was worked out."""
_RANKED, _WEIGHED = frozenset(map(int, RANKED)), frozenset(map(int, WEIGHED))
_TINY = 1e-12
"""Stands in for a factor of 0 or less, whose logarithm has no value."""
RESPONSE = "propensity"
"""In shares, whatever form it has: as the model gave it, smoothed, or a difference of two."""


class Ranking:
    """The factors of a record's offers.

    Expected worth is a product, so its logarithm is a sum over the factors. A factor's share is its part in how far an offer (or all of
    them together) lies from the geometric mean of those in the draw.
    """

    def __init__(self, record: DecisionRecord) -> None:
        self.vectors = [list(slot.probability) for slot in record.slots]
        self.factors: dict[int, dict[str, float]] = {}
        """By candidate whose worth is known: factor to its value. The first is the response, under the name of its form."""
        logs: dict[int, dict[str, float]] = {}
        for c, reason in enumerate(record.candidate_reason):
            found = _factors(record, c) if reason in _WEIGHED else {}
            if found:
                self.factors[c] = found
                if reason in _RANKED:
                    (_, response), *others = found.items()
                    logs[c] = {name: log(max(value, _TINY)) for name, value in ((RESPONSE, response), *others)}
        names = next(iter(logs.values()), {})
        mean = {name: sum(one[name] for one in logs.values()) / len(logs) for name in names}
        self._apart = {c: {name: abs(one[name] - mean[name]) for name in one} for c, one in logs.items()}
        self.shares = _parts({name: sum(one[name] for one in self._apart.values()) for name in names})

    def shares_of(self, c: int) -> dict[str, float]:
        """Return each factor's part in what sets a candidate apart; empty: nothing does, or it was not in the draw."""
        return _parts(self._apart.get(c, {}))


def _factors(record: DecisionRecord, c: int) -> dict[str, float]:
    """Return a candidate's factors, their product being its expected worth; empty: they are not all known."""
    propensity, value = _at(record.candidate_propensity, c), _at(record.candidate_value, c)
    if propensity is None or value is None:
        return {}
    untreated = _at(record.candidate_untreated_propensity, c)
    smoothed = _at(record.candidate_smoothed_propensity, c)
    if untreated:
        found = {"uplift": propensity - untreated}
    elif smoothed is not None and smoothed != propensity:
        found = {"smoothed_propensity": smoothed}
    else:
        found = {RESPONSE: propensity}
    weight, lever = _at(record.candidate_context_weight, c), _at(record.candidate_lever, c)
    more = {"context_weight": weight, "value": value, "lever": lever}
    return found | {name: factor for name, factor in more.items() if factor is not None}


def _at(column: Sequence[float], c: int) -> float | None:
    found = column[c] if c < len(column) else float("nan")
    return found if isfinite(found) else None


def _parts(amounts: Mapping[str, float]) -> dict[str, float]:
    """Return each amount's part of the whole; empty where there is nothing to share but rounding."""
    whole = sum(amounts.values())
    return {name: amount / whole for name, amount in amounts.items()} if whole > 1e-9 else {}
