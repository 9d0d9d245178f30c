"""People's keys on a Cluster, where a person's tombstone lies on another server than the person. See `person_keys.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from liftgate.adapters import redis_keys
from liftgate.adapters.person_keys import Asking, PersonKeys, Whose, valid
from liftgate.adapters.redis_client import AWAY, Command


class ClusterAsking(Asking):
    """The keys of one batch.

    Who is new to this worker is looked for, and their tombstone; only where both are certainly not there a key is made, in a second round
    trip: once in a person's life. So whoever has a key was not erased since, and is known even while the tombstone's server is away.
    """

    __slots__ = ("away",)

    def __init__(self, ring: PersonKeys, people: Sequence[Whose]) -> None:
        super().__init__(ring, people)
        self.away: set[int] = set()
        """Rows of whom nothing can be told, because a server is away."""

    def _ask(self, rows: Sequence[int], new: Sequence[int]) -> list[Command]:
        """Return what reads everybody's, then looks for tombstones of the new."""
        people = self._people
        names = [redis_keys.person_key(people[row].person_id) for row in rows]
        return [("GET", name) for name in (*names, *(self._ring.tombstone(people[row].person_id) for row in new))]

    def _answered(self, rows: Sequence[int], new: Sequence[int], replies: Sequence[Any]) -> list[Command]:
        """Put keys in place, and note who was erased."""
        keys = self.keys
        for row, value in zip(rows, replies, strict=False):
            keys[row] = valid(value)
            if value is AWAY:
                self.away.add(row)
        for row, tombstone in zip(new, replies[len(rows) :], strict=True):
            if tombstone is AWAY:
                if keys[row] is None:
                    self.away.add(row)
            elif tombstone is not None:
                # Also where they have a key: then it cannot be told, and they have none.
                keys[row] = None
                self.erased.append(row)
        return []

    async def settled(self, call: Callable[[Sequence[Command]], Awaitable[list[Any]]]) -> list[bytes | None]:
        """Return [N] the keys; make those of people who have none and were not erased."""
        people, keys, asked = self._people, self.keys, self.away.union(self._new)
        lost = [row for row, key in enumerate(keys) if key is None and row not in asked and people[row].keyed]
        if lost:
            # Met before, and erased or forgotten since.
            self._answered(lost, lost, await call(self._ask(lost, lost)))
        out = self.away.union(self.erased)
        wanting = [row for row, key in enumerate(keys) if key is None and row not in out and people[row].keyed]
        if wanting:
            claims = [self._ring.claim(people[row].person_id) for row in wanting]
            for row, (key, _), before in zip(wanting, claims, await call([claim for _, claim in claims]), strict=True):
                keys[row] = key if before is None else valid(before)
                if before is AWAY:
                    self.away.add(row)
        # Of whom nothing was heard, what was known before still holds.
        there = [row for row in range(len(people)) if row not in self.away]
        self._ring.learn_all([people[row] for row in there], [keys[row] for row in there])
        return keys
