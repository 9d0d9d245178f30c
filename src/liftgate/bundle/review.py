"""What must be reviewed: for every sensitive offer one canonical text of all that decides who gets it, when, how often and what they get.

An approval is bound to the text's digest. Everything of the bundle that does not concern the offer (other offers, policies of choice,
layers but for what their arms do with it) stays out of it; whatever section is not known here goes in whole, so that a new kind of rule
voids approvals rather than not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from liftgate.bundle.candidates import candidates
from liftgate.bundle.conditions import Name as InputName
from liftgate.bundle.conditions import parse, walk
from liftgate.bundle.mistake import did_you_mean, one_of
from liftgate.bundle.review_arms import arms_of_offer, highest_value
from liftgate.bundle.schema import Group, OfferRule, PlacementRule
from liftgate.bundle.schema_review import CLASSES, ReachAbove, ReviewRule, ValueAbove
from liftgate.bundle.sections import Draft
from liftgate.bundle.shadow import shadowed_guardrails
from liftgate.bundle.worth_form import FACTORS
from liftgate.domain.review import Need, Review, canonical, digest_of
from liftgate.domain.verdict import EachDecision

TEXT_FORMAT = 1
"""Raised whenever the same text would mean something else."""
_APART = frozenset(
    {"format", "bundle", "features", "context", "purposes", "models", "manifests", "groups", "offers", "placements", "layers"}
    | {"review_classes", "review_policy"}
)
"""Sections of the canonical form that a text does not take whole; review settings are in its `needs`."""
_BY_MEMBER = ("exclusions", "lists")
"""Sections of which a text takes the entries that concern the offer."""
_MANIFEST = ("sha256", "size", "opset", "input", "output", "inputs", "outputs")
_CONDITIONS = ("eligible_if", "applicable_if", "suitable_if", "suppress_if")


def check_review(draft: Draft) -> None:
    """Note mistakes: classes that nobody knows, review settings of what is not sensitive."""
    defined = draft.section("review_classes", ReviewRule)
    known = {*CLASSES, *defined, *draft.refused["review_classes"]}
    policy = bool(draft.entries["review_policy"] or draft.refused["review_policy"])
    groups = draft.section("groups", Group)
    rules: list[tuple[tuple[str, str], Group | OfferRule]] = [(("groups", name), group) for name, group in groups.items()]
    rules += [(("offers", name), offer) for name, offer in draft.section("offers", OfferRule).items()]
    for path, rule in rules:
        for i, name in enumerate(rule.sensitive if isinstance(rule.sensitive, list) else ()):
            if name not in known and not draft.broken:
                mend = did_you_mean(name, known, f"define it in `review_classes:` ({one_of(known)})")
                draft.refuse((*path, "sensitive", i), f"there is no class `{name}` of sensitive things", mend)
        group = groups.get(rule.group or "") if isinstance(rule, OfferRule) else None
        shared = group is not None and bool(group.sensitive)
        each = isinstance(rule, OfferRule) and rule.review_each_decision
        if rule.review is not None and not rule.sensitive and not shared and not policy and not each:
            draft.refuse((*path, "review"), "says who approves, but nothing here is sensitive", "add `sensitive: true`, or remove `review`")


def reviews(draft: Draft, canonical_form: bytes) -> dict[int, Review]:
    """Return what must be approved, by offer index, of a draft without mistakes and its canonical form."""
    groups, offers = draft.section("groups", Group), draft.section("offers", OfferRule)
    found: dict[int, Review] = {}
    document: dict[str, Any] = {}
    for k, (name, offer) in enumerate(offers.items()):
        group = groups.get(offer.group or "")
        classes = sorted(set(_classes(draft, name, offer, group)))
        if classes:
            document = document or orjson.loads(canonical_form)
            needs = _needs(draft, classes, name, offer, group)
            text = canonical(_text(document, draft, name, offer, classes, needs))
            found[k] = Review(f"offer/{name}", digest_of(text), text, needs, draft.where(("offers", name)))
    return found


def each_decision(draft: Draft, canonical_form: bytes) -> dict[int, EachDecision]:
    """Return, by offer index, whose every decision is reviewed, by whom, and for how long a verdict counts."""
    groups, found = draft.section("groups", Group), {}
    for k, (name, offer) in enumerate(draft.section("offers", OfferRule).items()):
        if offer.review_each_decision:
            group = groups.get(offer.group or "")
            rule = offer.review or (group.review if group is not None else None) or ReviewRule.model_validate({})
            text = canonical(_text(orjson.loads(canonical_form), draft, name, offer, [], ()))
            found[k] = EachDecision(digest_of(text), rule.role, rule.valid_for)
    return found


def _classes(draft: Draft, name: str, offer: OfferRule, group: Group | None) -> Iterator[str]:
    for rule in (offer, group):
        if rule is not None and rule.sensitive:
            yield from ("sensitive",) if rule.sensitive is True else rule.sensitive
    policy = draft.entries["review_policy"]
    value_above, reach_above = policy.get("value_above"), policy.get("reach_above")
    if isinstance(value_above, ValueAbove) and highest_value(draft, name, offer.value) > value_above.root:
        yield "price"
    if isinstance(reach_above, ReachAbove):
        # A cap in shadow holds nobody back, and one that counts clicks says nothing of how many are reached.
        holding = [] if "caps" in shadowed_guardrails(draft) else [rule for rule in (offer, group) if rule and "caps" not in rule.shadow]
        totals = [cap.max for rule in holding for cap in rule.caps if cap.scope == "total" and cap.counts != "click"]
        if not totals or min(totals) > reach_above.root:
            yield "reach"


def _needs(draft: Draft, classes: list[str], name: str, offer: OfferRule, group: Group | None) -> tuple[Need, ...]:
    """Return every rule that must be met: each class's own, the group's, the offer's; the usual one for a class that has none."""
    defined = draft.section("review_classes", ReviewRule)
    found = [(kind, defined[kind]) for kind in classes if kind in defined]
    own: list[tuple[str, ReviewRule]] = []
    if group is not None and group.review is not None:
        own.append((f"group {offer.group}", group.review))
    if offer.review is not None:
        own.append((f"offer {name}", offer.review))
    bare = [kind for kind in classes if kind not in defined]
    if bare and not own:
        own.append((", ".join(bare), ReviewRule.model_validate({})))
    return tuple(Need(because, rule.approvers, rule.role, rule.valid_for) for because, rule in (*found, *own))


