"""Guardrails whose state is not in the record: their verdicts are carried over from the log where the rule is the same, and only there.

What a person has had, which lists they stand on, what was stopped and approved: of these the record keeps the verdict and not the
facts. An offer that passed passes again under the same or a laxer rule; one that was denied is denied again under the same or a
stricter one; everything else is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.reason import Reason

COMPUTED = frozenset(
    {
        *(reason for reason in Reason if reason.name.startswith("CONSENT_")),
        Reason.CHANNEL_NOT_ALLOWED,
        Reason.NOT_STARTED,
        Reason.ENDED,
        Reason.NOT_ELIGIBLE,
        Reason.ELIGIBILITY_UNKNOWN,
        Reason.NOT_APPLICABLE,
        Reason.APPLICABILITY_UNKNOWN,
        Reason.NOT_SUITABLE,
        Reason.SUITABILITY_UNKNOWN,
        Reason.SUPPRESSED,
        Reason.SUPPRESSION_UNKNOWN,
    }
)
"""Reasons that are worked out anew from the record's inputs and consent."""
_COMPUTED_KEYS = frozenset(
    {
        "purposes",
        "channels",
        "eligible_if",
        "applicable_if",
        "suitable_if",
        "suppress_if",
        "starts_at_ms",
        "until_ms",
        "value",
        "propensity",
        "payload",
        "group",
    }
)
"""Keys of offers and groups in the canonical form that are worked out anew, or that nobody is denied by."""
_OF_REVIEW = frozenset({"sensitive", "review"})
"""Approvals are bound to what was reviewed: an offer that passed counts as approved, whatever has changed in it."""
_OTHER_SECTIONS = frozenset({"lists", "contact_policy", "exclusions", "pauses", "quiet_hours"})


def is_carried(code: int) -> bool:
    """Say whether a candidate's logged reason is the verdict of a guardrail whose state the record does not hold."""
    return code not in (Reason.UNSPECIFIED, Reason.ALLOWED, Reason.CHOSEN, Reason.NOT_REQUESTED) and Reason(code) not in COMPUTED


def is_cap(rule: str) -> bool:
    """Say whether a rule is a cap: it counts its offers together, so it stands alike before each of them."""
    return rule.split(" ", 1)[0].endswith(".caps")


@dataclass(frozen=True, slots=True)
class Carried:
    """The rules of one bundle that are not worked out anew, by offer."""

    rules: Mapping[str, Mapping[str, int]]
    """Offer to rule (JSON without its `max`) to `max`, 0 where it has none."""

    def lax(self, offer: str, than: Carried) -> bool:
        """Say that whoever passed the other bundle's rules for the offer passes these."""
        mine, theirs = self.rules.get(offer, {}), than.rules.get(offer, {})
        return all(rule in theirs and limit >= theirs[rule] for rule, limit in mine.items())

    def strict(self, offer: str, than: Carried) -> bool:
        """Say that whoever was denied by the other bundle's rules for the offer is denied by these."""
        return than.lax(offer, self)

    def within(self, offer: str, rule: str, limit: int) -> bool:
        """Say that whoever passed the offer's rules passed this one at this limit."""
        return self.rules.get(offer, {}).get(rule, limit + 1) <= limit

    def none(self, offer: str) -> bool:
        """Say that the offer has no such rule."""
        return not self.rules.get(offer)


def carried(bundle: Bundle) -> Carried:
    """Return the rules of a bundle whose state the record does not hold."""
    document = orjson.loads(bundle.canonical_form)
    everywhere = {_key(section, item): 0 for section in sorted(_OTHER_SECTIONS & document.keys()) for item in _items(document[section])}
    groups, rules = document["groups"], {}
    for name, offer in document["offers"].items():
        found = dict(everywhere)
        for owner, entry in ((f"groups.{offer['group']}", groups.get(offer["group"]) or {}), (f"offers.{name}", offer)):
            for key, value in entry.items():
                if key not in _COMPUTED_KEYS and key not in _OF_REVIEW:
                    for item in _items(value):
                        limit = item.pop("max", 0) if isinstance(item, dict) else 0
                        found[_key(f"{owner}.{key}", item)] = limit
        rules[name] = found
    return Carried(rules)


def _items(value: Any) -> Iterator[Any]:
    if value is None or value is False or value == [] or value == {}:
        return
    if isinstance(value, list):
        yield from value
    else:
        yield value


def _key(owner: str, item: Any) -> str:
    return f"{owner} {orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()}"


OPERATIONAL = frozenset({Reason.STOPPED, Reason.CONTROLS_UNKNOWN, Reason.NOT_APPROVED, Reason.REVIEW_REJECTED})
"""What people did, not the bundle: it stands as it was, whatever else has changed."""
_FIRST = {Reason.STOPPED: 0, Reason.CONTROLS_UNKNOWN: 0, Reason.NOT_APPROVED: 2, Reason.REVIEW_REJECTED: 2}


def place_in_chain() -> NDArray[np.int64]:
    """Return [256] where in the chain each reason stands: the objection that stands first gives the reason."""
    place = np.full(256, 255, dtype=np.int64)
    for reason in Reason:
        place[reason] = _FIRST.get(reason, 1 if reason.name.startswith("CONSENT_") else 3 + int(reason))
    return place
