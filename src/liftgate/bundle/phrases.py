"""Rules in plain words, from their canonical form: one wording for `bundle explain` and for what reviewers read. Pure.

Every function takes a rule as the digest has it, with times in milliseconds. A key that has no words here is said as written, so that
nothing that was approved is left unsaid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from liftgate.bundle.conditions_lexer import ConditionError
from liftgate.bundle.duration import duration_text
from liftgate.bundle.sentences import sentence, tidy

GIVEN, WORTH, WHO, WHEN, WHERE, HOW_OFTEN, WAIT, REVIEW, SHADOWED, OTHER, READS = HEADINGS = (
    "What people get",
    "What it is worth",
    "Who may get it",
    "When",
    "Where",
    "How often",
    "When it must wait",
    "Review",
    "In shadow",
    "Other rules, as written",
    "What it reads",
)
IN_SHADOW = " (in shadow: it is noted, and holds nothing back)"
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_MEANS = {
    "eligible_if": "they may have it only if",
    "applicable_if": "it makes sense now only if",
    "suitable_if": "it is right for them only if",
}
_OUTCOMES = {"dismiss": "dismissal", "unsubscribe": "unsubscription"}
_PAUSED = {"offer": "it waits", "group": "its whole group waits", "channel": "everything on the channel waits"}
_COUNTED = {"decision": ("time", "times"), "exposure": ("time that it is seen", "times that it is seen"), "click": ("click", "clicks")}
_WHOSE = {"person": "for each person", "account": "for each account or household", "total": "for everybody together"}


def condition_words(key: str, text: str) -> str:
    """Return what a condition under `eligible_if`, `applicable_if`, `suitable_if` or `suppress_if` means."""
    if key == "suppress_if":
        return f"while {quoted(text)}; where that is not known, too"
    return f"{_MEANS[key]} {quoted(text)}; where that is not known, no"


def quoted(text: str) -> str:
    """Return a condition in words, or as it is written where it is not simple."""
    try:
        said = sentence(text)
        return said if said is not None else f"this holds: `{tidy(text)}`"
    except ConditionError:
        return f"this holds: `{' '.join(text.split())}`"


def consent_words(purpose: str) -> str:
    """Return whom a purpose asks for."""
    return f"whoever has given consent to {purpose}; no record of it is no"


def purpose_words(name: str, purpose: Mapping[str, Any]) -> str:
    """Return what counts as consent to a purpose."""
    text = f"{name}: only an unexpired grant on record is a yes"
    if purpose.get("denied_by"):
        text += "; Global Privacy Control denies it"
    if purpose.get("default"):
        allowed = [place for place, answer in purpose["default"].items() if answer == "allow"]
        text += f"; where nothing is on record: {'yes in ' + listed(allowed) + ', no elsewhere' if allowed else 'no'}"
    return text + _rest(purpose, "denied_by", "default")


def permission_words(channel: str, purpose: str) -> str:
    """Return what a channel asks for."""
    return f"on {channel} nothing is shown without consent to {purpose}"


def channel_words(channels: Sequence[str]) -> str:
    """Return where something goes out."""
    return f"on {listed(channels)} only; a request that names no channel is on none"


def cap_words(cap: Mapping[str, Any], group: str) -> str:
    """Return how often; `group` is the one whose offers are counted together, empty: the offer's own cap."""
    noun, plural = _COUNTED.get(cap["counts"], (cap["counts"], f"{cap['counts']}s"))
    zone = ", by the person's own clock" if cap.get("zone", "bundle") == "person" else ""
    over = f", over all offers of group {group} together" if group else ""
    whose = _WHOSE.get(cap.get("scope", "person"), cap.get("scope"))
    text = f"at most {cap['max']:,} {noun if cap['max'] == 1 else plural} {_window(cap['per_ms'])}{zone}, {whose}{over}"
    if cap.get("pace") == "even":
        text += ", spread evenly over it"
    if cap["counts"] == "exposure":
        text += f"; a decision that is not seen yet holds its place for {span(cap['lease_ms'])}"
    shown = "is shown all the same" if cap.get("when_unavailable") == "allow" else "is not shown"
    rest = _rest(cap, "max", "per_ms", "counts", "lease_ms", "scope", "zone", "pace", "when_unavailable")
    return f"{text}; while counts cannot be read it {shown}{rest}"


