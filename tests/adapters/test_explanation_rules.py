"""The rule that stopped an offer is the one that is named, with what it saw and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters.bundle_archive import Rulebook, rulebook_of
from liftgate.adapters.explanation_of_record import explain_record
from liftgate.bundle.load import load_bundle
from liftgate.domain.reason import Arm, Branch, InputState, Reason
from liftgate.v1.decision_pb2 import CandidateExplanation, Explanation, RuleOutcome
from liftgate.v1.record_pb2 import DecisionRecord, InputColumn, SlotProbabilities

BUNDLE = """\
bundle: rules
currency: EUR
time_zone: UTC
profile_purpose: personalization
features:
  age: {type: int}
  spend: {type: float, default: 10.0, max_age: 1d}
  last_purchase_at: {type: timestamp}
  country: {type: string, values: [DE, FR]}
context:
  basket: {type: float}
purposes: {personalization: {denied_by: [gpc]}, email: {}}
groups:
  grown-up:
    purposes: [personalization]
    channels: [web, app]
    eligible_if: profile.age >= 18
    caps:
      - {max: 3, per: 7d}
offers:
  card:
    group: grown-up
    value: 5.0
    purposes: [email]
    eligible_if: profile.spend > 50.0
    suppress_if: now - profile.last_purchase_at < duration("72h")
    caps:
      - {max: 1, per: 1d}
      - {max: 2, per: 2d, counts: exposure}
    from: 2026-01-01T00:00:00Z
  plain:
    value: 1.0
    eligible_if: offer.value < 2.0
placements:
  home: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.1}}
"""
NOW = 1_781_524_800_000
NAN = float("nan")
DAY = 86_400_000
NAMES = ("profile.age", "profile.country", "profile.last_purchase_at", "profile.spend")


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    """Return the rules above."""
    folder = tmp_path_factory.mktemp("rules")
    (folder / "rules.yaml").write_text(BUNDLE)
    return rulebook_of(load_bundle(folder))


def line(text: str) -> str:
    """Return where a text stands in the bundle, the first time."""
    return f"rules.yaml:{next(i for i, one in enumerate(BUNDLE.splitlines(), 1) if text in one)}"


def record(reason: Reason, offer: str = "card", **inputs: Any) -> DecisionRecord:
    """Return a record of one candidate. `inputs` are values, or (value, state), by name; context.channel is web."""
    given: dict[str, Any] = {"age": 40.0, "spend": 100.0, "last_purchase_at": NOW - 9 * DAY, "country": 0.0, "channel": 0.0} | inputs
    states = {name: value[1] if isinstance(value, tuple) else InputState.STORED for name, value in given.items()}
    values = {name: float(value[0] if isinstance(value, tuple) else value) for name, value in given.items()}
    columns = [
        InputColumn(name="profile.age", type="int"),
        InputColumn(name="profile.country", type="string", values=["DE", "FR"]),
        InputColumn(name="profile.last_purchase_at", type="timestamp"),
        InputColumn(name="profile.spend", type="float"),
        InputColumn(name="context.channel", type="string", values=["web", "kiosk"]),
    ]
    names = [column.name.partition(".")[2] for column in columns]
    allowed = reason in (Reason.ALLOWED, Reason.CHOSEN)
    return DecisionRecord(
        decision_id="0" * 32,
        decided_at_ms=NOW,
        placement_id="home",
        arm=int(Arm.TREATMENT),  # type: ignore[arg-type]
        branch=int(Branch.EXPLOIT if allowed else Branch.DEFAULT),  # type: ignore[arg-type]
        reason=int(Reason.OFFERED if allowed else Reason.NO_OFFER_ALLOWED),  # type: ignore[arg-type]
        candidate_offer_id=[offer],
        candidate_reason=[int(reason)],  # type: ignore[list-item]
        candidate_propensity=[0.5 if allowed else NAN],
        candidate_value=[5.0 if allowed else NAN],
        slots=[SlotProbabilities(probability=[1.0 if allowed else 0.0])],
        draws=[0.25],
        inputs=columns,
        input_value=[values[name] for name in names],
        input_age_s=[60.0] * len(names),
        input_state=[int(states[name]) for name in names],  # type: ignore[misc]
        purpose=["personalization", "email"],
        consent_reason=[int(Reason.ALLOWED), int(Reason.ALLOWED)],  # type: ignore[list-item]
    )


def only(explanation: Explanation) -> CandidateExplanation:
    """Return the one candidate."""
    (entry,) = explanation.candidates
    return entry


def outcomes(entry: CandidateExplanation) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (text, outcome, what it saw) of each rule."""
    return [(rule.text, RuleOutcome.Name(rule.outcome).removeprefix("RULE_OUTCOME_"), tuple(rule.saw)) for rule in entry.rules]


