"""Who was erased from a store, for commands that write to it past the service: what they load must bring nobody back."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.adapters.redis_client import RedisClient
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.app.keys import hashed_ids
from liftgate.domain.errors import BadInput

_CHUNK = 2_000
_BUDGET_S = 5.0


class ErasedPeople:
    """Tombstones of a store, asked by id. `key` is the log's, whose hashes tombstones carry; None: it was not given."""

    def __init__(self, client: RedisClient, key: bytes | None) -> None:
        self._store = None if key is None else RedisErasure(client, hashed_ids(key))
        self._client = client

    async def can_tell(self) -> None:
        """Raise BadInput where somebody was erased and the key is missing, StoreUnavailable."""
        if self._store is None and await RedisErasure(self._client, lambda _: b"").any_erased():
            raise BadInput(
                "people were erased from this store, and without the key of the log's pseudonyms nobody can tell who, so that a load would "
                "bring them back: give --pseudonym-key-file FILE, or LIFTGATE_PSEUDONYM_KEY"
            )

    async def among(self, people: Sequence[str]) -> set[str]:
        """Return which of these were erased and did not come back. Raises StoreUnavailable."""
        if self._store is None:
            return set()
        found: set[str] = set()
        for i in range(0, len(people), _CHUNK):
            some = people[i : i + _CHUNK]
            told = await self._store.erased_at(some, _BUDGET_S)
            found.update(person for person, at_ms in zip(some, told, strict=True) if at_ms is not None)
        return found
