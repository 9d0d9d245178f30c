"""What a bundle says, as plain statements with their places: who, when, where, how often, and what holds back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from liftgate.app.cases.rules import in_shadow
from liftgate.app.cli.policy_words import policy_words
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.difference import flow
from liftgate.bundle.digest import cap_form
from liftgate.bundle.phrases import (
    GIVEN,
    HEADINGS,
    HOW_OFTEN,
    IN_SHADOW,
    OTHER,
    REVIEW,
    WAIT,
    WHEN,
    WHERE,
    WHO,
    WORTH,
    cap_words,
    channel_words,
    condition_words,
    consent_words,
    each_decision_words,
    exclusion_words,
    list_words,
    moment,
    need_words,
    pause_words,
    plain,
    sensitive_words,
    span,
)
from liftgate.bundle.phrases_worth import KEYS, minimum_words, uplift_words, worth_words
from liftgate.bundle.schema import Group, OfferRule, PlacementRule
from liftgate.bundle.schema_suppression import ExclusionRule, ListRule
from liftgate.bundle.sections import Draft
from liftgate.bundle.worth_form import worth_as_written

_NOT_SAID = frozenset({"group", "shadow"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that a bundle says, in words."""

    heading: str
    text: str
    where: str
    """`file:line`."""
    inherited: str = ""
    """The group that it stands in; empty: the entry itself."""


def offer_statements(draft: Draft, bundle: Bundle, name: str) -> list[Statement]:
    """Return everything that concerns one offer, its group's rules included."""
    offer = draft.section("offers", OfferRule)[name]
    found = list(_rules(draft, bundle, ("offers", name), offer, name))
    if offer.group:
        found += _rules(draft, bundle, ("groups", offer.group), draft.section("groups", Group)[offer.group], name)
    if not any(one.heading == WHO for one in found):
        found.append(Statement(WHO, "everybody: it asks for no consent and sets no condition of its own", draft.where(("offers", name))))
    found += _places(draft, name, offer)
    found += _approvals(draft, bundle, name)
    found += _apart(draft, name, offer.group or "")
    return sorted(found, key=lambda one: HEADINGS.index(one.heading))


def _rules(draft: Draft, bundle: Bundle, owner: tuple[str, str], entry: Group | OfferRule, offer: str) -> Iterator[Statement]:
    inherited = owner[1] if owner[0] == "groups" else ""

    def say(heading: str, text: str, *path: str | int) -> Statement:
        noted = IN_SHADOW if in_shadow(draft, bundle, ".".join(owner), str(path[0])) else ""
        return Statement(heading, f"{text}{noted}", draft.where((*owner, *path)), inherited)

    forms = worth_as_written(entry)
    # What it is worth by itself comes first.
    for field, info in sorted(type(entry).model_fields.items(), key=lambda each: each[0] != "value"):
        key, value = info.alias or field, getattr(entry, field)
        if key in _NOT_SAID or value is None or value is False or value == []:
            continue
        if key == "payload":
            yield from [say(GIVEN, plain(value), key)] if value else []
        elif key == "value":
            yield say(WORTH, _worth(entry, bundle, offer), key)
        elif key in ("propensity", "uplift"):
            continue
        elif key in KEYS:
            yield from (say(WORTH, words, key, *([] if i is None else [i])) for k, i, words in worth_words(forms) if k == key)
        elif key == "purposes":
            for i, purpose in enumerate(value):
                yield say(WHO, consent_words(purpose), key, i)
        elif key in ("eligible_if", "applicable_if", "suitable_if", "suppress_if"):
            yield say(WAIT if key == "suppress_if" else WHO, condition_words(key, value), key)
        elif key == "channels":
            yield say(WHERE, channel_words(value), key)
        elif key == "from":
            yield say(WHEN, f"from {moment(value)} on", key)
        elif key == "until":
            yield say(WHEN, f"before {moment(value)}", key)
        elif key == "caps":
            for i, cap in enumerate(value):
                yield say(HOW_OFTEN, cap_words(cap_form(cap), inherited), key, i)
        elif key == "pauses":
            for i, pause in enumerate(value):
                yield say(WAIT, pause_words(pause.model_dump()), key, i)
        elif key == "review_each_decision":
            yield say(REVIEW, each_decision_words(), key)
        elif key == "sensitive":
            yield say(REVIEW, sensitive_words(value), key)
        elif key == "review":
            yield say(REVIEW, need_words(value.model_dump()), key)
        elif key == "select":
            chosen = policy_words(value, draft.head["currency"])
            yield say(WHERE, f"group {inherited} stands as one entry wherever it may be shown; among its offers: {chosen}", key)
        else:
            yield say(OTHER, f"{key}: {flow(written(draft, owner, key))}", key)


def _approvals(draft: Draft, bundle: Bundle, name: str) -> Iterator[Statement]:
    """Yield who must approve an offer, for each rule that asks for it."""
    review = bundle.reviews.get(bundle.offer_index[name])
    for need in review.needs if review is not None else ():
        path = ("review_classes", need.because) if need.because in draft.entries["review_classes"] else ("offers", name)
        yield Statement(REVIEW, f"{need.because}: {need_words(need.document())}", draft.where(path))


