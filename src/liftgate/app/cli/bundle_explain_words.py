"""What a bundle says, as plain statements with their places: who, when, where, how often, and what holds back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from liftgate.app.cases.coverage import in_shadow
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.difference import flow
from liftgate.bundle.duration import duration_text
from liftgate.bundle.schema import Group, OfferRule, PlacementRule
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
            yield say(WHERE, f"on {_listed(value)} only; a request that names no channel is on none", key)
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
        elif key in ("sensitive", "review"):
            yield say(REVIEW, _review(key, value), key)
        else:
            yield say(OTHER, f"{key}: {flow(_written(draft, owner, key))}", key)


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
    window = f"in any {_span(cap.per)}" if isinstance(cap.per, int) else f"each {cap.per}"
    zone = ", by the person's own clock" if getattr(cap, "zone", "bundle") == "person" else ""
    over = f", over all offers of group {group} together" if group else ""
    text = f"at most {cap.max:,} {noun if cap.max == 1 else plural} {window}{zone}, {whose}{over}"
    if getattr(cap, "pace", None) == "even":
        text += ", spread evenly over it"
    if cap.counts == "exposure":
        text += f"; a decision that is not seen yet holds its place for {_span(cap.lease_ms)}"
    if getattr(cap, "when_unavailable", "deny") == "allow":
        return text + "; while counts cannot be read it is shown all the same"
    return text + "; while counts cannot be read it is not shown"


def _pause(pause: Any) -> str:
    often = f"{pause.after} times {pause.of}" if pause.after > 1 else f"a {pause.of}"
    within = f" within {_span(pause.within)}" if pause.within else ""
    what = {"offer": "it waits", "group": "its whole group waits", "channel": "everything on the channel waits"}[pause.scope]
    return f"after {often}{within}, {what} for {_span(pause.lasts)}"


def _review(key: str, value: Any) -> str:
    if key == "sensitive":
        classes = "" if value is True else f" ({_listed(value)})"
        return f"sensitive{classes}: shown only while an approval stands for exactly what is written here; any edit ends it"
    return rule_words(value)


def rule_words(rule: Any) -> str:
    """Return who must approve, and for how long that counts."""
    count = "one person" if rule.approvers == 1 else f"{rule.approvers} different people"
    return f"{count} with the role {rule.role} must approve, never the author alone; an approval counts for {_span(rule.valid_for)}"


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
    found.append(say("How many", f"an answer may be used for {_span(rule.valid_for)}", "valid_for"))
    policy = getattr(rule.select, "policy", "")
    if policy == "epsilon_greedy":
        share = rule.select.epsilon
        text = f"the allowed offer that is worth most, in {1 - share:.0%} of cases; in {share:.0%} one of the allowed at random, to learn"
    else:
        text = flow(_written(draft, ("placements", name), "select"))
    found.append(say("How it is chosen", text, "select"))
    known = {"offers", "default_offer", "slots", "valid_for", "select"}
    for field, info in type(rule).model_fields.items():
        if field not in known and field in rule.model_fields_set:
            key = info.alias or field
            found.append(say(OTHER, f"{key}: {flow(_written(draft, ('placements', name), key))}", key))
    return found


def bundle_statements(draft: Draft, bundle: Bundle) -> list[Statement]:
    """Return what holds for every offer."""
    head = draft.where
    purpose = bundle.purposes[bundle.profile_purpose] if bundle.profile_purpose >= 0 else ""
    profile = f"read only with consent to {purpose}" if purpose else "read without consent: `profile_purpose: none`"
    found = [
        Statement("The bundle", f"values are in {bundle.currency}; calendar windows follow {bundle.time_zone}", head(("currency",))),
        Statement("The bundle", f"what is stored about a person is {profile}", head(("profile_purpose",))),
    ]
    for name in draft.entries["purposes"]:
        found.append(Statement("Consent", _purpose(draft, name), head(("purposes", name))))
    for name, layer in draft.entries["layers"].items():
        found.append(Statement("Held out", _layer(draft, name, layer), head(("layers", name))))
    said = {"features", "context", "guardrails", "purposes", "models", "groups", "offers", "placements", "layers"}
    for name in sorted(bundle.shadow.guardrails):
        text = f"{name.replace('_', ' ')} runs in shadow: what it would hold back is noted and shown all the same"
        found.append(Statement("In shadow", text, head(("guardrails", name))))
    for section, entries in draft.entries.items():
        for name, entry in entries.items() if section not in said else ():
            text = (
                f"{name}: {rule_words(entry)}" if section == "review_classes" else f"{name}: {flow(_written(draft, (section, name), None))}"
            )
            found.append(Statement(section.replace("_", " ").capitalize(), text, head((section, name))))
    return found


def _purpose(draft: Draft, name: str) -> str:
    raw = _written(draft, ("purposes", name), None) or {}
    text = f"{name}: only an unexpired grant on record is a yes"
    if raw.get("denied_by"):
        text += "; Global Privacy Control denies it"
    if raw.get("default"):
        allowed = [place for place, answer in raw["default"].items() if answer == "allow"]
        text += f"; where nothing is on record: {'yes in ' + _listed(allowed) + ', no elsewhere' if allowed else 'no'}"
    return text


def _layer(draft: Draft, name: str, layer: BaseModel) -> str:
    share, answer = getattr(layer, "share", None), getattr(layer, "answer", None)
    if getattr(layer, "kind", "") != "holdout" or share is None or answer is None:
        return f"{name}: {flow(_written(draft, ('layers', name), None))}"
    shown = "nothing" if answer == "none" else "the placement's default offer"
    return f"{name}: {share:.2%} of people, always the same ones, are measured and not treated; they are shown {shown}"


def _written(draft: Draft, path: tuple[str, str], key: str | None) -> Any:
    source = draft.owner.get(path)
    value = source.value[path[0]][path[1]] if source else None
    return value if key is None else value.get(key) if isinstance(value, dict) else None


def _span(ms: int) -> str:
    text = duration_text(ms)
    unit = text.lstrip("0123456789")
    count = int(text.removesuffix(unit))
    words = _UNITS[unit]
    return f"{count} {words if count != 1 else words.removesuffix('s')}"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
