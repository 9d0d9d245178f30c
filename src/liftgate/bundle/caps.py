"""Caps, contact policies and pauses as written, to the counters that stand for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

import numpy as np

from liftgate.bundle.duration import duration_text
from liftgate.bundle.schema import Group, OfferRule
from liftgate.bundle.schema_caps import CapRule, ContactChannels, ContactRule, PauseRule, per_text
from liftgate.bundle.sections import Draft
from liftgate.bundle.shadow import shadowed_guardrails
from liftgate.bundle.suppression import exclusion_caps
from liftgate.domain.calendar import Period
from liftgate.domain.offer import Cap, Indices
from liftgate.domain.pause import Pause
from liftgate.domain.reason import Reason

Owner = tuple[str, str]
_SCOPES = {"person": 0, "account": 1, "total": 2}
_REASONS = {"person": Reason.FREQUENCY_CAP, "account": Reason.ACCOUNT_CAP, "total": Reason.TOTAL_CAP}
_NOUNS = {
    "exposure": ("an exposure", "exposures"),
    "click": ("a click", "clicks"),
    "purchase": ("a purchase", "purchases"),
    "dismiss": ("a dismissal", "dismissals"),
    "unsubscribe": ("an unsubscription", "unsubscriptions"),
    "complaint": ("a complaint", "complaints"),
}
_WHOSE = {"person": "", "account": " by account", "total": " in total"}


@dataclass(frozen=True, slots=True)
class CompiledCaps:
    """Every counter of a bundle. Those of people come first, then those of accounts, then totals."""

    caps: tuple[Cap, ...]
    of_offer: tuple[tuple[int, ...], ...]
    """For each offer, the caps in its own and its group's `caps:`, and the exclusions that being chosen is noted for."""
    pauses: tuple[Pause, ...]
    source: Mapping[tuple[str, int], str]
    """(`pauses` or `contact_policy`, offer) to `file:line` of what can hold it back."""


def compile_caps(
    draft: Draft, groups: Mapping[str, Group], offers: Mapping[str, OfferRule], channels: Sequence[str], on: Sequence[set[str] | None]
) -> CompiledCaps:
    """Return the counters. `channels` are those that offers name, `on` those that each may go out on, None: all."""
    index = list(offers)
    members = {name: [k for k, offer in enumerate(index) if offers[offer].group == name] for name in groups}
    owners: list[tuple[Owner, Group | OfferRule, list[int]]] = [
        *((("groups", name), group, members[name]) for name, group in groups.items() if members[name]),
        *((("offers", name), offers[name], [k]) for k, name in enumerate(index)),
    ]
    shadowed = shadowed_guardrails(draft)
    listed = [
        replace(_cap(draft, owner, i, rule, its), shadow="caps" in shadowed or "caps" in written.shadow)
        for owner, written, its in owners
        for i, rule in enumerate(written.caps)
    ]
    policy = draft.section("contact_policy", ContactChannels)
    contact_rules = policy["channels"].root if policy else {}
    contacts = [
        replace(_contact(draft, name, rule, len(index)), shadow="contact_policy" in shadowed)
        for name, rule in sorted(contact_rules.items())
    ]
    known = sorted({*channels, *contact_rules})
    paused = [
        (replace(cap, shadow="pauses" in shadowed or "pauses" in written.shadow), pause)
        for owner, written, its in owners
        for cap, pause in _pauses(draft, owner, written.pauses, its, members, offers, _paused_channels([on[k] for k in its], known))
    ]
    excluded = exclusion_caps(draft, "exclusions" in shadowed)
    every = [*listed, *contacts, *(cap for cap, _ in paused), *(cap for cap, _ in excluded)]
    caps = tuple(sorted(every, key=lambda cap: _SCOPES[cap.scope]))
    place = {cap.cap_id: i for i, cap in enumerate(caps)}
    of_offer: list[list[int]] = [[] for _ in index]
    for cap in listed:
        for k in cap.offers.tolist():
            of_offer[k].append(place[cap.cap_id])
    for cap, others in excluded:
        for k in others:
            of_offer[k].append(place[cap.cap_id])
    return CompiledCaps(caps, tuple(map(tuple, of_offer)), tuple(pause for _, pause in paused), _sources(contacts, paused, excluded))


def _id(*parts: str) -> bytes:
    # Names hold no NUL, so the parts cannot run into each other.
    return blake2b("\0".join(parts).encode(), digest_size=8).digest()


def _indices(offers: Sequence[int]) -> Indices:
    column = np.array(offers, dtype=np.intp)
    column.setflags(write=False)
    return column


def _window(per: int | str) -> tuple[int, Period | None]:
    return (per, None) if isinstance(per, int) else (0, _PERIODS[per])


_PERIODS: Mapping[str, Period] = {"hour": "hour", "day": "day", "week": "week", "month": "month"}


