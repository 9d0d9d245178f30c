"""By what a contact history knows a decision."""

from __future__ import annotations

from liftgate.domain.contact_history import reservation_of

DECISION = "01a20287e43677a9815cd26df03bb74d"


def test_without_a_key_it_is_half_of_the_id() -> None:
    """Where people have no keys, the last eight bytes of the decision's id stand for it."""
    assert reservation_of(DECISION) == bytes.fromhex("815cd26df03bb74d")


def test_with_a_key_nothing_but_that_key_leads_to_the_decision() -> None:
    """The same eight bytes for the same key and decision, others for another of either, and none of the id."""
    own = reservation_of(DECISION, b"k" * 16)
    assert own == reservation_of(DECISION, b"k" * 16)
    assert len({own, reservation_of(DECISION), reservation_of(DECISION, b"j" * 16), reservation_of(DECISION[::-1], b"k" * 16)}) == 4
    assert len(own) == 8
