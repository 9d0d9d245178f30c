"""What holds of every explanation, checked on each golden case: the one that went out and the one made of the log alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.adapters.bundle_archive import keep, read
from liftgate.adapters.explanation import SECTION, SENTENCES
from liftgate.adapters.explanation_of_record import explain_record
from liftgate.adapters.explanation_ranking import WEIGHED
from liftgate.bundle.compiled import Bundle
from liftgate.domain.reason import Reason
from liftgate.v1.decision_pb2 import CandidateExplanation, Explanation, RuleOutcome
from liftgate.v1.reason_pb2 import Stage
from liftgate.v1.record_pb2 import DecisionRecord

_AGAINST = (RuleOutcome.RULE_OUTCOME_STOPPED, RuleOutcome.RULE_OUTCOME_ONE_OF)


def check_explained(bundle: Bundle, live: Explanation, record: DecisionRecord, log: Path) -> Explanation:
    """Hold the explanation of a record, made with what a log keeps of its bundle, to the rules and to the live one; return it."""
    keep(bundle, log)
    rulebook = read(log, bundle.digest)
    logged = explain_record(record, rulebook)
    assert not logged.caveats
    assert [entry.offer_id for entry in logged.candidates] == list(record.candidate_offer_id)
    for entry in logged.candidates:
        _check_candidate(entry)
    if logged.factors:
        assert sum(one.share for one in logged.factors) == pytest.approx(1.0)
    shown = explain_record(record, rulebook, live=True)
    # Only the log knows how often the reservation was tried.
    shown.ClearField("reservation_attempts")
    assert live == shown
    return logged


def _check_candidate(entry: CandidateExplanation) -> None:
    reason = Reason(entry.reason)
    assert (entry.stage == Stage.STAGE_UNSPECIFIED) is (reason is Reason.STAGE_FAILED)
    if reason in WEIGHED:
        assert all(rule.outcome not in _AGAINST for rule in entry.rules)
        shares = [factor.share for factor in entry.factors if factor.HasField("share")]
        assert not shares or sum(shares) == pytest.approx(1.0)
        return
    assert entry.text.startswith(SENTENCES[reason])
    if reason in SECTION:
        assert ".yaml:" in entry.rule, (entry.offer_id, reason.name)
        assert entry.section == SECTION[reason]
        assert any(rule.outcome in _AGAINST for rule in entry.rules), (entry.offer_id, reason.name)
