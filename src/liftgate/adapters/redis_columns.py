"""What everybody of a batch has alike, read by one MGET: keys column by column, and total counters behind them. One server only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import add, attrgetter
from typing import Any

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import Command
from liftgate.domain.input import InputSchema
from liftgate.domain.profile import unpack
from liftgate.pipeline.ports import Fetched, PersonKey

_id_of, _ghost_of, _both_of = attrgetter("person_id"), attrgetter("ghost"), attrgetter("both")
_kind_of = attrgetter("certain", "account_id", "lists", "verdicts", "features")
_PROFILE, _CONSENT, _KEY, _REAL = repeat(b"p"), repeat(b"c"), repeat(b"k"), repeat(False)
_HISTORY = (b"h", b"g")
"""By whether it is a ghost's."""


class Columns:
    """The keys of one fetch, and where their values belong."""

    __slots__ = ("_both", "_kind", "_more", "_totals", "keys", "there")

    def __init__(self, people: Sequence[PersonKey], totals: Sequence[bytes], keyed: bool, kind: tuple[bool, bool, bool]) -> None:
        """`keyed`: people's own keys are read too, as the fourth column; `kind`: whether their lists, verdicts and events are."""
        tags = list(map(redis_keys.tag, map(_id_of, people)))
        histories = map(add, tags, map(_HISTORY.__getitem__, map(_ghost_of, people)))
        keys = self.keys = [*map(add, tags, _PROFILE), *map(add, tags, _CONSENT), *histories]
        if keyed:
            keys += map(add, tags, _KEY)
        self.there: list[Command] = []
        """What asks how many lists there are: MGET says nothing of keys of other types."""
        both = any(map(_both_of, people))
        self._more = both or bool(totals) or True in kind
        if self._more:
            self._kind, self._totals = kind, len(totals)
            lists, verdicts, features = kind
            if lists:
                listed = list(map(add, tags, repeat(b"s")))
                keys += listed
                self.there.append(("EXISTS", *listed))
            if verdicts:
                keys += map(add, tags, repeat(b"v"))
            if features:
                keys += map(add, tags, repeat(b"w"))
            # Of whom both histories are read: the real ones.
            self._both = [row for row, one in enumerate(people) if one.both] if both else []
            keys += [tags[row] + b"h" for row in self._both]
            keys += map(redis_keys.total, totals, _REAL)

    def put(self, schema: InputSchema, count: int, values: Sequence[Any], there: Sequence[int]) -> Fetched:
        """Return what was fetched for so many people from the values of `keys` and the reply to `there`."""
        fetched = Fetched(unpack(schema, values[:count]), values[count : 2 * count], values[2 * count : 3 * count])
        if self._more:
            # From the end, where columns are of any length.
            lists, verdicts, features = self._kind
            end = len(values) - self._totals
            fetched.totals = values[end:]
            if self._both:
                fetched.real_history = dict(zip(self._both, values[end - len(self._both) : end], strict=True))
                end -= len(self._both)
            if features:
                fetched.features = dict(enumerate(values[end - count : end]))
                end -= count
            if verdicts:
                fetched.verdicts = dict(enumerate(values[end - count : end]))
                end -= count
            if lists:
                fetched.lists = dict(enumerate(certain(values[end - count : end], there)))
        return fetched


def columns(people: Sequence[PersonKey], totals: Sequence[bytes], keyed: bool) -> Columns | None:
    """Return the keys to read; None: not everybody's are alike, or some have more."""
    kinds = set(map(_kind_of, people))
    if len(kinds) > 1:
        return None
    ((sure, account_id, *kind),) = kinds
    return None if sure or account_id else Columns(people, totals, keyed, (kind[0], kind[1], kind[2]))


def certain(documents: Sequence[bytes | None], there: Sequence[int]) -> Sequence[bytes | None]:
    """Return the documents; where more keys are there than were read, those that were not are unreadable and not missing."""
    if not there or sum(there) == len(documents) - documents.count(None):
        return documents
    return [b"" if document is None else document for document in documents]
