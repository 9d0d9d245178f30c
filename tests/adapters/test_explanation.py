"""Explanations say in words and as data why this offer and why not the others."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.adapters.explanation import SENTENCES
from liftgate.adapters.explanation_live import explain
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Branch, Reason
from liftgate.domain.request import DecideRequest
from tests.adapters.shop import OFFERS
from tests.adapters.walked import SHOP, decided, held_out, walked

DEFAULTED = {"offered": (0,), "default_served": True, "branch": Branch.DEFAULT, "reason": Reason.NO_OFFER_ALLOWED}


def test_every_reason_has_a_sentence() -> None:
    """No reason is without words, and no two share them."""
    assert set(SENTENCES) == set(Reason)
    assert len(set(SENTENCES.values())) == len(Reason)
    assert all(text[0].isupper() and text.endswith(".") for text in SENTENCES.values())


def test_there_is_one_entry_for_each_candidate_in_the_bundles_order() -> None:
    """Offers that are no candidates of the placement are not mentioned."""
    assert [entry.offer_id for entry in explain(walked(), SHOP, decided()).candidates] == list(OFFERS[1:])


def test_chosen_and_allowed_offers_have_numbers() -> None:
    """Allowed offers carry propensity, value and probability; the chosen one says so."""
    entries = {entry.offer_id: entry for entry in explain(walked(), SHOP, decided()).candidates}
    assert int(entries["gift"].reason) == Reason.CHOSEN
    assert int(entries["news"].reason) == Reason.ALLOWED
    assert (entries["news"].propensity, entries["news"].value, entries["news"].selection_probability) == pytest.approx((0.4, 4.0, 0.05))
    assert entries["news"].rule == ""


@pytest.mark.parametrize(
    ("offer", "reason", "rule"),
    [
        (1, Reason.NOT_ELIGIBLE, "offers.yaml:11"),
        (1, Reason.ELIGIBILITY_UNKNOWN, "offers.yaml:11"),
        (2, Reason.SUPPRESSED, "offers.yaml:22"),
        (2, Reason.SUPPRESSION_UNKNOWN, "offers.yaml:22"),
        (3, Reason.CONSENT_MISSING, "offers.yaml:33"),
        (3, Reason.CONSENT_GPC, "offers.yaml:33"),
        (4, Reason.CHANNEL_NOT_ALLOWED, "offers.yaml:44"),
        (5, Reason.FREQUENCY_CAP, "offers.yaml:55"),
        (5, Reason.FREQUENCY_CAP_UNAVAILABLE, "offers.yaml:55"),
        (3, Reason.NOT_STARTED, "offers.yaml:30"),
        (1, Reason.NOT_REQUESTED, ""),
    ],
)
def test_a_refused_offer_names_its_rule(offer: int, reason: Reason, rule: str) -> None:
    """What stopped an offer is named with its file and line (the offer's own where the rule has none), and has no numbers."""
    batch = walked()
    batch.reason[0, offer], batch.allowed[0, offer] = reason, False
    entry = explain(batch, SHOP, decided(offered=(2 if offer != 2 else 3,))).candidates[offer - 1]
    assert (int(entry.reason), entry.text, entry.rule) == (reason, SENTENCES[reason], rule)
    assert not any(entry.HasField(name) for name in ("propensity", "value", "selection_probability"))


@pytest.mark.parametrize(
    ("decision", "summary"),
    [
        (decided(), "home.hero shows gift, drawn from 5 allowed offers, with probability 0.04."),
        (
            decided(offered=(3, 1)),
            "home.hero shows gift and free-shipping, drawn from 5 allowed offers, with probability 0.04 for the first slot.",
        ),
        (
            decided(reason=Reason.UNKNOWN_PERSON),
            "home.hero shows gift, drawn from 5 allowed offers, with probability 0.04. "
            "Nothing is stored for the person, so the decision used the context alone.",
        ),
        (decided(**DEFAULTED), "home.hero shows welcome, the default: no offer passed the guardrails."),
        (decided(offered=(), reason=Reason.NO_OFFER_ALLOWED), "home.hero shows nothing: no offer passed the guardrails."),
        (held_out(), "The person is in a holdout, so home.hero shows nothing; gift would have been offered."),
        (
            held_out(offered=(0,), default_served=True),
            "The person is in a holdout, so home.hero shows welcome, the default; gift would have been offered.",
        ),
        (held_out(chosen=()), "The person is in a holdout, so home.hero shows nothing; nothing would have been shown either."),
        (
            held_out(chosen=(), would_offer=(0,), would_offer_default=True),
            "The person is in a holdout, so home.hero shows nothing; welcome, the default, would have been shown.",
        ),
    ],
)
def test_the_summary_is_one_plain_answer(decision: object, summary: str) -> None:
    """Each way that a decision can come out has its sentence."""
    assert explain(walked(slots=2), SHOP, decision).summary == summary  # type: ignore[arg-type]


def test_held_out_people_have_a_would_be_choice() -> None:
    """The would-be offer is marked as chosen and its text says that it was not shown."""
    entries = {entry.offer_id: entry for entry in explain(walked(), SHOP, held_out()).candidates}
    assert int(entries["gift"].reason) == Reason.CHOSEN
    assert "would have been" in entries["gift"].text


def test_a_served_default_is_not_a_choice() -> None:
    """A default that is a candidate too is not marked as chosen when it was served as the default."""
    entries = explain(walked(), SHOP, decided(**(DEFAULTED | {"offered": (3,)}))).candidates
    reasons = {entry.offer_id: int(entry.reason) for entry in entries}
    assert len(reasons) > 3
    assert set(reasons.values()) == {Reason.ALLOWED}


def test_masked_inputs_are_named() -> None:
    """A profile withheld for want of consent is listed."""
    batch = walked()
    assert list(explain(batch, SHOP, decided()).masked_paths) == []
    batch.masked[0] = True
    assert list(explain(batch, SHOP, decided()).masked_paths) == ["profile.*"]


def test_columns_that_were_never_made_do_no_harm() -> None:
    """A decision whose walk stopped early is still explained."""
    batch = Batch([DecideRequest("r", "p", "home.hero")], np.zeros(1, dtype=np.int64))
    explanation = explain(batch, SHOP, decided(offered=(), reason=Reason.STAGE_FAILED))
    assert explanation.summary == "home.hero shows nothing: a stage failed unexpectedly, so only the guarded default could be served."
    assert len(explanation.candidates) == 0


def test_what_a_guardrail_in_shadow_would_have_done_is_said() -> None:
    """An allowed offer that a rule in shadow would have held back says so, and the rule has the outcome of one in shadow."""
    batch = walked()
    shadow = np.zeros_like(batch.reason)
    shadow[0, 4] = Reason.SUPPRESSED
    batch.shadow_reason = shadow
    entries = {entry.offer_id: entry for entry in explain(batch, SHOP, decided()).candidates}
    assert int(entries["news"].reason) == Reason.ALLOWED
    assert entries["news"].text.endswith("A guardrail in shadow would have held it back: " + SENTENCES[Reason.SUPPRESSED])
    assert "shadow" not in entries["gift"].text
