"""A text under review in sentences that somebody who approves offers can read. The text itself stays the thing that is approved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from liftgate.bundle.phrases import (
    GIVEN,
    HEADINGS,
    HOW_OFTEN,
    IN_SHADOW,
    OTHER,
    READS,
    REVIEW,
    SHADOWED,
    WAIT,
    WHEN,
    WHERE,
    WHO,
    WORTH,
    cap_words,
    channel_words,
    condition_words,
    consent_words,
    contact_words,
    each_decision_words,
    exclusion_words,
    guardrail_words,
    list_words,
    listed,
    moment,
    need_words,
    pause_words,
    permission_words,
    plain,
    purpose_words,
    quiet_words,
    span,
)
from liftgate.bundle.phrases_worth import KEYS, uplift_words, worth_words
from liftgate.bundle.review_arms import arm_words
from liftgate.domain.verdict import Asked

_CONDITIONS = ("eligible_if", "applicable_if", "suitable_if", "suppress_if")
_SAID_OF_RULES = frozenset({*_CONDITIONS, "purposes", "channels", "caps", "pauses", "sensitive", "review", "review_each_decision", *KEYS})
_SAID_OF_OFFERS = frozenset({"group", "value", "propensity", "uplift", "starts_at_ms", "until_ms", "payload", "shadow"})
_SAID_OF_ALL = frozenset({"currency", "time_zone", "profile_purpose", "experiment_purpose"})
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "a text", "timestamp": "a time"}
Said = Iterator[tuple[str, str]]
"""(heading, sentence)"""


def words(text: bytes) -> list[str]:
    """Return the sentences, `heading: what holds`, one for each thing that matters; one that says so where the text cannot be read."""
    try:
        document = orjson.loads(text)
        return list(_start(document) if document["kind"] == "start" else _offer(document))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return ["The text cannot be put into words; read it as it is."]


def decision_words(asked: Asked) -> list[str]:
    """Return what a reviewer is asked about a single decision. The person's id is not in it."""
    return [
        f"May the person with the pseudonym {asked.pseudonym} be shown {asked.offer_id} in {asked.placement_id}?",
        f"Yes or no counts for this person for {span(asked.valid_for_ms)}, and for the offer as it is: an edit ends it.",
        f"What was known of the person, and which rules they passed: liftgate explain {asked.decision_id}",
    ]


def _start(document: dict[str, Any]) -> Iterator[str]:
    stop = document["stop"]
    yield f"{document['asked_by']} asks for {document['subject']} to be served again: {document['reason']}"
    yield f"It was stopped by {stop['by']} on {moment(stop['at_ms'])}: {stop['reason']}"
    yield "Approving this starts it again at once, everywhere."


def _offer(document: dict[str, Any]) -> Iterator[str]:
    own, wide, groups = document["offer"], document["bundle_wide"], document["group"] or {}
    yield f"{document['subject']} of the bundle {document['bundle']} is sensitive: {listed(document['sensitive'])}."
    found = [
        (GIVEN, plain(own["payload"])),
        (WORTH, f"{own['value']:g} {wide['currency']}{_likelihood(document)}"),
        *_where_and_when(document),
        *_rules(own, ""),
        *((heading, f"{said} (from group {name})") for name, group in groups.items() for heading, said in _rules(group, name)),
        *((REVIEW, f"{need['because']}: {need_words(need)}") for need in document["needs"]),
        *((OTHER, said) for said in arm_words(document.get("arms", {}), wide["currency"])),
        *_all(document),
        *_read(document),
    ]
    if not any(heading == WHO for heading, _ in found):
        found.append((WHO, "everybody: it asks for no consent and sets no condition of its own"))
    if not any(rule["caps"] for rule in (own, *groups.values())):
        found.append((HOW_OFTEN, "without a cap of its own"))
    yield from (f"{heading}: {said}" for heading, said in sorted(found, key=lambda one: HEADINGS.index(one[0])))


