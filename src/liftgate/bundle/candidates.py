"""Which offers a placement may show."""

from __future__ import annotations

from collections.abc import Mapping

from liftgate.bundle.schema import OfferRule, PlacementRule


def candidates(rule: PlacementRule, offers: Mapping[str, OfferRule]) -> list[str]:
    """Return the names of a placement's candidate offers that exist, in the order of `offers`."""
    if rule.offers == "all":
        return list(offers)
    if isinstance(rule.offers, list):
        wanted = set(rule.offers)
        return [name for name in offers if name in wanted]
    groups = set(rule.offers.groups)
    return [name for name, offer in offers.items() if offer.group in groups]
