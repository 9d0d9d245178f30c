"""People's keys: 16 random bytes a person, made at first sight, that pseudonyms in the log are made with. ADR 0020 says why.

A key lies with the person's other values and is read in the same round trip. Erasing the person destroys it, and then nothing leads
from the id to the log. Who was erased and is asked about again gets none until they come back.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from functools import partial
from itertools import repeat
from operator import attrgetter
from struct import iter_unpack
from time import monotonic
from typing import Any, Protocol

from liftgate.adapters import redis_keys
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import Command
from liftgate.pipeline.naming import Named

KEY_BYTES = 16
LIFE_MS = 400 * 86_400_000
"""From its making; then the person gets another key, and the rows under the old one are nobody's."""
_LIFE = b"%d" % LIFE_MS
"""As commands have it."""
KNOWN = 100_000
"""People whose keys a worker remembers, for when the store is away."""
FRESH_S = 600.0
"""For how long after it was last read."""


class PersonKeys:
    """What one worker knows of people's keys, and pseudonyms made with them. One event loop."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        hashed: Callable[[str], bytes],
        random: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = monotonic,
        units: Mapping[str, Pseudonyms] | None = None,
    ) -> None:
        """`hashed` gives what tombstones call an id; `units` has what makes pseudonyms of each kind of unit."""
        self.key_id = pseudonyms.key_id
        self._pseudonyms = pseudonyms
        self.hashed = hashed
        self._random = random
        self._clock = clock
        self._units = units or {}
        self._known: dict[str, tuple[bytes, float]] = {}
        self._older: dict[str, tuple[bytes, float]] = {}
        self._turned = clock()

    def pseudonym(self, person_id: str, key: bytes | None) -> tuple[bytes, bool]:
        """Return 16 bytes, and whether they are for once alone: the person has no key, or the store is away and it is not remembered."""
        own = self._own(person_id, key)
        return (self._random(16), True) if own is None else (self._pseudonyms.under(own, person_id), False)

    def pseudonyms(self, people: Sequence[str], keys: Sequence[bytes | None]) -> tuple[list[bytes], list[int]]:
        """Return what stands for people, as `pseudonym` would, and the rows of those for whom it does so for once alone."""
        if None not in keys:
            # As mostly: no key is None, which the type cannot say.
            return self._pseudonyms.under_all(keys, people), []  # type: ignore[arg-type]  # no key is None
        made = list(map(self.pseudonym, people, keys))
        return [one for one, _ in made], [row for row, (_, once) in enumerate(made) if once]

    def names(self, people: Sequence[str], keys: Sequence[bytes]) -> list[Named]:
        """Return what stands for people by their own keys, as `pseudonym` would."""
        return [_named((made, False, None, own)) for made, own in zip(self._pseudonyms.under_all(keys, people), keys, strict=True)]

    def unit(self, kind: str, unit_id: str, person_id: str, key: bytes | None) -> bytes:
        """Return 16 bytes for a person's account, session or visitor; another one with each person, and for once where theirs is.

        Erasing the person unlinks it with them. Were it the same with everybody, the rows of others would lead to theirs for ever.
        """
        own = self._own(person_id, key)
        return self._random(16) if own is None else self._units[kind].under(own, unit_id)

    @property
    def names_units(self) -> bool:
        """Say whether `unit` can be asked."""
        return bool(self._units)

    def _own(self, person_id: str, key: bytes | None) -> bytes | None:
        """Return the key to go by; None: none is known."""
        if key is not None:
            return key
        known = self._known.get(person_id) or self._older.get(person_id)
        return None if known is None or self._clock() - known[1] > FRESH_S else known[0]

    def once(self) -> bytes:
        """Return a pseudonym that stands for nobody."""
        return self._random(16)

    @property
    def known(self) -> Container[str]:
        """Whose keys were seen here lately."""
        return self._known

    def learn(self, person_id: str, key: bytes | None) -> None:
        """Remember what the store said of a person."""
        self._turn(self._clock())
        if key is None:
            self._known.pop(person_id, None)
            self._older.pop(person_id, None)
            return
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[person_id] = (key, self._clock())

    def learn_all(self, people: Sequence[Whose], keys: Sequence[bytes | None]) -> None:
        """Remember a batch's."""
        now = self._clock()
        self._turn(now)
        known = self._known
        if len(known) + len(people) > KNOWN:
            known.clear()
        if None not in keys:
            # As mostly: no key is None, which the type cannot say.
            known.update(zip(map(_id_of, people), zip(keys, repeat(now)), strict=True))  # type: ignore[arg-type]
            return
        for person, key in zip(people, keys, strict=True):
            if key is None:
                known.pop(person.person_id, None)
                self._older.pop(person.person_id, None)
            else:
                known[person.person_id] = (key, now)

    def _turn(self, now: float) -> None:
        """Forget what is not fresh any more: a key that was destroyed does not live on in a worker that was not asked about its person."""
        if now - self._turned > FRESH_S:
            self._older, self._known, self._turned = self._known, {}, now

    def fresh(self, count: int) -> bytes:
        """Return so many fresh keys, one after the other: one call for a whole batch."""
        return self._random(KEY_BYTES * count)

    def claim(self, person_id: str) -> tuple[bytes, Command]:
        """Return a fresh key, and the command that makes it the person's unless they have one, and answers with that."""
        key = self._random(KEY_BYTES)
        return key, ("SET", redis_keys.person_key(person_id), key, "NX", "GET", "PX", LIFE_MS)

    def tombstone(self, person_id: str) -> bytes:
        """Return the key of the person's tombstone."""
        return redis_keys.tombstone(self.hashed(person_id))


