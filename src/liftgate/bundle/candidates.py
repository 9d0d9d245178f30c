"""Which offers a placement may show."""

from __future__ import annotations

from collections.abc import Mapping

from liftgate.bundle.schema import OfferRule, PlacementRule
from liftgate.bundle.schema_candidates import Candidates


def candidates(rule: PlacementRule, offers: Mapping[str, OfferRule]) -> list[str]:
    """Return the names of a placement's own candidate offers that exist, in the order of `offers`."""
    return named(rule.offers, offers)


def named(said: Candidates, offers: Mapping[str, OfferRule]) -> list[str]:
    """Return the names of the offers that `offers:` of a placement or an arm speaks of and that exist, in the order of `offers`."""
    if said == "all":
        return list(offers)
    if isinstance(said, list):
        wanted = set(said)
        return [name for name in offers if name in wanted]
    groups = set(said.groups)
    return [name for name, offer in offers.items() if offer.group in groups]
