"""Kinds: numbers for decisions that are told and recorded the same."""

from __future__ import annotations

from liftgate.domain.reason import Branch, Reason
from liftgate.pipeline import kinds
from liftgate.pipeline.kinds import Kinds
from tests.adapters.walked import decided


def test_a_kind_is_known_by_everything_that_it_depends_on() -> None:
    """What was learned is found, each kind has a number of its own, and a row's own decision is of its kind."""
    some = Kinds()
    first, second = some.learn((b"a",), decided()), some.learn((b"b",), decided())
    assert some.known[(b"a",)] is first
    assert (first.kind, second.kind) == (1, 2)
    assert first.again(4, "d").kind == 1


def test_decisions_changed_alike_are_of_one_kind() -> None:
    """What is answered otherwise is another kind than what was chosen, and others changed in the same way share it."""
    some = Kinds()
    outcome = some.learn((b"a",), decided())
    chosen, one, like, other = [outcome.again(row, "d") for row in range(4)]
    for decision in (one, like):
        decision.offered, decision.branch, decision.reason = (), Branch.HOLDOUT, Reason.OFFER_HELD_OUT
    other.offered = (1,)
    for decision in (one, like, other):
        some.change(decision)
    assert one.kind == like.kind
    assert len({chosen.kind, one.kind, other.kind}) == 3


def test_a_decision_of_no_kind_stays_one() -> None:
    """What was not decided by a walk is of no kind, whatever is changed: nothing is remembered by it."""
    decision = decided()
    Kinds().change(decision)
    assert decision.kind == 0


def test_what_is_forgotten_never_comes_back_under_its_number() -> None:
    """One kind more than are remembered, and all are forgotten; the next has another number than any before."""
    some = Kinds()
    for number in range(kinds.KNOWN + 1):
        some.learn((b"%d" % number,), decided())
    assert len(some.known) == 1
    assert some.known[(b"%d" % kinds.KNOWN,)].kind == kinds.KNOWN + 1


def test_consent_versions_have_numbers_of_their_own() -> None:
    """A version keeps its number. Where there are too many, all get others, and what was known by them is forgotten."""
    some = Kinds()
    assert list(some.numbers(["", "2025", "", "2026"])) == [0, 1, 0, 2]
    assert list(some.numbers(["2026", "2025"])) == [2, 1]
    some.learn((b"a",), decided())
    some.numbers([str(version) for version in range(10_000, 10_000 + kinds.KNOWN)])
    some.numbers(["another"])
    assert some.numbers(["another"]) == [0]
    assert not some.known