_named = partial(tuple.__new__, Named)
"""Makes a `Named` of its parts, without a call of Python's."""


class Whose(Protocol):
    """Whose key is asked for: as much of a `PersonKey` as that takes."""

    @property
    def person_id(self) -> str:
        """Their id."""
        ...

    @property
    def keyed(self) -> bool:
        """They are given a key where they have none."""
        ...


def valid(value: Any) -> bytes | None:
    """Return a stored key; None: there is none, or it is none."""
    return value if isinstance(value, bytes) and len(value) == KEY_BYTES else None


_id_of = attrgetter("person_id")
_KEY, _SIZES = f"{KEY_BYTES}s", frozenset({KEY_BYTES})


class Asking:
    """The keys of one batch on one server: what to send along with its fetch, and what came of it. `cluster_person_keys.py` has others.

    Who is new to this worker is given a key unless they have one, and is then asked about like everyone, in the same round trip.
    """

    __slots__ = ("_new", "_people", "_ring", "commands", "erased", "keys")

    def __init__(self, ring: PersonKeys, people: Sequence[Whose], apart: bool = True) -> None:
        """`apart`: by `commands`; else by `claims`, and whatever else reads everybody's key and `tombstones` after them."""
        self._ring, self._people = ring, people
        known = ring.known
        ids = list(map(_id_of, people))
        self._new = [] if all(map(known.__contains__, ids)) else [r for r, one in enumerate(ids) if one not in known and people[r].keyed]
        self.commands: list[Command] = self._ask(range(len(people)), self._new) if apart else []
        self.keys: list[bytes | None] = []
        self.erased: list[int] = []
        """Rows of people who were erased and did not come back."""

    def _ask(self, rows: Sequence[int], new: Sequence[int]) -> list[Command]:
        """Return what makes keys for the new, then reads everybody's, then looks for tombstones of the new: in this order."""
        people = self._people
        tag = redis_keys.tag
        names = [tag(people[row].person_id) + b"k" for row in rows]
        return [*self._claims(new), ("MGET", *names, *self._tombstones(new))]

    def claims(self) -> list[Command]:
        """Return what makes keys for the new."""
        return self._claims(self._new)

    def tombstones(self) -> list[bytes]:
        """Return the keys of tombstones of the new."""
        return self._tombstones(self._new)

    def _claims(self, new: Sequence[int]) -> list[Command]:
        if not new:
            return []
        fresh = iter_unpack(_KEY, self._ring.fresh(len(new)))
        tags = map(redis_keys.tag, map(_id_of, map(self._people.__getitem__, new)))
        return [("SET", tag + b"k", key, b"NX", b"PX", _LIFE) for tag, (key,) in zip(tags, fresh, strict=True)]

    def _tombstones(self, new: Sequence[int]) -> list[bytes]:
        return redis_keys.tombstones(map(self._ring.hashed, map(_id_of, map(self._people.__getitem__, new))))

    def take(self, replies: Sequence[Any]) -> None:
        """Take the replies to `commands`, and leave in that what is still to be sent."""
        self.keys = [None] * len(self._people)
        self.commands = self._answered(range(len(self._people)), self._new, replies)

    def _answered(self, rows: Sequence[int], new: Sequence[int], replies: Sequence[Any]) -> list[Command]:
        """Put keys in place; return what takes back those of people who were erased."""
        keys = self.keys
        values = replies[len(new)]
        for row, value in zip(rows, values, strict=False):
            keys[row] = value if type(value) is bytes and len(value) == KEY_BYTES else None
        return self._buried(new, replies, values[len(rows) :])

    def answered(self, keys: Sequence[Any], made: Sequence[Any], tombstones: Sequence[Any]) -> None:
        """Take the replies where they were not asked for by `commands`: to reading keys, to `claims`, and to reading `tombstones`."""
        sound = None not in keys and _SIZES.issuperset(map(len, keys))
        self.keys = list(keys) if sound else list(map(valid, keys))
        if made:
            self.commands = self._buried(self._new, made, tombstones)

    def _buried(self, new: Sequence[int], replies: Sequence[Any], tombstones: Sequence[Any]) -> list[Command]:
        """Take the keys of those among the new who were erased; return what takes back what was made."""
        keys = self.keys
        gone: list[Command] = []
        if tombstones.count(None) == len(tombstones):
            return gone
        for made, row, tombstone in zip(replies, new, tombstones, strict=False):
            if tombstone is not None:
                # Also where it cannot be told: then they have none.
                if made is not None:
                    gone.append(("UNLINK", redis_keys.person_key(self._people[row].person_id)))
                keys[row] = None
                self.erased.append(row)
        return gone

    async def settled(self, call: Callable[[Sequence[Command]], Awaitable[list[Any]]]) -> list[bytes | None]:
        """Return [N] the keys. Who was met before and has none now, being erased or forgotten since, gets one first: that is rare."""
        people, new = self._people, set(self._new)
        lost = [row for row, key in enumerate(self.keys) if key is None and row not in new and people[row].keyed]
        if lost:
            self.commands += self._answered(lost, lost, await call(self._ask(lost, lost)))
        if self.commands:
            await call(self.commands)
        self._ring.learn_all(people, self.keys)
        return self.keys

    def at_once(self) -> bool:
        """Say whether everybody has a key and nothing is to be sent, as mostly; then `keys` is what `settled` would give."""
        if self.commands or None in self.keys:
            return False
        self._ring.learn_all(self._people, self.keys)
        return True
