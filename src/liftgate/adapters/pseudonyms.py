"""Pseudonyms: what stands for a person in the logs."""

from __future__ import annotations

import hmac

_BYTES = 16
_KEY_BYTES = 16


class Pseudonyms:
    """HMAC-SHA-256 of a person's id under one key, cut to 16 bytes. Immutable; the key is never shown."""

    __slots__ = ("_key", "key_id")

    def __init__(self, key_id: str, key: bytes) -> None:
        """Take the key and the name that rows carry to say which key it was. Raises ValueError on a key under 16 bytes."""
        if len(key) < _KEY_BYTES:
            raise ValueError(f"a pseudonym key needs at least {_KEY_BYTES} bytes")
        self.key_id = key_id
        self._key = key

    def __call__(self, person_id: str) -> bytes:
        """Return 16 bytes, the same for the same person and key."""
        return hmac.digest(self._key, person_id.encode("utf-8", "surrogatepass"), "sha256")[:_BYTES]
