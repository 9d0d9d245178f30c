"""What a bundle says, as plain statements with their places: who, when, where, how often, and what holds back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from liftgate.app.cases.rules import in_shadow
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.difference import flow
from liftgate.bundle.duration import duration_text
from liftgate.bundle.schema import Group, OfferRule, PlacementRule
from liftgate.bundle.schema_suppression import ExclusionRule, ListRule
from liftgate.bundle.sections import Draft
from liftgate.bundle.sentences import sentence

WORTH, WHO, WHEN, WHERE, HOW_OFTEN, WAIT, REVIEW, OTHER = (
    "What it is worth",
    "Who may get it",
    "When",
    "Where",
    "How often",
    "When it must wait",
    "Review",
    "Other rules, as written",
)
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NOT_SAID = frozenset({"group", "payload", "shadow"})
IN_SHADOW = " (in shadow: it is noted, and holds nothing back)"


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
        found.append(Statement(WHO, "everybody: it needs no consent and sets no condition", draft.where(("offers", name))))
    found += _places(draft, name, offer)
    found += _apart(draft, name, offer.group or "")
    order = (WORTH, WHO, WHEN, WHERE, HOW_OFTEN, WAIT, REVIEW, OTHER)
    return sorted(found, key=lambda one: order.index(one.heading))


def _rules(draft: Draft, bundle: Bundle, owner: tuple[str, str], entry: Group | OfferRule, offer: str) -> Iterator[Statement]:
    inherited = owner[1] if owner[0] == "groups" else ""

    def say(heading: str, text: str, *path: str | int) -> Statement:
        noted = IN_SHADOW if in_shadow(draft, bundle, ".".join(owner), str(path[0])) else ""
        return Statement(heading, f"{text}{noted}", draft.where((*owner, *path)), inherited)

    for field, info in type(entry).model_fields.items():
        key, value = info.alias or field, getattr(entry, field)
        if key in _NOT_SAID or value is None or value is False or value == []:
            continue
        if key == "value":
            yield say(WORTH, _worth(entry, bundle, offer), key)
        elif key == "propensity":
            continue
        elif key == "purposes":
            for i, purpose in enumerate(value):
                yield say(WHO, f"whoever has given consent to {purpose}; no record of it is no", key, i)
        elif key in ("eligible_if", "applicable_if", "suitable_if"):
            yield say(WHO, _condition(key, value), key)
        elif key == "suppress_if":
            yield say(WAIT, f"while {_quoted(value)}; where that is not known, too", key)
        elif key == "channels":
            yield say(WHERE, f"on {listed(value)} only; a request that names no channel is on none", key)
        elif key == "from":
            yield say(WHEN, f"from {_time(value)} on", key)
        elif key == "until":
            yield say(WHEN, f"before {_time(value)}", key)
        elif key == "caps":
            for i, cap in enumerate(value):
                yield say(HOW_OFTEN, _cap(cap, inherited), key, i)
        elif key == "pauses":
            for i, pause in enumerate(value):
                yield say(WAIT, _pause(pause), key, i)
        elif key == "review_each_decision":
            yield say(REVIEW, "shown to a person only after a reviewer has said yes to just that; meanwhile something else is shown", key)
        elif key in ("sensitive", "review"):
            yield say(REVIEW, _review(key, value), key)
        else:
            yield say(OTHER, f"{key}: {flow(written(draft, owner, key))}", key)


def _apart(draft: Draft, name: str, group: str) -> Iterator[Statement]:
    """Yield what sections of their own say about an offer."""
    for known, rule in draft.section("lists", ListRule).items():
        if concerns(rule, name, group):
            yield Statement(WAIT, list_words(known, rule), draft.where(("lists", known)))
    for known, apart in draft.section("exclusions", ExclusionRule).items():
        if name in apart.offers or group in apart.groups:
            yield Statement(WAIT, exclusion_words(apart), draft.where(("exclusions", known)))


def concerns(rule: ListRule, name: str, group: str) -> bool:
    """Say whether a list holds an offer back."""
    return not (rule.offers or rule.groups) or name in (rule.offers or ()) or (bool(group) and group in (rule.groups or ()))


def list_words(name: str, rule: ListRule) -> str:
    """Return whom a list keeps from what."""
    where = f" on {listed(rule.channels)}" if rule.channels else ""
    what = [*(rule.offers or ()), *(f"the offers of group {group}" for group in rule.groups or ())]
    return f"whoever is on the list {name} is not shown {listed(what) if what else 'anything'}{where}; where that cannot be told, neither"


def exclusion_words(rule: ExclusionRule) -> str:
    """Return what excludes what, and for how long."""
    what = [*rule.offers, *(f"the offers of group {group}" for group in rule.groups)]
    return f"of {listed(what)} a person gets one: whoever was chosen one is not offered the others for {span(rule.within)}"


def _worth(entry: Group | OfferRule, bundle: Bundle, name: str) -> str:
    k = bundle.offer_index[name]
    worth = f"{bundle.value[k]:g} {bundle.currency}"
    if bundle.offer_model[k] < 0:
        return f"{worth} each time: no model is asked, its probability counts as 1"
    spec = bundle.models[bundle.offer_model[k]]
    output = f", output {spec.outputs[bundle.offer_output[k]]}" if len(spec.outputs) > 1 else ""
    rate = f"{bundle.base_rate[k]:.2%} where nobody may be scored"
    return f"{worth} if it works, times the probability that model {spec.name} version {spec.version}{output} gives ({rate})"


def _condition(kind: str, text: str) -> str:
    means = {
        "eligible_if": "may have it only if",
        "applicable_if": "it makes sense now only if",
        "suitable_if": "it is right for them only if",
    }[kind]
    return f"{means} {_quoted(text)}; where that is not known, no"


def _quoted(text: str) -> str:
    said = sentence(text)
    return said if said is not None else f"this holds: `{' '.join(text.split())}`"


def _cap(cap: Any, group: str) -> str:
    """Return a cap in words; keys that it does not have say nothing."""
    noun = {"decision": "time", "exposure": "time that it is seen", "click": "click"}.get(cap.counts, cap.counts)
    plural = {"decision": "times", "exposure": "times that it is seen", "click": "clicks"}.get(cap.counts, f"{cap.counts}s")
    whose = {"account": "for each account or household", "total": "for everybody together"}.get(
        getattr(cap, "scope", "person"), "for each person"
    )
    window = f"in any {span(cap.per)}" if isinstance(cap.per, int) else f"each {cap.per}"
    zone = ", by the person's own clock" if getattr(cap, "zone", "bundle") == "person" else ""
    over = f", over all offers of group {group} together" if group else ""
    text = f"at most {cap.max:,} {noun if cap.max == 1 else plural} {window}{zone}, {whose}{over}"
    if getattr(cap, "pace", None) == "even":
        text += ", spread evenly over it"
    if cap.counts == "exposure":
        text += f"; a decision that is not seen yet holds its place for {span(cap.lease_ms)}"
    if getattr(cap, "when_unavailable", "deny") == "allow":
        return text + "; while counts cannot be read it is shown all the same"
    return text + "; while counts cannot be read it is not shown"


def _pause(pause: Any) -> str:
    often = f"{pause.after} times {pause.of}" if pause.after > 1 else f"a {pause.of}"
    within = f" within {span(pause.within)}" if pause.within else ""
    what = {"offer": "it waits", "group": "its whole group waits", "channel": "everything on the channel waits"}[pause.scope]
    return f"after {often}{within}, {what} for {span(pause.lasts)}"


def _review(key: str, value: Any) -> str:
    if key == "sensitive":
        classes = "" if value is True else f" ({listed(value)})"
        return f"sensitive{classes}: shown only while an approval stands for exactly what is written here; any edit ends it"
    return rule_words(value)


def rule_words(rule: Any) -> str:
    """Return who must approve, and for how long that counts."""
    count = "one person" if rule.approvers == 1 else f"{rule.approvers} different people"
    return f"{count} with the role {rule.role} must approve, never the author alone; an approval counts for {span(rule.valid_for)}"


def _places(draft: Draft, name: str, offer: OfferRule) -> Iterator[Statement]:
    from liftgate.bundle.candidates import candidates

    offers = draft.section("offers", OfferRule)
    for place, rule in draft.section("placements", PlacementRule).items():
        if name in candidates(rule, offers):
            yield Statement(WHERE, f"a candidate at {place}", draft.where(("placements", place, "offers")))
        if rule.default_offer == name:
            yield Statement(
                WHERE, f"the default of {place}: shown when nothing else may be", draft.where(("placements", place, "default_offer"))
            )


def placement_statements(draft: Draft, name: str) -> list[Statement]:
    """Return everything about one placement."""
    from liftgate.bundle.candidates import candidates

    rule = draft.section("placements", PlacementRule)[name]

    def say(heading: str, text: str, *path: str) -> Statement:
        return Statement(heading, text, draft.where(("placements", name, *path)))

    offers = candidates(rule, draft.section("offers", OfferRule))
    found = [say("What can be shown", f"{len(offers)} offers: {', '.join(offers)}" if len(offers) != 1 else offers[0], "offers")]
    if rule.default_offer is not None:
        found.append(say("What can be shown", f"{rule.default_offer}, the default, when nothing else may be", "default_offer"))
    else:
        found.append(say("What can be shown", "nothing, when nothing is allowed: there is no default"))
    found.append(say("How many", "one offer at a time" if rule.slots == 1 else f"up to {rule.slots} offers at a time", "slots"))
    found.append(say("How many", f"an answer may be used for {span(rule.valid_for)}", "valid_for"))
    policy = getattr(rule.select, "policy", "")
    if policy == "epsilon_greedy":
        share = rule.select.epsilon
        text = f"the allowed offer that is worth most, in {1 - share:.0%} of cases; in {share:.0%} one of the allowed at random, to learn"
    else:
        text = flow(written(draft, ("placements", name), "select"))
    found.append(say("How it is chosen", text, "select"))
    known = {"offers", "default_offer", "slots", "valid_for", "select"}
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


def span(ms: int) -> str:
    """Return `7 days`."""
    text = duration_text(ms)
    unit = text.lstrip("0123456789")
    count = int(text.removesuffix(unit))
    words = _UNITS[unit]
    return f"{count} {words if count != 1 else words.removesuffix('s')}"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def listed(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
