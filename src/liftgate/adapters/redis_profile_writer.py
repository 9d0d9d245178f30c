"""Stores what `redis_profiles.py` reads: profiles in one of its two layouts, and consent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import Command, RedisClient, check
from liftgate.adapters.redis_hash import HashCodec
from liftgate.adapters.redis_profiles import Layout
from liftgate.domain.input import InputSchema
from liftgate.domain.profile import pack

_WRITE_BUDGET_S = 5.0


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """What to store for one person. None leaves what is there."""

    person_id: str
    values: Sequence[float] | None = None
    """Column numbers (`Input.encode`), one for each profile feature; NaN missing."""
    at_s: Sequence[int] | int = 0
    """Seconds since the epoch, one for each feature or for all; 0 not known."""
    consent: bytes | None = None
    """`domain/consent.py` document."""


class RedisProfileWriter:
    """Stores profiles and consent, many people a round trip. A stored profile replaces the old one whole, never parts of it."""

    def __init__(self, client: RedisClient, schema: InputSchema, layout: Layout = "packed", budget_s: float = _WRITE_BUDGET_S) -> None:
        self._client = client
        self._schema = schema
        self._packed = layout == "packed"
        self._codec = HashCodec(schema)
        self._budget_s = budget_s
        # A profile without values, to be filled in by columns.
        self._blank = np.frombuffer(pack(schema, [float("nan")] * schema.profile_count, 0), dtype=schema.profile_dtype)

    async def store(self, people: Sequence[StoredPerson]) -> None:
        """Store all of them. Raises StoreUnavailable; then some may have been stored. Raises ValueError on an infinite value."""
        commands: list[Command] = []
        strings: list[bytes] = []
        packed = iter(self.pack([person for person in people if person.values is not None]) if self._packed else ())
        for person in people:
            tag = redis_keys.tag(person.person_id)
            first = len(strings)
            if person.values is not None and self._packed:
                strings += (tag + b"p", next(packed))
            elif person.values is not None:
                commands.append(self._codec.replace(tag + b"f", person.values, person.at_s))
            if person.consent is not None:
                strings += (tag + b"c", person.consent)
            if self._client.clustered and len(strings) > first:
                commands.append(("MSET", *strings[first:]))
        if strings and not self._client.clustered:
            commands.append(("MSET", *strings))
        check(await self._client.call(commands, self._budget_s))

    def pack(self, people: Sequence[StoredPerson]) -> list[bytes]:
        """Return the packed profiles of people who have values."""
        rows, stored = np.repeat(self._blank, len(people)), self._schema.stored_count
        if people:
            rows["value"] = [person.values[:stored] for person in people if person.values is not None]
            if np.isinf(rows["value"]).any():
                raise ValueError("a profile holds an infinite value")
            for row, person in enumerate(people):
                rows["at_s"][row] = person.at_s if isinstance(person.at_s, int) else person.at_s[:stored]
        size = self._blank.itemsize
        raw = rows.tobytes()
        return [raw[i : i + size] for i in range(0, len(raw), size)]
