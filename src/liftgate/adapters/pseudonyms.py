"""Pseudonyms: what stands for a person in the logs."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from hmac import new

_BYTES = 16
_KEY_BYTES = 16
_BLOCK = 64
UNITS = ("account", "session", "visitor")
"""What a request can name beside the person."""


class Pseudonyms:
    """HMAC-SHA-256 of a person's id under one key, cut to 16 bytes. Immutable; the key is never shown."""

    __slots__ = ("_inner", "_outer", "key_id")

    def __init__(self, key_id: str, key: bytes) -> None:
        """Take the key and the name that rows carry to say which key it was. Raises ValueError on a key under 16 bytes."""
        if len(key) < _KEY_BYTES:
            raise ValueError(f"a pseudonym key needs at least {_KEY_BYTES} bytes")
        self.key_id = key_id
        # RFC 2104 with both hashes begun: looking the digest up by name costs as much again for every person.
        padded = (key if len(key) <= _BLOCK else sha256(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in padded))

    @classmethod
    def of_accounts(cls, key_id: str, key: bytes) -> Pseudonyms:
        """Return pseudonyms of accounts: under a key that is made from the people's, so that neither kind can be told from the other."""
        return cls(key_id, new(key, b"liftgate accounts", sha256).digest())

    @classmethod
    def of_units(cls, kind: str, key_id: str, key: bytes) -> Pseudonyms:
        """Return pseudonyms of sessions or visitors: `kind` is what they are called, and each kind has a key of its own."""
        return cls(key_id, new(key, f"liftgate {kind}s".encode(), sha256).digest())

    @classmethod
    def of_people(cls, key: bytes) -> Pseudonyms:
        """Return pseudonyms that also take a key of the person's own, `under`. Rows name them by a key id of their own."""
        derived = new(key, b"liftgate people", sha256).digest()
        return cls(sha256(b"liftgate pseudonym key id:" + derived).hexdigest()[:8], derived)

    @classmethod
    def of_peoples_units(cls, key: bytes) -> dict[str, Pseudonyms]:
        """Return, by kind, pseudonyms of accounts, sessions and visitors that also take the key of the person whose they are, `under`."""
        return {kind: cls("", new(key, f"liftgate people's {kind}s".encode(), sha256).digest()) for kind in UNITS}

    def under(self, own: bytes, person_id: str) -> bytes:
        """Return 16 bytes, the same for the same person and key of their own, `own`; without that key nobody can tell whose they are."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(own)
        inner.update(person_id.encode("utf-8", "surrogatepass"))
        outer.update(inner.digest())
        return outer.digest()[:_BYTES]

    def under_all(self, own: Sequence[bytes], people: Sequence[str]) -> list[bytes]:
        """Return what `under` returns of each."""
        inner_of, outer_of, found = self._inner.copy, self._outer.copy, []
        for key, person_id in zip(own, people, strict=True):
            inner, outer = inner_of(), outer_of()
            inner.update(key + person_id.encode("utf-8", "surrogatepass"))
            outer.update(inner.digest())
            found.append(outer.digest()[:_BYTES])
        return found

    def __call__(self, person_id: str) -> bytes:
        """Return 16 bytes, the same for the same person and key."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(person_id.encode("utf-8", "surrogatepass"))
        outer.update(inner.digest())
        return outer.digest()[:_BYTES]
