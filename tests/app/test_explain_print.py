"""What a person reads of an explanation: everything that came of the decision, in words, and nothing that did not."""

from __future__ import annotations

import pytest

from liftgate.adapters.explanation_of_record import explain_record
from liftgate.app.cli.explain_print import age, show
from liftgate.client.plain import plain
from liftgate.v1.record_pb2 import DecisionRecord, InputColumn, LayerAssignment, ModelPin, SlotProbabilities

NAN = float("nan")


def printed(capsys: pytest.CaptureFixture[str], **changes: object) -> str:
    """Return what is shown of a record: gift and news allowed, gift chosen, credit refused."""
    record = DecisionRecord(
        decision_id="0" * 31 + "1",
        decided_at_ms=1_781_524_800_000,
        placement_id="home.hero",
        bundle="shop",
        bundle_digest="d" * 64,
        models=[ModelPin(model="likes", version=3, sha256="ab" * 32)],
        arm=1,  # type: ignore[arg-type]
        branch=1,  # type: ignore[arg-type]
        reason=60,  # type: ignore[arg-type]
        offered=["gift"],
        scored=True,
        assignments=[LayerAssignment(layer="universal", arm="treatment")],
        candidate_offer_id=["credit", "gift", "news"],
        candidate_reason=[12, 2, 1],  # type: ignore[list-item]
        candidate_propensity=[NAN, 0.5, 0.1],
        candidate_value=[NAN, 4.0, 4.0],
        slots=[SlotProbabilities(probability=[0.0, 0.95, 0.05])],
        draws=[0.25],
        inputs=[InputColumn(name="profile.age", type="int"), InputColumn(name="context.channel", type="string", values=["web"])],
        input_value=[36.0, 0.0],
        input_age_s=[7200.0, NAN],
        input_state=[1, 1],  # type: ignore[list-item]
        purpose=["personalization", "credit"],
        consent_reason=[1, 12],  # type: ignore[list-item]
        consent_version="2026-05",
    )
    for name, value in changes.items():
        if isinstance(value, list):
            record.ClearField(name)
            getattr(record, name).extend(value)
        else:
            setattr(record, name, value)
    show(plain(explain_record(record, None)))
    return " ".join(capsys.readouterr().out.split())


def test_an_ordinary_decision(capsys: pytest.CaptureFixture[str]) -> None:
    """Sentence, numbers, what the ranking is due to, draw, consent, inputs with ages, versions."""
    text = printed(capsys)
    for words in (
        "home.hero shows gift, drawn from 2 allowed offers, with probability 0.95.",
        "decided at 2026-06-15T12:00:00.000Z",
        "group treatment (universal: treatment)",
        "bundle shop " + "d" * 64,
        "model likes 3, sha256 " + "ab" * 32,
        "scores by models",
        "gift 0.5000 4.00 2.00 0.9500 chosen",
        "propensity 100 %, value 0 %",
        "not credit: Consent for a purpose that it needs has expired",
        "draw 1 0.250000 fell to gift, whose probability was 0.95",
        "personalization: granted, credit: expired (policy version 2026-05)",
        "profile.age 36 2.0 h stored or sent",
    ):
        assert words in text, words
    for words in ("fallback", "recovered", "attempts", "withheld", "would show", "degraded"):
        assert words not in text, words


def test_a_held_out_person(capsys: pytest.CaptureFixture[str]) -> None:
    """What would have been shown is said, and that it was not."""
    text = printed(capsys, arm=2, branch=3, reason=61, offered=[], would_offer=["gift"])
    for words in ("gift would have been offered", "shown nothing", "would show gift", "choice holdout", "draw 1 0.250000 fell to gift"):
        assert words in text, words


def test_a_fallback(capsys: pytest.CaptureFixture[str]) -> None:
    """The stage that could not run is named, the default is marked, and no draw is shown that did not count."""
    nothing = [SlotProbabilities(probability=[0.0, 0.0, 0.0])]
    text = printed(
        capsys,
        branch=5,
        reason=66,
        fallback_reason=66,
        degraded=True,
        offered=["welcome"],
        default_served=True,
        slots=nothing,
        recovered=True,
    )
    for words in (
        "home.hero shows welcome, the default:",
        "shown welcome, the default",
        "choice fallback, degraded",
        "fallback profile_store_unavailable at stage fetch",
        "another worker completed the record",
    ):
        assert words in text, words
    assert "fell to" not in text


def test_what_is_withheld_or_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """A masked profile, a missing input, several tries: each is said."""
    text = printed(capsys, masked_paths=["profile.*"], input_state=[4, 2], input_value=[NAN, NAN], reservation_attempts=2)
    for words in (
        "withheld profile.*, for want of consent or because it is stopped",
        "profile.age - 2.0 h withheld",
        "context.channel - - not known",
        "attempts 2:",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "-"), (0.4, "0 s"), (119.0, "119 s"), (120.0, "2.0 min"), (7200.0, "2.0 h"), (200_000.0, "2.3 d")]
)
def test_ages_are_read_at_a_glance(seconds: float | None, words: str) -> None:
    """Seconds, minutes, hours or days, whichever reads best."""
    assert age(seconds) == words


def test_factors_of_worth_have_columns_where_they_count(capsys: pytest.CaptureFixture[str]) -> None:
    """A lever and an uplift stand beside value and worth, and what is not worth showing says so; plain decisions have no such columns."""
    text = printed(
        capsys,
        candidate_reason=[55, 2, 56],
        candidate_propensity=[0.2, 0.5, 0.1],
        candidate_value=[4.0, 4.0, 4.0],
        candidate_lever=[1.0, 1.5, 1.0],
        candidate_untreated_propensity=[0.3, 0.25, 0.0],
    )
    for words in ("uplift", "x lever", "0.2500 1.50 4.00 1.50", "-0.1000 1.00 4.00 -0.40", "not worth showing", "lower tier"):
        assert words in text, words
    assert "x weight" not in text
    assert "x lever" not in printed(capsys)
