"""What reads like somebody's address or number."""

from __future__ import annotations

import pytest

from liftgate.domain.contact_detail import names_somebody


@pytest.mark.parametrize(
    "text", ["asked by ada@example.org.", "<a.b+c@mail.example.co.uk>", "call +49 151 2345678", "0049-151-2345678", "+1 (555) 010-9999"]
)
def test_addresses_and_numbers_are_seen(text: str) -> None:
    """An e-mail address or a phone number with its country is seen wherever it stands."""
    assert names_somebody(text)


@pytest.mark.parametrize(
    "text", ["", "ticket 4711", "OPS-20261122-0815", "at 50 % + 3 since 10:00", "price @ 9.99", "@ada said so", "1.2.3+45"]
)
def test_tickets_prices_and_versions_are_not(text: str) -> None:
    """What operators write otherwise passes."""
    assert not names_somebody(text)
