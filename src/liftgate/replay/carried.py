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
PASSED = frozenset({Reason.ALLOWED, Reason.CHOSEN, Reason.BELOW_THRESHOLD, Reason.LOWER_TIER})
"""Reasons of offers that passed every guardrail."""
_KNOWN_KEYS = frozenset(
    {
        # What they are worth is worked out anew.
        "levers",
        "context_weight",
        "tier",
        "smoothing",
        "evidence",
        "uplift",
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
        "shadow",
        # Counters are read from the compiled bundle, approvals stand as they were.
        "caps",
        "pauses",
        "sensitive",
        "review",
        "review_each_decision",
        # Decided anew.
        "select",
    }
)
"""Keys of offers and groups in the canonical form that no rule is made of here."""
_KNOWN_SECTIONS = frozenset(
    {
        "format",
        "bundle",
        "currency",
        "time_zone",
        "profile_purpose",
        "experiment_purpose",
        "features",
        "context",
        "purposes",
        "channel_permissions",
        "models",
        "groups",
        "offers",
        "placements",
        "layers",
        "manifests",
        "guardrails",
        "review_classes",
        "review_policy",
        "contact_policy",
        "lists",
        "exclusions",
    }
)
_COUNTER = "counter "


def is_carried(code: int) -> bool:
    """Say whether a candidate's logged reason is the verdict of a guardrail whose state the record does not hold."""
    return code not in (Reason.UNSPECIFIED, Reason.NOT_REQUESTED) and Reason(code) not in COMPUTED | PASSED


def is_counter(rule: str) -> bool:
    """Say whether a rule is a cap, a pause or a contact policy: it counts its offers together, so it stands alike before each of them."""
    return rule.startswith(_COUNTER)


@dataclass(frozen=True, slots=True)
class Carried:
    """The rules of one bundle that are not worked out anew, by offer."""

    rules: Mapping[str, Mapping[str, int]]
    """Offer to rule to its limit, 0 where it has none. What runs in shadow is no rule: it denies nobody."""

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
    rules: dict[str, dict[str, int]] = {offer.offer_id: {} for offer in bundle.offers}
    names = [offer.offer_id for offer in bundle.offers]
    for cap in bundle.caps:
        for k in cap.offers.tolist() if not cap.shadow else ():
            about = (cap.cap_id.hex(), cap.window_ms, cap.lease_ms, cap.even, cap.soft, cap.channel)
            rules[names[k]][f"{_COUNTER}{about}"] = cap.limit
    for section, name, rule in _sections(document, bundle):
        for offer in bundle.offers:
            if _concerns(rule, offer.offer_id, offer.group):
                rules[offer.offer_id][_key(f"{section}.{name}", rule)] = 0
    for name, offer in document["offers"].items():
        for owner, entry in (("groups", document["groups"].get(offer["group"]) or {}), ("offers", offer)):
            for key, value in entry.items():
                if key not in _KNOWN_KEYS and value not in (None, False, [], {}):
                    rules[name][_key(f"{owner}.{key}", value)] = 0
    return Carried(rules)


def _sections(document: dict[str, Any], bundle: Bundle) -> Iterator[tuple[str, str, Any]]:
    """Yield (section, name, rule) of sections of their own, those of a newer kind included, but for what runs in shadow."""
    policy = document.get("contact_policy", {})
    # Exclusions are counters.
    found = {"lists": document.get("lists", {})}
    found["quiet_hours"] = {"": policy["quiet_hours"]} if policy.get("quiet_hours") else {}
    found |= {key: {"": document[key]} for key in document.keys() - _KNOWN_SECTIONS}
    for section, entries in found.items():
        if section not in bundle.shadow.guardrails:
            for name, rule in entries.items():
                yield section, name, rule


def _concerns(rule: Any, offer_id: str, group: str) -> bool:
    """Say whether a rule that may name offers and groups concerns one; a rule that names none concerns all."""
    offers, groups = (rule.get(key) or [] for key in ("offers", "groups")) if isinstance(rule, dict) else ([], [])
    return not (offers or groups) or offer_id in offers or bool(group and group in groups)


def _key(owner: str, item: Any) -> str:
    return f"{owner} {orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()}"


REVIEWS = frozenset({Reason.NOT_APPROVED, Reason.REVIEW_REJECTED, Reason.AWAITING_REVIEW})
"""What reviewers had not said yes to."""
_STOPS = frozenset({Reason.STOPPED, Reason.CONTROLS_UNKNOWN})
OPERATIONAL = _STOPS | REVIEWS
"""What people did, not the bundle: it stands as it was."""
_FIRST = dict.fromkeys(_STOPS, 0) | dict.fromkeys(REVIEWS, 2) | {Reason.FEATURE_STALE: 3}


def place_in_chain() -> NDArray[np.int64]:
    """Return [256] where in the chain each reason stands: the objection that stands first gives the reason."""
    place = np.full(256, 255, dtype=np.int64)
    for reason in Reason:
        place[reason] = _FIRST.get(reason, 1 if reason.name.startswith("CONSENT_") else 3 + int(reason))
    return place