def _text(
    document: Mapping[str, Any], draft: Draft, name: str, offer: OfferRule, classes: list[str], needs: tuple[Need, ...]
) -> dict[str, Any]:
    own, shared = document["offers"][name], document["groups"][offer.group] if offer.group else None
    rules = [rule for rule in (own, shared) if rule is not None]
    pair = [offer.treated] + ([offer.uplift.untreated] if offer.uplift else [])
    models = list(dict.fromkeys(one.model for one in pair if one is not None))
    manifests = {model: document["manifests"][model] for model in models}
    read = {one["input"] for manifest in manifests.values() for one in manifest["inputs"]}
    for rule in rules:
        texts = [rule.get(kind) for kind in _CONDITIONS] + [one.get("if") for kind in FACTORS for one in rule.get(kind, ())]
        read |= {part.text for text in texts if text for part in walk(parse(text)) if isinstance(part, InputName)}
    purposes = {purpose for rule in rules for purpose in rule["purposes"]} | {document["profile_purpose"]}
    purposes |= set(document.get("channel_permissions", {}).values())
    rest = {key: value for key, value in document.items() if key not in _APART and key not in _BY_MEMBER}
    for key in _BY_MEMBER:
        entries = {entry: value for entry, value in document.get(key, {}).items() if _concerns(value, name, offer.group)}
        rest |= {key: entries} if entries else {}
    arms = arms_of_offer(draft, document["manifests"], name, offer, draft.section("groups", Group).get(offer.group or ""), _MANIFEST)
    return ({"arms": arms} if arms else {}) | {
        "format": TEXT_FORMAT,
        "canonical_format": document["format"],
        "kind": "offer",
        "bundle": document["bundle"],
        "subject": f"offer/{name}",
        "sensitive": classes,
        "needs": [need.document() for need in needs],
        "offer": own,
        "group": {offer.group: shared} if offer.group else None,
        "placements": _placements(draft, name),
        "model": {model: document["models"][model] | {key: manifest.get(key) for key in _MANIFEST} for model, manifest in manifests.items()}
        or None,
        "features": {key: value for key, value in document["features"].items() if f"profile.{key}" in read},
        "context": {key: value for key, value in document["context"].items() if f"context.{key}" in read},
        "purposes": {key: value for key, value in document["purposes"].items() if key in purposes},
        "bundle_wide": rest,
    }


def _placements(draft: Draft, name: str) -> dict[str, list[str]]:
    """Return where the offer can be shown: placement to `candidate`, `default` or both."""
    offers = draft.section("offers", OfferRule)
    found: dict[str, list[str]] = {}
    for place, rule in draft.section("placements", PlacementRule).items():
        ways = (["candidate"] if name in candidates(rule, offers) else []) + (["default"] if name in rule.default_offers else [])
        if ways:
            found[place] = ways
    return found


def _concerns(entry: Any, name: str, group: str | None) -> bool:
    if not isinstance(entry, dict):
        return True
    offers, groups = entry.get("offers"), entry.get("groups")
    return (offers is None and groups is None) or name in (offers or ()) or (group or "") in (groups or ())
