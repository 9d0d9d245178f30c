"""What came of an offer's rules: conditions are evaluated once more on the inputs as recorded, so that the one that stopped it is named.

Nothing personal is read here that the decision did not use: a withheld input is withheld in the record too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import isnan

import numpy as np

from liftgate.adapters.bundle_archive import OfferLine, Rulebook
from liftgate.bundle.clauses import Clause
from liftgate.bundle.compiled import Condition
from liftgate.bundle.conditions import ConditionError, Node, OfferConstants, Scope, compile_condition, names_offer, parse
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.reason import InputState, Reason
from liftgate.v1.decision_pb2 import RuleExplanation, RuleOutcome
from liftgate.v1.record_pb2 import DecisionRecord

FACTORS = ("value", "propensity", "uplift", "smoothing", "evidence", "context_weight", "levers", "tier")
"""Sections that rank and do not stop."""
_SETTINGS = ("shadow",)
"""Sections that say how rules are run and are none themselves."""
_STOPS_WHEN_TRUE = ("suppress_if",)
_SEES: Mapping[str, tuple[str, ...]] = {
    "channels": ("context.channel",),
    "from": ("now",),
    "until": ("now",),
    "quiet_hours": ("now", "context.time_zone"),
}
"""What rules that are no conditions look at, where the record has it."""
_ALSO: Mapping[str, tuple[str, ...]] = {"purposes": ("channel_permissions",)}
"""Rules over all offers that give the same reasons as a section of an offer's own."""
_PASSED, _STOPPED = RuleOutcome.RULE_OUTCOME_PASSED, RuleOutcome.RULE_OUTCOME_STOPPED
_ONE_OF, _SHADOW = RuleOutcome.RULE_OUTCOME_ONE_OF, RuleOutcome.RULE_OUTCOME_SHADOW
_CONSENT_WORDS = {
    Reason.ALLOWED: "granted",
    Reason.CONSENT_MISSING: "not on record",
    Reason.CONSENT_DENIED: "refused, taken back or pending",
    Reason.CONSENT_EXPIRED: "expired",
    Reason.CONSENT_UNREADABLE: "not readable",
    Reason.CONSENT_GPC: "denied by Global Privacy Control",
    Reason.CONSENT_UNAVAILABLE: "not known, the store was away",
}


def is_condition(section: str) -> bool:
    """Say whether a section's clauses are conditions."""
    return section.endswith("_if")


class Conditions:
    """Compiled conditions of one bundle over one schema of inputs, kept as they are met. One thread."""

    def __init__(self, rulebook: Rulebook, schema: InputSchema, compiled: Iterable[Condition] = ()) -> None:
        """`compiled`: conditions of the bundle in force, which need not be compiled again."""
        self._lines = rulebook.offers
        self._scope = Scope(schema, rulebook.undeclared, tuple(rulebook.offers), rulebook.groups)
        self._nodes: dict[str, Node | None] = {}
        # Those that speak of their offer have one text and many meanings.
        self._compiled: dict[tuple[str, str], Condition | None] = {(one.text, ""): one for one in compiled if "offer." not in one.text}

    def condition(self, text: str, offer_id: str) -> Condition | None:
        """Return a condition ready to be evaluated; None: this version cannot read it."""
        known = self._compiled.get((text, ""))
        if known is not None:
            return known
        node = self._node(text)
        if node is None:
            return None
        key = (text, offer_id if names_offer(node) else "")
        if key not in self._compiled:
            line = self._lines.get(offer_id, OfferLine("", 1.0, ""))
            try:
                self._compiled[key] = compile_condition(text, node, self._scope, OfferConstants(offer_id, line.group, line.value))
            except Exception:
                # Whatever a later version makes of an old text: the rule is then quoted and not judged.
                self._compiled[key] = None
        return self._compiled[key]

    def _node(self, text: str) -> Node | None:
        if text not in self._nodes:
            try:
                self._nodes[text] = parse(text)
            except ConditionError:
                self._nodes[text] = None
        return self._nodes[text]


def schema_of(record: DecisionRecord) -> InputSchema:
    """Return the schema of a record's inputs. Raises ValueError on a type that this version does not know."""
    columns = [Input(column.name, InputType(column.type), tuple(column.values)) for column in record.inputs]
    profile = tuple(column for column in columns if column.name.startswith("profile."))
    return InputSchema(profile, tuple(columns[len(profile) :]))


