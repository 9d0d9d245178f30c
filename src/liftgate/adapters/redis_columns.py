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
_kind_of = attrgetter("certain", "account_id", "verdicts", "lists", "features")
_HISTORY = (b"h", b"g")
"""By whether it is a ghost's."""


class Columns:
    """The keys of one fetch, and where their values belong."""

    __slots__ = ("_both", "_features", "_keyed", "_lists", "_totals", "_verdicts", "keys", "there")

    def __init__(self, people: Sequence[PersonKey], totals: Sequence[bytes], keyed: bool, kind: tuple[bool, ...]) -> None:
        """`keyed`: people's own keys are read too; `kind`: whether their verdicts, lists and events are."""
        self._keyed, self._totals = keyed, len(totals)
        self._verdicts, self._lists, self._features = kind
        tags = list(map(redis_keys.tag, map(_id_of, people)))
        keys = self.keys = list(map(add, tags, repeat(b"p")))
        keys += map(add, tags, repeat(b"c"))
        keys += map(add, tags, map(_HISTORY.__getitem__, map(_ghost_of, people)))
        if keyed:
            keys += map(add, tags, repeat(b"k"))
        self.there: list[Command] = []
        """What asks how many lists there are: MGET says nothing of keys of other types."""
        if self._lists:
            listed = list(map(add, tags, repeat(b"s")))
            keys += listed
            self.there.append(("EXISTS", *listed))
        if self._verdicts:
            keys += map(add, tags, repeat(b"v"))
        if self._features:
            keys += map(add, tags, repeat(b"w"))
        # Of whom both histories are read: the real ones.
        self._both = [row for row, both in enumerate(map(_both_of, people)) if both] if any(map(_both_of, people)) else []
        keys += [tags[row] + b"h" for row in self._both]
        keys += [redis_keys.total(cap_id, False) for cap_id in totals]

    def put(self, schema: InputSchema, count: int, values: Sequence[Any], there: Sequence[int]) -> tuple[Fetched, Sequence[Any]]:
        """Return what was fetched for so many people from the values of `keys` and the reply to `there`, and people's own keys."""
        parts = [values[at : at + count] for at in range(0, len(values) - count + 1, count)]
        fetched = Fetched(unpack(schema, parts[0]), parts[1], parts[2])
        at = 3 + self._keyed
        if self._lists:
            fetched.lists = dict(enumerate(certain(parts[at], there)))
            at += 1
        if self._verdicts:
            fetched.verdicts = dict(enumerate(parts[at]))
            at += 1
        if self._features:
            fetched.features = dict(enumerate(parts[at]))
            at += 1
        if self._both:
            fetched.real_history = dict(zip(self._both, values[at * count : at * count + len(self._both)], strict=True))
        if self._totals:
            fetched.totals = values[at * count + len(self._both) :]
        return fetched, parts[3] if self._keyed else ()


def columns(people: Sequence[PersonKey], totals: Sequence[bytes], keyed: bool) -> Columns | None:
    """Return the keys to read; None: not everybody's are alike, or some have more."""
    kinds = set(map(_kind_of, people))
    if len(kinds) > 1:
        return None
    ((sure, account_id, *kind),) = kinds
    return None if sure or account_id else Columns(people, totals, keyed, tuple(kind))


def certain(documents: Sequence[bytes | None], there: Sequence[int]) -> Sequence[bytes | None]:
    """Return the documents; where more keys are there than were read, those that were not are unreadable and not missing."""
    if not there or sum(there) == sum(document is not None for document in documents):
        return documents
    return [b"" if document is None else document for document in documents]