def _apart(draft: Draft, name: str, group: str) -> Iterator[Statement]:
    """Yield what sections of their own say about an offer."""
    for known, rule in draft.section("lists", ListRule).items():
        if concerns(rule, name, group):
            yield Statement(WAIT, list_words(known, rule.model_dump()), draft.where(("lists", known)))
    for known, apart in draft.section("exclusions", ExclusionRule).items():
        if name in apart.offers or group in apart.groups:
            yield Statement(WAIT, exclusion_words(apart.model_dump()), draft.where(("exclusions", known)))


def concerns(rule: ListRule, name: str, group: str) -> bool:
    """Say whether a list holds an offer back."""
    return not (rule.offers or rule.groups) or name in (rule.offers or ()) or (bool(group) and group in (rule.groups or ()))


def _worth(entry: Group | OfferRule, bundle: Bundle, name: str) -> str:
    k = bundle.offer_index[name]
    worth = f"{bundle.value[k]:g} {bundle.currency}"
    if bundle.offer_model[k] < 0:
        return f"{worth} each time: no model is asked, its probability counts as 1"
    spec = bundle.models[bundle.offer_model[k]]
    second = bundle.worth.untreated
    if isinstance(entry, OfferRule) and entry.uplift is not None and second is not None:
        other = bundle.models[second.model[k]]
        treated, untreated = (f"model {one.name} version {one.version}" for one in (spec, other))
        return worth + uplift_words(treated, untreated, entry.uplift.allow_negative)
    output = f", output {spec.outputs[bundle.offer_output[k]]}" if len(spec.outputs) > 1 else ""
    rate = f"{bundle.base_rate[k]:.2%} where nobody may be scored"
    return f"{worth} if it works, times the probability that model {spec.name} version {spec.version}{output} gives ({rate})"


def _places(draft: Draft, name: str, offer: OfferRule) -> Iterator[Statement]:
    from liftgate.bundle.candidates import candidates

    offers = draft.section("offers", OfferRule)
    for place, rule in draft.section("placements", PlacementRule).items():
        if name in candidates(rule, offers):
            yield Statement(WHERE, f"a candidate at {place}", draft.where(("placements", place, "offers")))
        if name in rule.default_offers:
            slot = rule.default_offers.index(name) + 1
            said = f"the default of {place}: shown when nothing else may be"
            if slot > 1:
                said = f"the default of slot {slot} of {place}: shown there when nothing is left for the slot"
            yield Statement(WHERE, said, draft.where(("placements", place, "default_offer")))


def placement_statements(draft: Draft, name: str) -> list[Statement]:
    """Return everything about one placement."""
    from liftgate.bundle.candidates import candidates

    rule = draft.section("placements", PlacementRule)[name]

    def say(heading: str, text: str, *path: str) -> Statement:
        return Statement(heading, text, draft.where(("placements", name, *path)))

    offers = candidates(rule, draft.section("offers", OfferRule))
    found = [say("What can be shown", f"{len(offers)} offers: {', '.join(offers)}" if len(offers) != 1 else offers[0], "offers")]
    if rule.default_offers:
        found.append(say("What can be shown", f"{rule.default_offers[0]}, the default, when nothing else may be", "default_offer"))
        for slot, offer in enumerate(rule.default_offers[1:], start=2):
            found.append(say("What can be shown", f"{offer} in slot {slot}, when nothing is left for it", "default_offer"))
    else:
        found.append(say("What can be shown", "nothing, when nothing is allowed: there is no default"))
    found.append(say("How many", "one offer at a time" if rule.slots == 1 else f"up to {rule.slots} offers at a time", "slots"))
    found.append(say("How many", f"an answer may be used for {span(rule.valid_for)}", "valid_for"))
    found.append(say("How it is chosen", policy_words(rule.select, draft.head["currency"]), "select"))
    if rule.diversity is not None:
        most = rule.diversity.max_per_group
        found.append(say("How it is chosen", f"at most {most} offer{'s' if most > 1 else ''} of a group in one answer", "diversity"))
    for key in ("minimum_propensity", "minimum_value"):
        if getattr(rule, key):
            found.append(say("What is worth showing", minimum_words(key, getattr(rule, key), draft.head["currency"]), key))
    known = {"minimum_propensity", "minimum_value", "offers", "default_offers", "slots", "valid_for", "select", "diversity"}
    for field, info in type(rule).model_fields.items():
        if field not in known and field in rule.model_fields_set:
            key = info.alias or field
            found.append(say(OTHER, f"{key}: {flow(written(draft, ('placements', name), key))}", key))
    return found


def written(draft: Draft, path: tuple[str, str], key: str | None) -> Any:
    """Return an entry, or one key of it, as its file has it."""
    source = draft.owner.get(path)
    value = source.value[path[0]][path[1]] if source else None
    return value if key is None else value.get(key) if isinstance(value, dict) else None