def test_of_two_conditions_the_one_that_stopped_is_named(rulebook: Rulebook) -> None:
    """The group's condition stops, the offer's own passes: the line is the group's, and it says what it saw."""
    entry = only(explain_record(record(Reason.NOT_ELIGIBLE, age=16.0), rulebook))
    assert (entry.section, entry.rule) == ("eligible_if", line("profile.age >= 18"))
    assert outcomes(entry) == [("profile.age >= 18", "STOPPED", ("profile.age = 16",)), ("profile.spend > 50.0", "PASSED", ())]
    assert [rule.group for rule in entry.rules] == ["grown-up", ""]


def test_both_are_named_where_both_stop(rulebook: Rulebook) -> None:
    """Every condition that is not true stopped the offer, whichever gave the reason."""
    entry = only(explain_record(record(Reason.NOT_ELIGIBLE, age=16.0, spend=(10.0, InputState.DEFAULT_STALE)), rulebook))
    assert entry.rule == f"{line('profile.age >= 18')}, {line('profile.spend > 50.0')}"
    assert entry.rules[1].saw == ["profile.spend = 10 (its default: what is known is too old)"]


@pytest.mark.parametrize(
    ("value", "saw"),
    [
        ((NAN, InputState.DEFAULT_MISSING), "profile.age is not known"),
        ((NAN, InputState.MASKED), "profile.age was withheld"),
        ((7.0, InputState.DEFAULT_MISSING), "profile.age = 7 (its default: nothing is known)"),
    ],
)
def test_what_is_missing_or_withheld_is_said_so(value: object, saw: str, rulebook: Rulebook) -> None:
    """A withheld input shows no value, a missing one says that it is not known, a default that it is one."""
    reason = Reason.NOT_ELIGIBLE if value == (7.0, InputState.DEFAULT_MISSING) else Reason.ELIGIBILITY_UNKNOWN
    explanation = explain_record(record(reason, age=value), rulebook)
    assert not explanation.caveats
    assert outcomes(only(explanation))[0] == ("profile.age >= 18", "STOPPED", (saw,))


def test_a_suppression_stops_where_it_is_true_or_unknown(rulebook: Rulebook) -> None:
    """suppress_if has the other polarity: true and unknown stop, and times are shown as times."""
    bought = only(explain_record(record(Reason.SUPPRESSED, last_purchase_at=NOW - DAY), rulebook))
    assert bought.rules[0].saw == ["now = 2026-06-15T12:00:00.000Z", "profile.last_purchase_at = 2026-06-14T12:00:00.000Z"]
    unknown = only(explain_record(record(Reason.SUPPRESSION_UNKNOWN, last_purchase_at=(NAN, InputState.DEFAULT_MISSING)), rulebook))
    for entry in (bought, unknown):
        assert (entry.rule, entry.rules[0].outcome) == (line("suppress_if"), RuleOutcome.RULE_OUTCOME_STOPPED)


def test_the_purpose_that_was_not_granted_is_named(rulebook: Rulebook) -> None:
    """Of the group's and the offer's purposes the one without a grant stopped the offer."""
    given = record(Reason.CONSENT_EXPIRED)
    given.consent_reason[1] = int(Reason.CONSENT_EXPIRED)  # type: ignore[call-overload]
    entry = only(explain_record(given, rulebook))
    assert outcomes(entry) == [('["personalization"]', "PASSED", ()), ('["email"]', "STOPPED", ("email: expired",))]
    assert entry.rule == line("purposes: [email]")


def test_a_channel_is_compared(rulebook: Rulebook) -> None:
    """A channel that the rule does not list is what it saw."""
    entry = only(explain_record(record(Reason.CHANNEL_NOT_ALLOWED, channel=1.0), rulebook))
    assert outcomes(entry) == [('["web", "app"]', "STOPPED", ("context.channel = kiosk",))]


def test_of_several_caps_it_is_not_known_which(rulebook: Rulebook) -> None:
    """The record does not say which cap was full, and so neither does the explanation: all are named, as one of several."""
    entry = only(explain_record(record(Reason.FREQUENCY_CAP), rulebook))
    assert [outcome for _, outcome, _ in outcomes(entry)] == ["ONE_OF"] * 3
    assert entry.rule == ", ".join(line(text) for text in ("{max: 3", "{max: 1", "{max: 2"))


def test_a_single_date_is_the_one(rulebook: Rulebook) -> None:
    """Of one rule it is known that it stopped the offer."""
    entry = only(explain_record(record(Reason.NOT_STARTED), rulebook))
    assert outcomes(entry) == [("2026-01-01T00:00:00Z", "STOPPED", ("now = 2026-06-15T12:00:00.000Z",))]