def _cap(draft: Draft, owner: Owner, i: int, rule: CapRule, offers: list[int]) -> Cap:
    parts = ["cap", *owner, str(rule.per), rule.counts]
    if rule.scope != "person" or rule.zone != "bundle":
        parts += [rule.scope, rule.zone]
    window_ms, period = _window(rule.per)
    name = f"{owner[1]}: at most {rule.max} {rule.counts}{'s' if rule.max > 1 else ''} per {per_text(rule.per)}{_WHOSE[rule.scope]}"
    return Cap(
        cap_id=_id(*parts),
        name=name,
        limit=rule.max,
        window_ms=window_ms,
        counts=rule.counts,
        lease_ms=rule.lease_ms,
        offers=_indices(offers),
        source=draft.where((*owner, "caps", i)),
        period=period,
        zone=rule.zone,
        scope=rule.scope,
        even=rule.pace == "even",
        soft=rule.when_unavailable == "allow",
        reason=_REASONS[rule.scope],
    )


def _contact(draft: Draft, channel: str, rule: ContactRule, count: int) -> Cap:
    window_ms, period = _window(rule.per)
    parts = ["contact", channel, str(rule.per), *([rule.zone] if rule.zone != "bundle" else [])]
    return Cap(
        cap_id=_id(*parts),
        name=f"{channel}: at most {rule.max} contact{'s' if rule.max > 1 else ''} per {per_text(rule.per)}",
        limit=rule.max,
        window_ms=window_ms,
        counts="decision",
        lease_ms=0,
        offers=_indices(range(count)),
        source=draft.where(("contact_policy", "channels", channel)),
        period=period,
        zone=rule.zone,
        soft=rule.when_unavailable == "allow",
        channel=channel,
        reason=Reason.CONTACT_POLICY,
    )


def _paused_channels(on: Sequence[set[str] | None], known: Sequence[str]) -> list[str]:
    """Return the channels that outcomes of some offers can pause: those that the offers go out on; empty text: any other."""
    if any(names is None for names in on):
        return [*known, ""]
    return sorted(set().union(*(names for names in on if names)))


def _pauses(
    draft: Draft,
    owner: Owner,
    rules: Sequence[PauseRule],
    its: list[int],
    members: Mapping[str, list[int]],
    offers: Mapping[str, OfferRule],
    channels: Sequence[str],
) -> Iterator[tuple[Cap, Pause]]:
    """Yield each pause once for everything that it can hold back apart: an offer, a group, a channel."""
    for i, rule in enumerate(rules):
        where = draft.where((*owner, "pauses", i))
        if rule.scope == "channel":
            for channel in channels:
                yield _pause(owner, rule, where, its, list(range(len(offers))), channel, channel or "other channels")
        elif rule.scope == "group":
            group = owner[1] if owner[0] == "groups" else offers[owner[1]].group or ""
            yield _pause(owner, rule, where, its, members[group], None, group)
        else:
            names = list(offers)
            for k in its:
                yield _pause(owner, rule, where, [k], [k], None, names[k])


def _pause(
    owner: Owner, rule: PauseRule, where: str, counted: list[int], held: list[int], channel: str | None, what: str
) -> tuple[Cap, Pause]:
    within, lasts = rule.within or 0, rule.lasts
    parts = ("pause", *owner, rule.of, str(rule.after), str(within), str(lasts), rule.scope, what)
    one, several = _NOUNS[rule.of]
    enough = f"{rule.after} {several} within {duration_text(within)}" if rule.after > 1 else one
    kind: Literal["outcome"] = "outcome"
    cap = Cap(
        cap_id=_id(*parts),
        name=f"{what}: paused for {duration_text(lasts)} after {enough}",
        limit=1,
        window_ms=lasts,
        counts=kind,
        lease_ms=0,
        offers=_indices(held),
        source=where,
        soft=rule.when_unavailable == "allow",
        channel=channel,
        reason=Reason.PAUSED,
    )
    pause = Pause(cap.cap_id, _id("outcomes", *parts), rule.of, rule.after, within, lasts, frozenset(counted), channel)
    return cap, pause


def _sources(
    contacts: Sequence[Cap], paused: Sequence[tuple[Cap, Pause]], excluded: Sequence[tuple[Cap, list[int]]]
) -> dict[tuple[str, int], str]:
    places: dict[tuple[str, int], dict[str, None]] = {}
    for section, caps in (
        ("contact_policy", contacts),
        ("pauses", [cap for cap, _ in paused]),
        ("exclusions", [cap for cap, _ in excluded]),
    ):
        for cap in caps:
            for k in cap.offers.tolist():
                places.setdefault((section, k), {})[cap.source] = None
    return {key: ", ".join(found) for key, found in places.items()}
