"""One recorded decision explained, candidate by candidate: the one piece of code behind every explanation, live or a year later."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isnan, prod

from liftgate.adapters.bundle_archive import Rulebook
from liftgate.adapters.explanation import FALLBACK_STAGE, FURTHER_SECTIONS, SECTION, SENTENCES
from liftgate.adapters.explanation_ranking import RESPONSE, WEIGHED, Ranking
from liftgate.adapters.explanation_rules import Conditions, Judge, in_shadow, schema_of
from liftgate.adapters.explanation_words import answers_otherwise, chosen_text, summary
from liftgate.adapters.explanation_worth import multipliers
from liftgate.domain.reason import Branch, Reason
from liftgate.v1.decision_pb2 import CandidateExplanation, Explanation, Factor, FactorShare, RuleOutcome, SlotExplanation
from liftgate.v1.reason_pb2 import Stage
from liftgate.v1.record_pb2 import DecisionRecord

IN_SHADOW = " A guardrail in shadow would have held it back: "
"""Before the sentence of the reason that it would have given."""
_REASONS = {int(reason): reason for reason in Reason}
_QUIET = (RuleOutcome.RULE_OUTCOME_PASSED, RuleOutcome.RULE_OUTCOME_SHADOW)
_NOWHERE, _GUARD, _SELECT = Stage.STAGE_UNSPECIFIED, Stage.STAGE_GUARD, Stage.STAGE_SELECT


def explain_record(
    record: DecisionRecord,
    rulebook: Rulebook | None,
    conditions: Conditions | None = None,
    *,
    live: bool = False,
    caveats: Sequence[str] = (),
) -> Explanation:
    """Return the explanation of a record.

    `rulebook`: None where the bundle's rules are not known. `conditions`: of the rulebook over the record's inputs; None: made here.
    `live`: it goes out with the answer of Decide, so values of profile features are left out, and what only costs time there: the rules of
    allowed offers, and whether a single rule does give the reason. Never raises for what a record lacks.
    """
    message = _frame(record)
    message.caveats.extend(caveats)
    if conditions is None and rulebook is not None:
        try:
            conditions = Conditions(rulebook, schema_of(record))
        except ValueError:
            message.caveats.append("An input has a type that this version does not know, so conditions are quoted and not judged.")
    judge = Judge(record, conditions, live=live)
    _inputs(message, record, judge, live)
    ranking = Ranking(record)
    for name, share in ranking.shares.items():
        message.factors.append(FactorShare(name=name, share=share))
    for c in range(len(record.candidate_offer_id)):
        _candidate(message, record, c, _reason(record, c), rulebook, judge, ranking)
    message.summary = summary(record)
    return message


def known(number: int) -> Reason:
    """Return a recorded reason; UNSPECIFIED for one that only a newer version knows."""
    return _REASONS.get(number, Reason.UNSPECIFIED)


def _reason(record: DecisionRecord, c: int) -> Reason:
    return known(record.candidate_reason[c]) if c < len(record.candidate_reason) else Reason.UNSPECIFIED


def _frame(record: DecisionRecord) -> Explanation:
    """Return everything that concerns the decision as a whole."""
    message = Explanation(
        decision_id=record.decision_id,
        decided_at_ms=record.decided_at_ms,
        placement_id=record.placement_id,
        arm=record.arm,
        branch=record.branch,
        reason=record.reason,
        reason_text=SENTENCES[known(record.reason)],
        fallback_reason=record.fallback_reason,
        fallback_stage=FALLBACK_STAGE.get(known(record.fallback_reason), Stage.STAGE_UNSPECIFIED),
        degraded=record.degraded,
        offered=record.offered,
        default_served=record.default_served,
        would_offer=record.would_offer,
        would_offer_default=record.would_offer_default,
        assignments=record.assignments,
        scored=record.scored,
        masked_paths=record.masked_paths,
        consent_version=record.consent_version,
        jurisdiction=record.jurisdiction,
        bundle=record.bundle,
        bundle_digest=record.bundle_digest,
        models=record.models,
        ablation=record.ablation,
        arm_changes=record.arm_changes,
        policy=record.policy,
        reservation_attempts=record.reservation_attempts,
        recovered=record.recovered,
    )
    apart = answers_otherwise(record)
    by_default = record.would_offer_default if apart else record.default_served
    drawn = () if by_default else record.would_offer if apart else record.offered
    places = {offer_id: c for c, offer_id in enumerate(record.candidate_offer_id)}
    for s, vector in enumerate(record.slots):
        slot = SlotExplanation(draw=record.draws[s] if s < len(record.draws) else 0.0)
        # A slot for which nothing was left may hold a default.
        if s < len(drawn) and drawn[s] in places and any(vector.probability):
            slot.offer_id = drawn[s]
            slot.selection_probability = vector.probability[places[drawn[s]]]
            if s < len(record.slot_marginals):
                slot.marginal_probability = record.slot_marginals[s].probability[places[drawn[s]]]
        message.slots.append(slot)
    if record.HasField("slate_joint_probability"):
        message.slate_joint_probability = record.slate_joint_probability
    by_jurisdiction = set(record.purpose_by_default)
    for purpose, reason in zip(record.purpose, record.consent_reason, strict=False):
        message.consent.add(purpose=purpose, reason=reason, by_default=purpose in by_jurisdiction)
    return message


def _inputs(message: Explanation, record: DecisionRecord, judge: Judge, live: bool) -> None:
    for i, column in enumerate(record.inputs):
        entry = message.inputs.add(name=column.name)
        if not live or not column.name.startswith("profile."):
            entry.value = judge.words(i)
        if i < len(record.input_age_s) and isfinite(record.input_age_s[i]):
            entry.age_s = record.input_age_s[i]
        if i < len(record.input_state):
            entry.state = record.input_state[i]


def _candidate(
    message: Explanation, record: DecisionRecord, c: int, reason: Reason, rulebook: Rulebook | None, judge: Judge, ranking: Ranking
) -> None:
    offer_id = record.candidate_offer_id[c]
    entry = message.candidates.add(offer_id=offer_id, reason=record.candidate_reason[c], stage=_stage(record, reason))
    entry.text = chosen_text(record, offer_id) if reason is Reason.CHOSEN else SENTENCES[reason]
    entry.slot_probabilities.extend([vector[c] for vector in ranking.vectors if c < len(vector)])
    line = rulebook.offers.get(offer_id) if rulebook is not None else None
    group = line.group if line is not None else ""
    shadow = known(record.candidate_shadow_reason[c]) if c < len(record.candidate_shadow_reason) else Reason.UNSPECIFIED
    if shadow is not Reason.UNSPECIFIED:
        entry.text += IN_SHADOW + SENTENCES[shadow]
    if reason in WEIGHED:
        _numbers(entry, record, c, ranking)
        if rulebook is not None and not judge.live:
            own_rules = rulebook.clauses.of(offer_id, group)
            entry.rules.extend(judge.passed(own_rules, offer_id, SECTION.get(shadow, "")))
            entry.rules.extend(multipliers(judge, own_rules, offer_id))
        return
    section = SECTION.get(reason)
    if section is None:
        return
    entry.section = section
    if rulebook is None or line is None:
        return
    sections = (section, *FURTHER_SECTIONS.get(reason, ()))
    own = {name: rulebook.clauses.section(offer_id, group, name) for name in sections}
    silent = in_shadow(own, rulebook.clauses.section(offer_id, group, "shadow"))
    told, agrees = judge.stopped_by(sections, own, rulebook.clauses.policies, offer_id, silent)
    entry.rules.extend(told)
    if not agrees:
        message.caveats.append(f"{offer_id}: its rules as kept do not give this reason with the inputs as logged.")
    places = [rule.rule for rule in told if rule.outcome not in _QUIET]
    entry.rule = ", ".join(dict.fromkeys(places)) or line.where


def _stage(record: DecisionRecord, reason: Reason) -> Stage:
    """Return the stage that a candidate got to; STAGE_UNSPECIFIED where a stage failed, for the record does not say which."""
    if reason not in WEIGHED:
        return _NOWHERE if reason in (Reason.STAGE_FAILED, Reason.UNSPECIFIED) else _GUARD
    if int(record.branch) == Branch.FALLBACK:
        return FALLBACK_STAGE.get(known(record.fallback_reason), _NOWHERE)
    return _SELECT


def _numbers(entry: CandidateExplanation, record: DecisionRecord, c: int, ranking: Ranking) -> None:
    for name, column in (("propensity", record.candidate_propensity), ("value", record.candidate_value)):
        if c < len(column) and not isnan(column[c]):
            setattr(entry, name, column[c])
    if record.slots:
        entry.selection_probability = entry.slot_probabilities[0] if entry.slot_probabilities else 0.0
    factors = ranking.factors.get(c)
    if factors is None:
        return
    shares = ranking.shares_of(c)
    entry.expected_value = prod(factors.values())
    # The first is the response, in whatever form.
    entry.factors.extend(
        [Factor(name=name, value=value, share=shares.get(name if i else RESPONSE)) for i, (name, value) in enumerate(factors.items())]
    )
