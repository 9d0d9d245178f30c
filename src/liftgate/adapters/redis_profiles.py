"""Features, consent and contact history of people in Redis or Valkey: `pipeline.ports.ProfileStore`. `redis_profile_writer.py` writes them.

Two layouts of our own. `packed`: one fixed-width value a person (`domain/profile.py`), read by one MGET for a whole batch. `hash`: a plain
HASH of text fields that any pipeline can write, named like the features without `profile.`; `<name>@`, or `_at` for all, says when a
value was true, in seconds since the epoch. Or features are read from a Feast online store (`feast_layout.py`), there or on a server of
its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import copy
from typing import Any, Literal

import hiredis
import numpy as np

from liftgate.adapters import redis_keys
from liftgate.adapters.away import mark_away
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.cluster_person_keys import ClusterAsking
from liftgate.adapters.feast_layout import FeastCodec
from liftgate.adapters.feast_map import FeastMap
from liftgate.adapters.person_keys import Asking, PersonKeys
from liftgate.adapters.redis_client import DEFAULT_BUDGET_MS, Calling, Command, RedisClient, allowance_s, check, code, guarded
from liftgate.adapters.redis_columns import Columns, certain, columns
from liftgate.adapters.redis_hash import HashCodec
from liftgate.adapters.redis_parts import Parts, by_key
from liftgate.adapters.redis_shared import Shared
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.input import InputSchema
from liftgate.domain.profile import ProfileState, unpack
from liftgate.pipeline.ports import Fetched, PersonKey

Layout = Literal["packed", "hash"]


class RedisProfiles:
    """Profiles in Redis. `budget_ms` bounds a fetch, connecting included."""

    def __init__(
        self,
        client: RedisClient,
        layout: Layout = "packed",
        breaker: Breaker | None = None,
        budget_ms: float = DEFAULT_BUDGET_MS,
        feast: FeastMap | None = None,
        feast_client: RedisClient | None = None,
        keys: PersonKeys | None = None,
    ) -> None:
        """`feast`: features lie in its online store, whatever `layout` says; on the server of `feast_client`, None: on that of `client`.

        `keys`: read people's keys too, and give one to whoever has none.
        """
        if layout not in ("packed", "hash"):
            raise ValueError("a profile layout is packed or hash")
        self._client: Calling = client
        self._clustered = client.clustered
        self._asking = ClusterAsking if client.clustered else Asking
        self._parted = Parts.of(client) is not None or Parts.of(feast_client) is not None
        self._packed = layout == "packed" and feast is None
        self._breaker = breaker or Breaker()
        self._budget_s = budget_ms / 1000
        self._codec: HashCodec | None = None
        self._feast = feast
        self._aside: Calling | None = feast_client
        self._aside_breaker = Breaker()
        self._keys = keys

    async def fetch(
        self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float | None = None, totals: Sequence[bytes] = ()
    ) -> Fetched:
        """See `pipeline.ports.ProfileStore`."""
        if not people:
            return Fetched(unpack(schema, []), [], [])
        fetched_by = self._fetch_packed if self._packed else self._fetch_hash
        allowed_s = allowance_s(self._budget_s, len(people))
        budget_s = allowed_s if budget_s is None else min(budget_s, allowed_s)
        if self._parted:
            return await self._fetch_in_parts(people, schema, budget_s, totals)
        alike = columns(people, totals, self._keys is not None) if self._packed and not self._clustered else None
        if alike is not None:
            return await self._fetch_alike(people, alike, schema, budget_s)
        shared = Shared(people, totals)
        asking = None if self._keys is None else self._asking(self._keys, people)
        fetched, values = await fetched_by(people, schema, budget_s, shared.commands, asking)
        if asking is not None:
            fetched.keys = asking.keys if asking.at_once() else await asking.settled(lambda commands: self._call(commands, budget_s))
            for row in asking.erased:
                _forget(fetched, row)
        return shared.put(fetched, values)

    async def _fetch_alike(self, people: Sequence[PersonKey], alike: Columns, schema: InputSchema, budget_s: float) -> Fetched:
        """Fetch what everyone has alike, as mostly: by one MGET, people's keys, tombstones of the new and total counters included."""
        hurried, end, n = budget_s < self._budget_s, len(alike.keys), len(people)
        commands: list[Command] = [("MGET", *alike.keys), *alike.there]
        asking, made = None, 0
        if self._keys is not None:
            asking = Asking(self._keys, people, apart=False)
            before, tombstones = asking.claims(), asking.tombstones()
            if before:
                made = len(before)
                commands = [*before, ("MGET", *alike.keys, *tombstones), *alike.there]
        replies = await guarded(self._client, self._breaker, commands, budget_s, hurried)
        check(replies[made:])
        values = replies[made]
        fetched = alike.put(schema, n, values[:end], replies[made + 1 :])
        if asking is not None:
            asking.answered(values[3 * n : 4 * n], replies[:made], values[end:])
            fetched.keys = asking.keys if asking.at_once() else await asking.settled(lambda more: self._call(more, budget_s))
            for row in asking.erased:
                _forget(fetched, row)
        return fetched

    async def _fetch_in_parts(self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float, totals: Sequence[bytes]) -> Fetched:
        """Fetch from a Cluster: whose server is away is `Fetched.away`, and nobody else."""
        view, hurried = copy(self), budget_s < self._budget_s
        view._parted = False
        ours, theirs = Parts.of(self._client, hurried), Parts.of(self._aside, hurried)
        view._client, view._aside = ours or self._client, theirs or self._aside
        fetched = await view.fetch(people, schema, budget_s, totals)
        self._codec = view._codec
        away: set[int] = set()
        for parts in (ours, theirs):
            if parts is not None and parts.unanswered:
                others = {} if self._feast is None else by_key([self._feast.codec(schema).read(person.person_id) for person in people])
                if self._keys is not None:
                    # Where a tombstone lies matters for whoever has no key.
                    others |= by_key([("GET", self._keys.tombstone(person.person_id)) for person in people], fetched.keys)
                away |= parts.rows(people, others)
        return mark_away(fetched, away)

    async def _read(self, commands: list[Command], budget_s: float | None, asking: Asking | None) -> list[Any]:
        """Send commands, and with them those that ask for people's keys; return the replies to the first."""
        if asking is None:
            return await self._call(commands, budget_s)
        replies = await self._call(commands + asking.commands, budget_s)
        asking.take(replies[len(commands) :])
        return replies[: len(commands)]

    async def _call(
        self, commands: Sequence[Command], budget_s: float | None, client: Calling | None = None, breaker: Breaker | None = None
    ) -> list[Any]:
        limit_s = self._budget_s if budget_s is None else budget_s
        return await guarded(client or self._client, breaker or self._breaker, commands, limit_s, hurried=limit_s < self._budget_s)

    async def _fetch_packed(
        self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float | None, shared: list[Command], asking: Asking | None
    ) -> tuple[Fetched, list[bytes | None]]:
        keys: list[bytes] = []
        for person in people:
            tag = redis_keys.tag(person.person_id)
            keys += (tag + b"p", tag + b"c", tag + (b"g" if person.ghost else b"h"))
        # Keys beyond the three of everyone come last.
        both = [row for row, person in enumerate(people) if person.both]
        listed = [row for row, person in enumerate(people) if person.lists]
        more = [redis_keys.history(people[row].person_id, False) for row in both]
        more += [redis_keys.lists(people[row].person_id) for row in listed]
        judged = [row for row, person in enumerate(people) if person.verdicts]
        more += [redis_keys.verdicts(people[row].person_id) for row in judged]
        followed = [row for row, person in enumerate(people) if person.features]
        more += [redis_keys.windows(people[row].person_id) for row in followed]
        if self._clustered:
            commands: list[Command] = [("MGET", *keys[i : i + 3]) for i in range(0, len(keys), 3)]
            commands += [("MGET", key) for key in more]
        else:
            commands = [("MGET", *keys, *more)]
        reads = len(commands)
        commands += self._there(people)
        asked = len(commands)
        commands += self._exist([redis_keys.lists(people[row].person_id) for row in listed])
        replies = await self._read(commands + shared, budget_s, asking)
        check(replies)
        of_others: list[bytes | None] = replies.pop() if shared else []
        values = replies[0] if reads == 1 else [value for reply in replies[:reads] for value in reply]
        everyone = len(keys)
        real = dict(zip(both, values[everyone : everyone + len(both)], strict=True))
        last = everyone + len(both) + len(listed)
        lists = dict(zip(listed, certain(values[everyone + len(both) : last], replies[asked:]), strict=True))
        documents = certain(values[1:everyone:3], replies[reads:asked])
        fetched = Fetched(unpack(schema, values[0:everyone:3]), documents, values[2:everyone:3], real_history=real, lists=lists)
        fetched.verdicts = dict(zip(judged, values[last : last + len(judged)], strict=True))
        fetched.features = dict(zip(followed, values[last + len(judged) :], strict=True))
        return fetched, of_others

    def _reader(self, schema: InputSchema) -> HashCodec | FeastCodec:
        """Return what reads and decodes a person's features."""
        if self._feast is not None:
            return self._feast.codec(schema)
        codec = self._codec
        if codec is None or codec.schema is not schema:
            codec = self._codec = HashCodec(schema)
        return codec

    async def _beside(
        self, hashes: list[Command], others: list[Command], budget_s: float | None, asking: Asking | None
    ) -> tuple[list[Any], list[Any]]:
        """Return the replies of both: one round trip, or two at the same time where features lie on another server."""
        if self._aside is None:
            replies = await self._read(hashes + others, budget_s, asking)
            return replies[: len(hashes)], replies[len(hashes) :]
        theirs = self._call(hashes, budget_s, self._aside, self._aside_breaker)
        answers: list[Any] = await asyncio.gather(theirs, self._read(others, budget_s, asking), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers[0], answers[1]

    def _there(self, people: Sequence[PersonKey]) -> list[Command]:
        """Return what asks how many consent keys there are, where someone wants to be certain: MGET says nothing of keys of other types."""
        if not any(person.certain for person in people):
            return []
        return self._exist([redis_keys.consent(person.person_id) for person in people])

    def _exist(self, keys: Sequence[bytes]) -> list[Command]:
        """Return what asks how many of the keys there are."""
        if not keys:
            return []
        return [("EXISTS", key) for key in keys] if self._clustered else [("EXISTS", *keys)]

    async def _fetch_hash(
        self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float | None, shared: list[Command], asking: Asking | None
    ) -> tuple[Fetched, list[bytes | None]]:
        codec = self._reader(schema)
        commands: list[Command] = []
        for person in people:
            tag = redis_keys.tag(person.person_id)
            names = (tag + b"c", tag + (b"g" if person.ghost else b"h"))
            more = [*([tag + b"h"] if person.both else []), *([tag + b"v"] if person.verdicts else [])]
            more += [tag + b"w"] if person.features else []
            commands.append(("MGET", *names, *more, *([tag + b"s"] if person.lists else [])))
        reads = len(commands)
        listed = [row for row, person in enumerate(people) if person.lists]
        commands += self._there(people)
        asked = len(commands)
        commands += self._exist([redis_keys.lists(people[row].person_id) for row in listed])
        hashes, replies = await self._beside([codec.read(person.person_id) for person in people], commands + shared, budget_s, asking)
        check(replies[-1:] if shared else ())
        of_others: list[bytes | None] = replies.pop() if shared else []
        rest = replies[:reads]
        check(rest)
        check(replies[reads:])
        profiles = codec.decode([_hash_or_none(reply) for reply in hashes])
        real = {row: rest[row][2] for row, person in enumerate(people) if person.both}
        documents = certain([values[0] for values in rest], replies[reads:asked])
        lists = dict(zip(listed, certain([rest[row][-1] for row in listed], replies[asked:]), strict=True))
        fetched = Fetched(profiles, documents, [values[1] for values in rest], real_history=real, lists=lists)
        fetched.verdicts = {row: rest[row][2 + person.both] for row, person in enumerate(people) if person.verdicts}
        fetched.features = {row: rest[row][2 + person.both + person.verdicts] for row, person in enumerate(people) if person.features}
        return fetched, of_others


def _forget(fetched: Fetched, row: int) -> None:
    """Leave out what is stored of somebody erased: a load that did not hear of it brings nobody back. Lists and counters still hold."""
    profiles, consent = fetched.profiles, list(fetched.consent)
    profiles.value, profiles.at_s = profiles.value.copy(), profiles.at_s.copy()
    profiles.value[row] = profiles.at_s[row] = np.nan
    profiles.state[row] = ProfileState.MISSING
    consent[row] = None
    fetched.consent = consent
    fetched.features = {at: state for at, state in fetched.features.items() if at != row} | ({row: None} if row in fetched.features else {})
    fetched.verdicts = {at: said for at, said in fetched.verdicts.items() if at != row} | ({row: None} if row in fetched.verdicts else {})


def _hash_or_none(reply: Any) -> Any:
    """Return an HGETALL reply; None for a key of another type. Any other error is the store's."""
    if isinstance(reply, hiredis.ReplyError):
        if code(reply) != "WRONGTYPE":
            raise StoreUnavailable(f"redis: error reply {code(reply)}")
        return None
    return reply
