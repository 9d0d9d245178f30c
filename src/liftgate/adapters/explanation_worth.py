"""Which levers and context weights multiplied an offer's worth, from what was recorded: each with its place and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from liftgate.adapters.explanation_rules import Judge
from liftgate.bundle.clauses import Clause
from liftgate.bundle.conditions import ConditionError, input_names, parse
from liftgate.bundle.duration import timestamp_ms
from liftgate.v1.decision_pb2 import RuleExplanation, RuleOutcome

SECTIONS = ("context_weight", "levers")
_COUNTED, _NOT_COUNTED = RuleOutcome.RULE_OUTCOME_COUNTED, RuleOutcome.RULE_OUTCOME_NOT_COUNTED
_NOT_KNOWN = RuleOutcome.RULE_OUTCOME_NOT_KNOWN


def multipliers(judge: Judge, own: Mapping[str, tuple[Clause, ...]], offer_id: str) -> Iterator[RuleExplanation]:
    """Yield what came of an offer's levers and weights; `own` are its clauses by section, its group's first."""
    for section in SECTIONS:
        for clause in own.get(section, ()):
            try:
                item = json.loads(clause.text)
                outcome = _outcome(judge, item, offer_id)
            except (ValueError, TypeError, AttributeError):
                # Cut short, or of a form that this version does not know: quoted and not judged.
                item, outcome = {}, RuleOutcome.RULE_OUTCOME_UNSPECIFIED
            told = RuleExplanation(section=section, rule=clause.where, text=clause.text, group=clause.group, outcome=outcome)
            told.saw.extend(judge.saw(_inputs(item)))
            yield told


def _outcome(judge: Judge, item: dict[str, Any], offer_id: str) -> RuleOutcome:
    starts, until = (timestamp_ms(item[key]) if key in item else None for key in ("from", "until"))
    if (starts is not None and judge.now_ms < starts) or (until is not None and judge.now_ms >= until):
        return _NOT_COUNTED
    if "if" not in item:
        return _COUNTED
    holds = judge.holds(item["if"], offer_id)
    return _NOT_KNOWN if holds is None else _COUNTED if holds else _NOT_COUNTED


def _inputs(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the inputs that a multiplier depends on."""
    dated = ("now",) if "from" in item or "until" in item else ()
    try:
        named = input_names(parse(item["if"])) if "if" in item else ()
    except ConditionError:
        named = ()
    return tuple(dict.fromkeys((*dated, *named)))