def _where_and_when(document: dict[str, Any]) -> Said:
    for place, ways in document["placements"].items():
        if "candidate" in ways:
            yield WHERE, f"a candidate at {place}"
        if "default" in ways:
            yield WHERE, f"the default of {place}: shown when nothing else may be"
    if not document["placements"]:
        yield WHERE, "in no placement"
    starts, until = document["offer"]["starts_at_ms"], document["offer"]["until_ms"]
    yield WHEN, "from now on" if starts is None else f"from {moment(starts)} on"
    yield WHEN, "until further notice" if until is None else f"before {moment(until)}"


def _rules(rule: Mapping[str, Any], group: str) -> Said:
    """Yield what an offer or a group says, what runs in shadow marked so."""
    noted = dict.fromkeys(rule.get("shadow", ()), IN_SHADOW)
    for purpose in rule["purposes"]:
        yield WHO, consent_words(purpose)
    for key in _CONDITIONS:
        if rule.get(key):
            yield WAIT if key == "suppress_if" else WHO, condition_words(key, rule[key]) + noted.get(key, "")
    if rule["channels"] is not None:
        yield WHERE, channel_words(rule["channels"])
    for cap in rule["caps"]:
        yield HOW_OFTEN, cap_words(cap, group) + noted.get("caps", "")
    for pause in rule.get("pauses", ()):
        yield WAIT, pause_words(pause) + noted.get("pauses", "")
    for _, _, said in worth_words(rule):
        yield WORTH, said
    if rule.get("review_each_decision"):
        yield REVIEW, each_decision_words()
    for key in sorted(set(rule) - _SAID_OF_RULES - _SAID_OF_OFFERS):
        yield OTHER, f"{key}: {plain(rule[key])}"


def _all(document: dict[str, Any]) -> Said:
    """Yield what the whole bundle says and concerns the offer."""
    wide = document["bundle_wide"]
    for name, purpose in document["purposes"].items():
        yield WHO, f"consent to {purpose_words(name, purpose)}"
    for section in sorted(set(wide) - _SAID_OF_ALL):
        entries = wide[section]
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            yield from _entry(section, name, entry)
        if not isinstance(entries, dict):
            yield OTHER, f"{section}: {plain(entries)}"
    if "experiment_purpose" in wide:
        yield WHO, f"nobody is in any layer without consent to {wide['experiment_purpose']}; everyone else is served as if there were none"


def _entry(section: str, name: str, entry: Any) -> Said:
    if section == "lists":
        yield WAIT, list_words(name, entry)
    elif section == "exclusions":
        yield WAIT, exclusion_words(entry)
    elif section == "channel_permissions":
        yield WHO, permission_words(name, entry)
    elif section == "guardrails":
        yield SHADOWED, guardrail_words(name)
    elif section == "contact_policy" and name == "quiet_hours":
        yield WAIT, quiet_words(entry)
    elif section == "contact_policy" and name == "channels":
        for channel, rule in entry.items():
            yield HOW_OFTEN, contact_words(channel, rule)
    else:
        yield OTHER, f"{section}.{name}: {plain(entry)}"


def _read(document: dict[str, Any]) -> Said:
    """Yield which inputs its conditions and its model read, and what is taken where they are missing."""
    for kind, whose in (("features", "their"), ("context", "the request's")):
        for name, item in document[kind].items():
            default, age = item.get("default"), item.get("max_age")
            missing = "not known" if default is None else f"taken as {plain(default)}"
            known = f", one of {', '.join(item['values'])}" if item.get("values") else ""
            stale = f" or older than {span(age)}" if age else ""
            words, kind = name.replace("_", " "), _KINDS.get(item["type"], item["type"])
            called = f'"{words}"' if item["type"] == "bool" else words
            yield READS, f"{whose} {called} ({kind}{known}); where missing{stale}: {missing}"


def _likelihood(document: dict[str, Any]) -> str:
    if not document["model"]:
        return " each time: no model is asked, its probability counts as 1"
    known = {name: f"model {name} version {one['version']} (SHA-256 {one['sha256'][:12]}...)" for name, one in document["model"].items()}
    uplift = document["offer"].get("uplift")
    if uplift is None:
        (model,) = known.values()
        return f" if it works, times the probability that {model} gives"
    return uplift_words(known[uplift["treated"]["model"]], known[uplift["untreated"]["model"]], bool(uplift.get("allow_negative")))