def pause_words(pause: Mapping[str, Any]) -> str:
    """Return what waits after what, and for how long."""
    outcome, count = _OUTCOMES.get(pause["of"], pause["of"]), pause["after"]
    often = f"{count} {outcome}s" if count > 1 else f"{'an' if outcome[0] in 'aeiou' else 'a'} {outcome}"
    within = f" within {span(pause['within'])}" if pause.get("within") else ""
    text = f"after {often}{within}, {_PAUSED.get(pause['scope'], pause['scope'])} for {span(pause['lasts'])}"
    if pause.get("when_unavailable") == "allow":
        text += "; while that cannot be read it is shown all the same"
    return text + _rest(pause, "of", "after", "within", "lasts", "scope", "when_unavailable")


def list_words(name: str, rule: Mapping[str, Any]) -> str:
    """Return whom a list keeps from what."""
    where = f" on {listed(rule['channels'])}" if rule.get("channels") else ""
    what = [*(rule.get("offers") or ()), *(f"the offers of group {group}" for group in rule.get("groups") or ())]
    text = f"whoever is on the list {name} is not shown {listed(what) if what else 'anything'}{where}; where that cannot be told, neither"
    return text + _rest(rule, "channels", "offers", "groups")


def exclusion_words(rule: Mapping[str, Any]) -> str:
    """Return what excludes what, and for how long."""
    what = [*(rule.get("offers") or ()), *(f"the offers of group {group}" for group in rule.get("groups") or ())]
    text = f"of {listed(what)} a person gets one: whoever was chosen one is not offered the others for {span(rule['within'])}"
    return text + _rest(rule, "offers", "groups", "within")


def contact_words(channel: str, rule: Mapping[str, Any]) -> str:
    """Return how often a person is contacted on a channel."""
    zone = ", by the person's own clock" if rule.get("zone") == "person" else ""
    times = "once" if rule["max"] == 1 else f"{rule['max']} times"
    text = f"on {channel} a person is contacted at most {times} {_window(rule['per'])}{zone}, whatever is offered"
    if rule.get("when_unavailable") == "allow":
        text += "; while that cannot be counted they are contacted all the same"
    return text + _rest(rule, "max", "per", "zone", "when_unavailable")


def quiet_words(rule: Mapping[str, Any]) -> str:
    """Return when nothing is shown."""
    where = f" on {listed(rule['channels'])}" if rule.get("channels") else ""
    text = f"between {rule['starts']} and {rule['ends']} on the person's own clock nothing is shown{where}"
    return text + _rest(rule, "starts", "ends", "channels")


def need_words(rule: Mapping[str, Any]) -> str:
    """Return who must approve, and for how long that counts."""
    count = "one person" if rule["approvers"] == 1 else f"{rule['approvers']} different people"
    lasts = rule["valid_for_ms"] if "valid_for_ms" in rule else rule["valid_for"]
    text = f"{count} with the role {rule['role']} must approve, never the author alone; an approval counts for {span(lasts)}"
    return text + _rest(rule, "approvers", "role", "valid_for", "valid_for_ms", "because")


def sensitive_words(sensitive: bool | Sequence[str]) -> str:
    """Return what it means to be sensitive."""
    classes = "" if isinstance(sensitive, bool) else f" ({listed(sensitive)})"
    return f"sensitive{classes}: shown only while an approval stands for exactly what is written here; any edit ends it"


def each_decision_words() -> str:
    """Return what `review_each_decision` means."""
    return "shown to a person only after a reviewer has said yes to just that; meanwhile something else is shown"


def guardrail_words(name: str) -> str:
    """Return what it means that a whole guardrail runs in shadow."""
    return f"{name.replace('_', ' ')}: what it would hold back is noted, and shown all the same"


def span(ms: int) -> str:
    """Return `7 days`."""
    text = duration_text(ms)
    unit = text.lstrip("0123456789")
    count = int(text.removesuffix(unit))
    words = _UNITS[unit]
    return f"{count} {words if count != 1 else words.removesuffix('s')}"


def moment(ms: int) -> str:
    """Return a time as people read it, in UTC, to the second."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


def listed(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def plain(value: Any) -> str:
    """Return a value that has no words, as JSON in one line."""
    return json.dumps(value, ensure_ascii=False)


def _window(per: int | str) -> str:
    return f"in any {span(per)}" if isinstance(per, int) else f"each {per}"


def _rest(rule: Mapping[str, Any], *said: str) -> str:
    return "".join(f"; {key}: {plain(value)}" for key, value in sorted(rule.items()) if key not in said)