def test_an_allowed_offer_lists_what_it_passed(rulebook: Rulebook) -> None:
    """Every rule of an allowed offer passed; its value is a factor and no rule."""
    entry = only(explain_record(record(Reason.CHOSEN), rulebook))
    assert {outcome for _, outcome, _ in outcomes(entry)} == {"PASSED"}
    assert {rule.section for rule in entry.rules} == {"purposes", "channels", "eligible_if", "suppress_if", "caps", "from"}
    assert [(factor.name, factor.value) for factor in entry.factors] == [("propensity", 0.5), ("value", 5.0)]


def test_a_rule_that_would_have_stopped_an_allowed_offer_ran_in_shadow(rulebook: Rulebook) -> None:
    """It is marked, so that nobody takes it for one that held."""
    entry = only(explain_record(record(Reason.ALLOWED, age=16.0), rulebook))
    assert ("profile.age >= 18", "SHADOW", ("profile.age = 16",)) in outcomes(entry)


def test_conditions_on_the_offer_itself_are_judged_for_it(rulebook: Rulebook) -> None:
    """`offer.value` is that of the candidate."""
    assert outcomes(only(explain_record(record(Reason.CHOSEN, "plain"), rulebook))) == [("offer.value < 2.0", "PASSED", ())]


def test_an_explanation_that_contradicts_itself_says_so(rulebook: Rulebook) -> None:
    """Where the rules as kept do not give the logged reason, that is said and none of them is accused."""
    explanation = explain_record(record(Reason.NOT_ELIGIBLE), rulebook)
    assert list(explanation.caveats) == ["card: its rules as kept do not give this reason with the inputs as logged."]
    assert {outcome for _, outcome, _ in outcomes(only(explanation))} == {"ONE_OF"}


def test_profile_values_can_be_left_out(rulebook: Rulebook) -> None:
    """Without leave to show them no value of a profile feature is in the explanation; what the caller sent is."""
    given = record(Reason.NOT_ELIGIBLE, age=16.0)
    explanation = explain_record(given, rulebook, live=True)
    assert list(only(explanation).rules[0].saw) == []
    assert {entry.name: entry.value for entry in explanation.inputs} == dict.fromkeys(NAMES, "") | {"context.channel": "web"}
    shown = {entry.name: entry.value for entry in explain_record(given, rulebook).inputs}
    assert shown["profile.age"] == "16"


def test_without_the_rules_the_reasons_remain(rulebook: Rulebook) -> None:
    """Where the bundle was not kept the explanation has reasons, numbers and words, and no rules."""
    entry = only(explain_record(record(Reason.NOT_ELIGIBLE, age=16.0), None))
    assert (entry.section, entry.rule, len(entry.rules)) == ("eligible_if", "", 0)
    assert entry.text == "The person does not fulfil its condition (eligible_if)."


def test_words_of_another_version_are_quoted_and_not_judged(rulebook: Rulebook) -> None:
    """A condition that this version cannot read, and inputs of a type that it does not know, end in a quotation and no failure."""
    old = record(Reason.NOT_ELIGIBLE, age=16.0)
    old.inputs[0].type = "decimal"
    explanation = explain_record(old, rulebook)
    assert "does not know" in explanation.caveats[0]
    assert {outcome for _, outcome, _ in outcomes(only(explanation))} == {"ONE_OF"}
    unknown = record(Reason.NOT_ELIGIBLE)
    unknown.candidate_reason[0] = 58  # type: ignore[call-overload]
    assert only(explain_record(unknown, rulebook)).text == "The reason is not known to this version."


def test_what_a_reviewer_said_is_told(tmp_path: Path) -> None:
    """A verdict on this person's decision is quoted with who, when and how long it took; a question that waits with its id."""
    (tmp_path / "rules.yaml").write_text(BUNDLE.replace("  plain:\n", "  plain:\n    review_each_decision: true\n"))
    rulebook = rulebook_of(load_bundle(tmp_path))
    said = record(Reason.REVIEW_REJECTED, "plain")
    said.review_verdicts.add(offer_id="plain", approved=False, reviewer="ben", at_ms=NOW, latency_ms=5_400_000, review_id="r-7")
    asked = record(Reason.AWAITING_REVIEW, "plain")
    asked.review_requested.offer_id, asked.review_requested.review_id = "plain", "r-8"
    for given, saw in ((said, "ben said no at 2026-06-15T12:00:00.000Z, 1.5 h after it was asked for"), (asked, "asked for as r-8")):
        entry = only(explain_record(given, rulebook))
        (rule,) = entry.rules
        assert (rule.section, rule.outcome, list(rule.saw)) == ("review_each_decision", RuleOutcome.RULE_OUTCOME_STOPPED, [saw])
        assert entry.rule.startswith("rules.yaml:")
        assert not only(explain_record(given, rulebook, live=True)).rules[0].saw
