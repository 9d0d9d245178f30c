"""Pseudonyms stand for people without naming them."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from liftgate.adapters.pseudonyms import Pseudonyms


def test_a_pseudonym_is_the_hmac_that_the_log_promises() -> None:
    """It is HMAC-SHA-256 under the key, first 16 bytes, of the UTF-8 id."""
    key = b"0123456789abcdef"
    assert Pseudonyms("k1", key)("jürgen") == hmac.new(key, "jürgen".encode(), hashlib.sha256).digest()[:16]


def test_people_and_keys_are_told_apart() -> None:
    """Another person or another key gives another pseudonym, the same ones the same."""
    one, other = Pseudonyms("k1", b"a" * 16), Pseudonyms("k2", b"b" * 16)
    assert one("p") == one("p")
    assert len({one("p"), one("q"), other("p")}) == 3


def test_short_keys_are_refused_and_keys_are_not_shown() -> None:
    """A key that could be guessed is no key; repr does not hold it."""
    with pytest.raises(ValueError, match="16 bytes"):
        Pseudonyms("k1", b"short")
    assert "aaaa" not in repr(Pseudonyms("k1", b"a" * 16))


def test_accounts_have_a_key_of_their_own() -> None:
    """An account and a person of the same id have different pseudonyms, and nobody can make one kind from the other without the key."""
    people, accounts = Pseudonyms("k", b"k" * 32), Pseudonyms.of_accounts("k", b"k" * 32)
    assert people("home") != accounts("home")
    assert accounts("home") == Pseudonyms.of_accounts("k", b"k" * 32)("home")
    assert accounts("home") != Pseudonyms.of_accounts("k", b"j" * 32)("home")
    assert len(accounts("home")) == 16


def test_pseudonyms_of_many_are_those_of_each() -> None:
    """`under_all` says of each person, in order, what `under` says, whatever characters an id has."""
    people, keys = ["a", "jürgen", "\ud800", ""], [bytes([i]) * 16 for i in range(4)]
    pseudonyms = Pseudonyms.of_people(b"0123456789abcdef")
    assert pseudonyms.under_all(keys, people) == [pseudonyms.under(key, person) for key, person in zip(keys, people, strict=True)]
