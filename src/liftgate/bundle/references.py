"""What one part of a bundle says about another: names that must exist, things that may not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import orjson

from liftgate.bundle.candidates import candidates
from liftgate.bundle.layers import check_layers
from liftgate.bundle.schema import Group, OfferRule, PlacementRule
from liftgate.bundle.schema_caps import per_text
from liftgate.bundle.schema_consent import ChannelPermission
from liftgate.bundle.schema_layers import HoldoutRule
from liftgate.bundle.sections import Draft
from liftgate.bundle.shadow import check_shadow
from liftgate.bundle.suppression import check_suppressions

MAX_PAYLOAD_BYTES = 32 * 1024
Path = tuple[str | int, ...]


def check_references(draft: Draft) -> dict[str, str]:
    """Note every mistake between parts. Returns the payload of every offer as JSON, `{}` for a refused one."""
    groups, offers = draft.section("groups", Group), draft.section("offers", OfferRule)
    for head in ("profile_purpose", "experiment_purpose"):
        purpose = draft.head.get(head)
        if purpose is not None and purpose != "none":
            draft.refer((head,), "purposes", purpose)
    for channel, permission in draft.section("channel_permissions", ChannelPermission).items():
        draft.refer(("channel_permissions", channel), "purposes", permission.root)
    for name, group in groups.items():
        _shared(draft, ("groups", name), group)
    payloads: dict[str, str] = {}
    for name, offer in offers.items():
        _offer(draft, name, offer, groups)
        payloads[name] = _payload(draft, name, offer.payload)
    for name, placement in draft.section("placements", PlacementRule).items():
        _placement(draft, name, placement, groups, offers)
    check_layers(draft)
    _answers(draft)
    check_shadow(draft)
    check_suppressions(draft)
    return payloads


def _shared(draft: Draft, path: Path, rule: Group | OfferRule) -> None:
    for i, purpose in enumerate(rule.purposes):
        draft.refer((*path, "purposes", i), "purposes", purpose)
    seen: dict[tuple[str, str, str, str], int] = {}
    for i, cap in enumerate(rule.caps):
        first = seen.setdefault(cap.sort, i)
        if first != i:
            problem = f"counts the same {cap.counts}s per {per_text(cap.per)} as caps[{first}]"
            draft.refuse((*path, "caps", i), problem, "keep the smaller `max` of the two")


def _offer(draft: Draft, name: str, offer: OfferRule, groups: Mapping[str, Group]) -> None:
    path = ("offers", name)
    _shared(draft, path, offer)
    if offer.group is None:
        for i, pause in enumerate(offer.pauses):
            if pause.scope == "group":
                draft.refuse(
                    (*path, "pauses", i, "scope"), "is a group, and the offer belongs to none", "write `scope: offer`, or name a `group`"
                )
    if offer.starts_at is not None and offer.until is not None and offer.starts_at >= offer.until:
        draft.refuse((*path, "until"), "is not after `from`: the offer could never be shown", "swap or correct the two")
    if offer.group is None or not draft.refer((*path, "group"), "groups", offer.group):
        return
    shared = groups[offer.group].channels
    if offer.channels is not None and shared is not None and not set(offer.channels) & set(shared):
        draft.refuse((*path, "channels"), f"shares no channel with group `{offer.group}`", "name at least one channel of the group")


def _placement(draft: Draft, name: str, rule: PlacementRule, groups: Mapping[str, Group], offers: Mapping[str, OfferRule]) -> None:
    path = ("placements", name)
    if isinstance(rule.offers, list):
        for i, offer in enumerate(rule.offers):
            draft.refer((*path, "offers", i), "offers", offer)
            if offer in rule.offers[:i]:
                draft.refuse((*path, "offers", i), f"`{offer}` is listed twice", "keep one")
    elif rule.offers != "all":
        known = [draft.refer((*path, "offers", "groups", i), "groups", group) for i, group in enumerate(rule.offers.groups)]
        if all(known) and not candidates(rule, offers) and not draft.broken and not draft.refused["offers"]:
            draft.refuse((*path, "offers"), "no offer belongs to these groups", "put offers into them, or list offers")
    for name in rule.default_offers:
        if not draft.refer((*path, "default_offer"), "offers", name):
            continue
        default = offers[name]
        shared = groups.get(default.group or "")
        if default.caps or (shared and shared.caps):
            problem = f"`{name}` has caps{'' if default.caps else f' through group `{default.group}`'}"
            draft.refuse(
                (*path, "default_offer"), f"{problem}, and a default offer is shown without a reservation", "choose an offer without caps"
            )


def _answers(draft: Draft) -> None:
    needs_default = [(name, layer) for name, layer in draft.section("layers", HoldoutRule).items() if layer.answer == "default_offer"]
    offers = draft.section("offers", OfferRule)
    for place, rule in draft.section("placements", PlacementRule).items():
        if rule.default_offers or draft.patched & {("placements", place, "default_offer")}:
            continue
        concerned = next((name for name, layer in needs_default if _withholds_at(layer, place, rule, offers)), None)
        if concerned is not None:
            text = f"has no default_offer, so layer `{concerned}` answers held-out people with none here"
            draft.caution(("placements", place), text)


def _withholds_at(layer: HoldoutRule, place: str, rule: PlacementRule, offers: Mapping[str, OfferRule]) -> bool:
    """Say whether a holdout can change what a placement answers."""
    if layer.placements is not None and place not in layer.placements:
        return False
    if layer.groups is None and layer.offers is None:
        return True
    return any(name in (layer.offers or ()) or offers[name].group in (layer.groups or ()) for name in candidates(rule, offers))


def _payload(draft: Draft, name: str, payload: dict[str, Any]) -> str:
    path: Path = ("offers", name, "payload")
    unfit = list(_unfit(payload, path))
    for where, problem in unfit:
        draft.refuse(where, problem, "write it as text")
    if unfit:
        return "{}"
    raw = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    if len(raw) > MAX_PAYLOAD_BYTES:
        draft.refuse(
            path, f"is {len(raw)} bytes of JSON, more than {MAX_PAYLOAD_BYTES}", "put large content elsewhere and its address here"
        )
    return raw.decode()


def _unfit(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield everything that JSON cannot say."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _unfit(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _unfit(item, (*path, i))
    elif isinstance(value, float) and not isfinite(value):
        yield path, f"{value!r} is no JSON number"
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield path, "is a whole number beyond 64 bits"
