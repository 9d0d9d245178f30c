"""Do-not-contact lists, quiet hours and mutual exclusion as written, checked and compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np

from liftgate.bundle.duration import duration_text
from liftgate.bundle.mistake import one_of
from liftgate.bundle.schema import OfferRule, PlacementRule
from liftgate.bundle.schema_suppression import ExclusionRule, ListRule
from liftgate.bundle.schema_suppression import QuietHours as QuietHoursRule
from liftgate.bundle.sections import Draft
from liftgate.domain.offer import Cap, Indices
from liftgate.domain.reason import Reason
from liftgate.domain.suppression import ContactList, QuietHours

MOST_MEMBERS = 16
"""Of an exclusion: a choice is noted once for each of the others."""


@dataclass(frozen=True, slots=True)
class Suppressions:
    """What holds offers back whatever they say themselves. Exclusions are counters and stand among the bundle's caps."""

    lists: tuple[ContactList, ...] = ()
    quiet_hours: QuietHours | None = None
    zones: Mapping[str, ZoneInfo] = field(default_factory=lambda: MappingProxyType({}))
    """Time zones by name; empty where nothing needs them."""
    source: Mapping[tuple[str, int], str] = field(default_factory=lambda: MappingProxyType({}))
    """(`lists` or `quiet_hours`, offer) to `file:line` of what can hold it back."""


def suppressions(draft: Draft, zones: Mapping[str, ZoneInfo]) -> Suppressions:
    """Return what a draft without mistakes says. `zones`: every time zone, used where there are quiet hours."""
    index = list(draft.section("offers", OfferRule))
    places: dict[tuple[str, int], list[str]] = {}
    lists = []
    for name, rule in draft.section("lists", ListRule).items():
        everything = rule.offers is None and rule.groups is None
        held = list(range(len(index))) if everything else _members(draft, rule.offers or (), rule.groups or ())
        lists.append(ContactList(name, None if rule.channels is None else frozenset(rule.channels), _indices(held)))
        for k in held:
            places.setdefault(("lists", k), []).append(draft.where(("lists", name)))
    quiet = draft.section("contact_policy", QuietHoursRule).get("quiet_hours")
    hours = None
    if quiet is not None:
        hours = QuietHours(_minute(quiet.starts), _minute(quiet.ends), None if quiet.channels is None else frozenset(quiet.channels))
        for k in range(len(index)):
            places["quiet_hours", k] = [draft.where(("contact_policy", "quiet_hours"))]
    source = MappingProxyType({key: ", ".join(found) for key, found in places.items()})
    return Suppressions(tuple(lists), hours, zones if hours is not None else MappingProxyType({}), source)


def exclusion_caps(draft: Draft, shadow: bool) -> list[tuple[Cap, list[int]]]:
    """Return one counter for each member of each exclusion, and the offers that are charged to it: those of the other members.

    It holds its member's offers back as soon as it counts anything; being chosen is never refused for it.
    """
    found = []
    for name, rule in draft.section("exclusions", ExclusionRule).items():
        members = _exclusive(draft, rule)
        for i, (member, offers) in enumerate(members):
            others = [k for j, (_, its) in enumerate(members) for k in its if j != i]
            cap = Cap(
                cap_id=blake2b("\0".join(("exclusion", name, member, str(rule.within))).encode(), digest_size=8).digest(),
                name=f"{name}: not within {duration_text(rule.within)} of another than {member}",
                limit=1,
                window_ms=rule.within,
                counts="decision",
                lease_ms=0,
                offers=_indices(offers),
                source=draft.where(("exclusions", name)),
                reason=Reason.EXCLUDED,
                shadow=shadow,
            )
            found.append((cap, others))
    return found


def check_suppressions(draft: Draft) -> None:
    """Note names that are not there, and rules that contradict others."""
    for name, entry in draft.section("lists", ListRule).items():
        _refer(draft, ("lists", name), entry.offers or (), entry.groups or ())
    quiet = draft.section("contact_policy", QuietHoursRule).get("quiet_hours")
    if quiet is not None and quiet.starts == quiet.ends:
        draft.refuse(("contact_policy", "quiet_hours", "to"), "is the same as `from`: nothing could ever be shown", "write another time")
    defaults = {offer: name for name, rule in draft.section("placements", PlacementRule).items() for offer in rule.default_offers}
    for name, rule in draft.section("exclusions", ExclusionRule).items():
        path = ("exclusions", name)
        if not _refer(draft, path, rule.offers, rule.groups):
            continue
        count = len(rule.offers) + len(rule.groups)
        if not 2 <= count <= MOST_MEMBERS:
            draft.refuse(path, f"names {count} offers and groups", f"name two to {MOST_MEMBERS} that exclude one another")
        members = [k for _, its in _exclusive(draft, rule) for k in its]
        index = list(draft.section("offers", OfferRule))
        twice = sorted({index[k] for k in members if members.count(k) > 1})
        if twice:
            draft.refuse(
                path, f"names {one_of(twice).removeprefix('known: ')} twice", "name each offer once, by itself or through its group"
            )
        for offer in sorted({index[k] for k in members} & set(defaults)):
            problem = f"`{offer}` is the default offer of `{defaults[offer]}`, which is shown without a reservation"
            draft.refuse(path, problem, "leave it out, or choose another default offer")


def _refer(draft: Draft, path: tuple[str, str], offers: Sequence[str], groups: Sequence[str]) -> bool:
    found = [draft.refer((*path, "offers", i), "offers", offer) for i, offer in enumerate(offers)]
    found += [draft.refer((*path, "groups", i), "groups", group) for i, group in enumerate(groups)]
    return all(found)


def _exclusive(draft: Draft, rule: ExclusionRule) -> list[tuple[str, list[int]]]:
    return [(f"offers.{name}", _members(draft, (name,), ())) for name in rule.offers] + [
        (f"groups.{name}", _members(draft, (), (name,))) for name in rule.groups
    ]


def _members(draft: Draft, offers: Sequence[str], groups: Sequence[str]) -> list[int]:
    named = draft.section("offers", OfferRule)
    return [k for k, (name, offer) in enumerate(named.items()) if name in offers or (offer.group is not None and offer.group in groups)]


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _indices(offers: Sequence[int]) -> Indices:
    column = np.array(offers, dtype=np.intp)
    column.setflags(write=False)
    return column
