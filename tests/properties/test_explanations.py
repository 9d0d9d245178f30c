"""Whatever was decided: every candidate has one stage, and shares are shares."""

from __future__ import annotations

from math import isclose, nan

from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.adapters.explanation import FALLBACK_STAGE, SENTENCES
from liftgate.adapters.explanation_of_record import explain_record
from liftgate.adapters.explanation_ranking import RANKED, WEIGHED
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.v1.reason_pb2 import Stage
from liftgate.v1.record_pb2 import DecisionRecord, SlotProbabilities

CANDIDATE = [reason for reason in Reason if 0 < reason < 60] + [Reason.STAGE_FAILED]
FALLBACK = [Reason.UNSPECIFIED, *FALLBACK_STAGE, Reason.STAGE_FAILED]
Numbers = tuple[Reason, float, float, float]


@st.composite
def records(draw: st.DrawFn) -> DecisionRecord:
    """Draw a record as a walk may leave it, at most one chosen offer a slot, numbers only where allowed."""
    probability = st.floats(0.0, 1.0)
    value = st.floats(1e-6, 1e6)
    rows: list[Numbers] = draw(st.lists(st.tuples(st.sampled_from(CANDIDATE), probability, value, value), min_size=1, max_size=8))
    offers = [f"offer-{k}" for k in range(len(rows))]
    allowed = [reason in WEIGHED for reason, *_ in rows]
    drawn = [reason in RANKED for reason, *_ in rows]
    slots = draw(st.integers(1, 3))
    fallback = draw(st.sampled_from(FALLBACK))
    weights = [weight if fine and not fallback else 0.0 for (*_, weight), fine in zip(rows, drawn, strict=True)]
    total = sum(weights) or 1.0
    shown = [offer for offer, fine in zip(offers, drawn, strict=True) if fine][:slots] if not fallback else []
    arm = draw(st.sampled_from([Arm.TREATMENT, Arm.HOLDOUT]))
    return DecisionRecord(
        decision_id="0" * 32,
        decided_at_ms=draw(st.integers(0, 2**41)),
        placement_id="home",
        arm=int(arm),  # type: ignore[arg-type]
        branch=int(Branch.FALLBACK if fallback else Branch.EXPLOIT if shown else Branch.DEFAULT),  # type: ignore[arg-type]
        reason=int(fallback or (Reason.OFFERED if shown else Reason.NO_OFFER_ALLOWED)),  # type: ignore[arg-type]
        fallback_reason=int(fallback),  # type: ignore[arg-type]
        offered=shown if arm is Arm.TREATMENT else [],
        would_offer=shown if arm is Arm.HOLDOUT else [],
        candidate_offer_id=offers,
        candidate_reason=[int(reason) for reason, *_ in rows],  # type: ignore[misc]
        candidate_propensity=[propensity if fine else nan for (_, propensity, _, _), fine in zip(rows, allowed, strict=True)],
        candidate_value=[worth if fine else nan for (_, _, worth, _), fine in zip(rows, allowed, strict=True)],
        slots=[SlotProbabilities(probability=[weight / total for weight in weights]) for _ in range(slots)],
        draws=draw(st.lists(st.floats(0.0, 1.0, exclude_max=True), min_size=slots, max_size=slots)),
    )


@given(records())
@settings(max_examples=500, deadline=None)
def test_every_candidate_has_exactly_one_stage(record: DecisionRecord) -> None:
    """Guard for what a rule stopped; select for what was ranked; after a fallback the stage that could not run; none if unknown."""
    explanation = explain_record(record, None)
    assert [entry.offer_id for entry in explanation.candidates] == list(record.candidate_offer_id)
    unknown = Reason(record.fallback_reason) is Reason.STAGE_FAILED
    for entry in explanation.candidates:
        reason = Reason(entry.reason)
        if reason is Reason.STAGE_FAILED:
            assert entry.stage == Stage.STAGE_UNSPECIFIED
        elif reason not in WEIGHED:
            assert entry.stage == Stage.STAGE_GUARD
        elif unknown:
            assert entry.stage == Stage.STAGE_UNSPECIFIED
        else:
            assert entry.stage == FALLBACK_STAGE.get(Reason(record.fallback_reason), Stage.STAGE_SELECT)
        assert entry.HasField("expected_value") is (reason in WEIGHED)
        assert entry.text.endswith(".")
    assert explanation.summary
    assert explanation.reason_text == SENTENCES[Reason(record.reason)]


@given(records())
@settings(max_examples=500, deadline=None)
def test_shares_are_shares(record: DecisionRecord) -> None:
    """Shares lie in 0 to 1 and sum to 1 wherever anything sets offers apart; factors multiply to the expected worth."""
    explanation = explain_record(record, None)
    ranked = [entry for entry in explanation.candidates if Reason(entry.reason) in RANKED]
    for entry in ranked:
        product = 1.0
        for factor in entry.factors:
            product *= factor.value
        assert isclose(entry.expected_value, product)
        shares = [factor.share for factor in entry.factors if factor.HasField("share")]
        assert len(shares) in (0, len(entry.factors))
        assert not shares or (isclose(sum(shares), 1.0) and all(0.0 <= share <= 1.0 for share in shares))
    together = [one.share for one in explanation.factors]
    assert not together or (isclose(sum(together), 1.0) and all(0.0 <= share <= 1.0 for share in together))
    if len(ranked) < 2 or len({(entry.propensity, entry.value) for entry in ranked}) == 1:
        assert not together


@given(records(), st.floats(0.01, 100.0))
@settings(max_examples=200, deadline=None)
def test_the_currency_does_not_matter(record: DecisionRecord, rate: float) -> None:
    """Worth in another currency changes no share."""
    other = DecisionRecord()
    other.CopyFrom(record)
    other.candidate_value[:] = [value * rate for value in record.candidate_value]
    before, after = (explain_record(one, None).factors for one in (record, other))
    assert bool(before) is bool(after)
    if before:
        assert all(isclose(one.share, two.share, abs_tol=1e-5) for one, two in zip(before, after, strict=True))


def test_shares_say_what_they_are_said_to() -> None:
    """Offers that differ in one factor alone owe it everything; where both differ equally, each has half."""

    def shares(propensity: list[float], value: list[float]) -> dict[str, float]:
        count = len(propensity)
        record = DecisionRecord(
            candidate_offer_id=[f"{k}" for k in range(count)],
            candidate_reason=[1] * count,  # type: ignore[list-item]
            candidate_propensity=propensity,
            candidate_value=value,
        )
        return {one.name: round(one.share, 9) for one in explain_record(record, None).factors}

    assert shares([0.5, 0.1], [3.0, 3.0]) == {"propensity": 1.0, "value": 0.0}
    assert shares([0.5, 0.5], [3.0, 9.0]) == {"propensity": 0.0, "value": 1.0}
    assert shares([0.1, 0.2], [4.0, 2.0]) == {"propensity": 0.5, "value": 0.5}
    assert shares([0.2, 0.2], [2.0, 2.0]) == {}
    assert shares([0.2], [2.0]) == {}