class Judge:
    """Judges the rules of one record's offers."""

    def __init__(self, record: DecisionRecord, conditions: Conditions | None, *, live: bool) -> None:
        """`conditions`: None where the inputs cannot be read. `live`: see `explain_record`."""
        self._record = record
        self._conditions = conditions
        self.live = live
        self._index = {column.name: i for i, column in enumerate(record.inputs)}
        self._consent = {name: Reason(int(code)) for name, code in zip(record.purpose, record.consent_reason, strict=False)}
        self._inputs = np.array([record.input_value], dtype=np.float64)
        self._now_ms = np.array([record.decided_at_ms], dtype=np.float64)
        self._held: dict[int, bool | None] = {}

    def stopped_by(
        self,
        sections: Sequence[str],
        own: Mapping[str, Sequence[Clause]],
        policies: Mapping[str, Sequence[Clause]],
        offer_id: str,
        in_shadow: Sequence[tuple[str, Clause]] = (),
    ) -> tuple[list[RuleExplanation], bool]:
        """Return what came of the sections of which one stopped an offer, and whether that agrees with what the inputs say.

        `own` are the offer's clauses, `policies` rules over all offers, which count where the offer has none of its own. `in_shadow`: its
        clauses, with their sections, that run in shadow.
        """
        rules = [(name, clause) for name in sections for clause in own.get(name, ()) if (name, clause) not in in_shadow]
        if self.live and len(rules) == 1 and not in_shadow and is_condition(rules[0][0]):
            # It gave the reason a moment ago: no need to ask it again.
            return [self._told(*rules[0], _STOPPED, offer_id)], True
        judged = [(name, clause, self._passes(name, clause, offer_id)) for name, clause in rules]
        for name in (*(() if judged else sections), *_ALSO.get(sections[0], ())):
            found = [(name, clause, self._passes(name, clause, offer_id)) for clause in policies.get(name, ())]
            judged += [one for one in found if one[2] is not True]
        verdicts = [verdict for _, _, verdict in judged]
        agrees = not verdicts or not all(verdicts)
        alone = verdicts.count(None) == 1 and False not in verdicts
        outcome = {True: _PASSED if agrees else _ONE_OF, False: _STOPPED, None: _STOPPED if alone else _ONE_OF}
        told = [self._told(where, clause, outcome[verdict], offer_id) for where, clause, verdict in judged]
        noted = [(name, clause) for name, clause in in_shadow if self._passes(name, clause, offer_id) is not True]
        return told + [self._told(name, clause, _SHADOW, offer_id) for name, clause in noted], agrees

    def passed(self, sections: Mapping[str, tuple[Clause, ...]], offer_id: str, shadowed: str = "") -> Iterator[RuleExplanation]:
        """Yield what came of the rules of an offer that was allowed. `shadowed`: the section that would have stopped it; empty: none."""
        for section, clauses in sections.items():
            if section in FACTORS or section in _SETTINGS:
                continue
            for clause in clauses:
                passes = self._passes(section, clause, offer_id)
                fails = (passes is False and is_condition(section)) or (section == shadowed and passes is not True)
                yield self._told(section, clause, _SHADOW if fails else _PASSED, offer_id)

    def _passes(self, section: str, clause: Clause, offer_id: str) -> bool | None:
        """Return whether a clause lets the offer pass; None: it cannot be told from the record."""
        if is_condition(section):
            return self._holds(section, clause, offer_id)
        if section == "purposes":
            needed = _texts(clause.text)
            return all(self._consent.get(purpose) is Reason.ALLOWED for purpose in needed) if needed else None
        channel = self._channel()
        if section == "channels":
            return channel in _texts(clause.text) if channel and channel != "<other>" else None
        if section == "channel_permissions":
            name, _, purpose = clause.text.partition(": ")
            if self._consent.get(purpose) is Reason.ALLOWED or channel not in (name, "", "<other>"):
                return True
            return None if channel == "<other>" else False
        return None

    def _channel(self) -> str:
        """Return the request's channel; empty: it named none, `<other>`: none that the bundle's conditions speak of."""
        i = self._index.get("context.channel")
        channel = self._decoded(i) if i is not None else None
        return channel if isinstance(channel, str) else ""

    @property
    def now_ms(self) -> int:
        """When it was decided."""
        return self._record.decided_at_ms

    def saw(self, names: Iterable[str]) -> list[str]:
        """Return what was seen of inputs, and of `now`, as far as the record has them."""
        return [seen for name in names if (name == "now" or name in self._index) and (seen := self.seen(name))]

    def holds(self, text: str, offer_id: str) -> bool | None:
        """Return whether a condition holds; None: it is unknown. Raises ValueError where this version cannot read it."""
        readable, value = self._truth(text, offer_id)
        if not readable:
            raise ValueError(text)
        return value

    def _holds(self, section: str, clause: Clause, offer_id: str) -> bool | None:
        readable, value = self._truth(clause.text, offer_id)
        if not readable:
            return None
        # Unknown is no: of two kinds of no, one passes on true, the other on false.
        return value is False if section in _STOPS_WHEN_TRUE else value is True

    def _truth(self, text: str, offer_id: str) -> tuple[bool, bool | None]:
        """Return (it can be judged, what it is)."""
        condition = self._conditions.condition(text, offer_id) if self._conditions is not None and text else None
        if condition is None or self._inputs.shape[1] != len(self._index):
            return False, None
        if id(condition) not in self._held:
            true, unknown = condition.evaluate(self._inputs, self._now_ms)
            self._held[id(condition)] = None if unknown[0] else bool(true[0])
        return True, self._held[id(condition)]

    def _told(self, section: str, clause: Clause, outcome: RuleOutcome, offer_id: str) -> RuleExplanation:
        told = RuleExplanation(section=section, rule=clause.where, text=clause.text, group=clause.group, outcome=outcome)
        if section == "review_each_decision" and not self.live:
            told.saw.extend(self._reviewed(offer_id))
        if outcome == _PASSED:
            return told
        if section == "purposes":
            told.saw.extend(self._consent_seen(_texts(clause.text) or list(self._record.purpose)))
        elif section == "channel_permissions":
            told.saw.extend([self.seen("context.channel"), *self._consent_seen([clause.text.partition(": ")[2]])])
        else:
            names = clause.inputs if is_condition(section) else _SEES.get(section, ())
            told.saw.extend(self.saw(names))
        return told

    def _reviewed(self, offer_id: str) -> Iterator[str]:
        """Yield what reviewers said of the offer, or under which id they are asked."""
        for verdict in self._record.review_verdicts:
            if verdict.offer_id == offer_id:
                said = "yes" if verdict.approved else "no"
                yield f"{verdict.reviewer} said {said} at {moment(verdict.at_ms)}, {_after(verdict.latency_ms)} after it was asked for"
        if self._record.review_requested.offer_id == offer_id:
            yield f"asked for as {self._record.review_requested.review_id}"

    def _consent_seen(self, purposes: Sequence[str]) -> Iterator[str]:
        for purpose in purposes:
            reason = self._consent.get(purpose, Reason.CONSENT_MISSING)
            if reason is not Reason.ALLOWED:
                yield f"{purpose}: {_CONSENT_WORDS.get(reason, reason.name.lower())}"

    def seen(self, name: str) -> str:
        """Return what a rule saw of an input, for example `profile.age = 16`; empty: it may not be shown."""
        if name == "now":
            return f"now = {moment(self._record.decided_at_ms)}"
        i = self._index[name]
        state = self._record.input_state[i] if i < len(self._record.input_state) else 0
        if state == InputState.MASKED:
            return f"{name} was withheld"
        value = self.words(i)
        if not value:
            return f"{name} is not known"
        if name.startswith("profile.") and self.live:
            return ""
        if state == InputState.DEFAULT_MISSING:
            return f"{name} = {value} (its default: nothing is known)"
        if state == InputState.DEFAULT_STALE:
            return f"{name} = {value} (its default: what is known is too old)"
        return f"{name} = {value}"

    def words(self, i: int) -> str:
        """Return an input's value in words; empty: missing."""
        value = self._decoded(i)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if self._record.inputs[i].type == "timestamp" and isinstance(value, (int, float)):
            return moment(int(value))
        return "a text that the bundle does not name" if value == "<other>" else value if isinstance(value, str) else f"{value:.12g}"

    def _decoded(self, i: int) -> str | float | bool | None:
        column, number = self._record.inputs[i], self._record.input_value[i] if i < len(self._record.input_value) else float("nan")
        if isnan(number):
            return None
        if column.type == "string":
            return column.values[int(number)] if 0 <= number < len(column.values) else "<other>"
        return bool(number) if column.type == "bool" else number


def in_shadow(own: Mapping[str, Sequence[Clause]], listed: Sequence[Clause]) -> list[tuple[str, Clause]]:
    """Return the clauses, with their sections, that the same group, or the offer itself, lists under `shadow:`."""
    quiet = {(clause.group, name) for clause in listed for name in _texts(clause.text)}
    return [(name, clause) for name, clauses in own.items() for clause in clauses if (clause.group, name) in quiet]


def moment(milliseconds: int) -> str:
    """Return a time in words: `2026-06-15T12:00:00.000Z`; the bare number outside year 1 to 9999."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def _texts(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _after(ms: float) -> str:
    """Return a time that something took, as people say it."""
    for most_ms, unit_ms, unit in ((90_000, 1_000, "s"), (5_400_000, 60_000, "min"), (172_800_000, 3_600_000, "h")):
        if ms < most_ms:
            return f"{ms / unit_ms:.{0 if unit != 'h' else 1}f} {unit}"
    return f"{ms / 86_400_000:.1f} days"
