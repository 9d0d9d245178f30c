"""Loading a file of people: read whole and checked first, written after, so that a damaged file replaces nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from liftgate.adapters.profile_file import Kind, PeopleFile, Reject
from liftgate.adapters.profile_rows import Converted, RowConverter
from liftgate.adapters.redis_profile_writer import RedisProfileWriter, StoredPerson
from liftgate.domain.errors import BadInput

Progress = Callable[[str, float], None]
"""Told the step's name and the share of it that is done."""


@dataclass(slots=True)
class Loaded:
    """What became of a file. `rows` is `stored`, `rejected` and `erased` together."""

    rows: int = 0
    stored: int = 0
    rejected: int = 0
    erased: int = 0
    """Left out: of people who were erased and did not come back."""
    kinds: Counter[Kind] = field(default_factory=Counter)
    """Reasons against rejected rows, by kind; a row may have several."""


async def load_people(
    file: PeopleFile,
    converter: RowConverter,
    writer: RedisProfileWriter,
    reject: Callable[[Reject], None],
    progress: Progress,
    all_or_nothing: bool = False,
    erased: Callable[[Sequence[str]], Awaitable[Container[str]]] | None = None,
) -> Loaded:
    """Check every row, then store every good one; of an id that comes again only the first row is stored.

    `erased` says which of some people were erased: they are left out, which is no reject. None: nobody was.
    Memory is bounded but for eight bytes a row. With `all_or_nothing` a single bad row means that nothing is stored. Raises BadInput when
    the file cannot be read to its end or has no rows (nothing is stored), StoreUnavailable (some may be stored).
    """
    loaded = Loaded()

    def count(rejects: list[Reject]) -> None:
        loaded.rejected += len({one.line for one in rejects})
        for one in rejects:
            loaded.kinds[one.kind] += 1
            reject(one)

    async def write(people: Sequence[StoredPerson]) -> None:
        gone: Container[str] = await erased([person.person_id for person in people]) if erased is not None else ()
        kept = [person for person in people if person.person_id not in gone]
        if kept:
            await writer.store(kept)
        loaded.stored += len(kept)
        loaded.erased += len(people) - len(kept)

    hashes: list[np.ndarray] = []
    good = 0
    for converted in _chunks(file, converter, "checking", progress):
        count(converted.rejects)
        good += len(converted.people)
        hashes.append(np.fromiter((hash(person.person_id) for person in converted.people), dtype=np.int64, count=len(converted.people)))
    loaded.rows = good + loaded.rejected
    if not loaded.rows:
        raise BadInput(f"{file.path}: holds no rows")
    repeated = _repeated(np.concatenate(hashes))
    if all_or_nothing and (loaded.rejected or repeated):
        count(_again(file, converter, repeated))
        return loaded

    seen: set[str] = set()
    writing: asyncio.Task[None] | None = None
    for converted in _chunks(file, converter, "storing", progress):
        count(_drop_repeated(converted, repeated, seen))
        # One chunk is written while the next is read.
        if writing is not None:
            await writing
        writing = asyncio.ensure_future(write(converted.people))
        await asyncio.sleep(0)
    if writing is not None:
        await writing
    return loaded


def _chunks(file: PeopleFile, converter: RowConverter, step: str, progress: Progress) -> Iterator[Converted]:
    for chunk in file.chunks():
        yield converter.convert(chunk)
        progress(step, chunk.done)


def _repeated(hashes: np.ndarray) -> frozenset[int]:
    """Return the hashes that come more than once."""
    values, counts = np.unique(hashes, return_counts=True)
    return frozenset(values[counts > 1].tolist())


def _drop_repeated(converted: Converted, repeated: frozenset[int], seen: set[str]) -> list[Reject]:
    """Take out people who were there before, and return a reject for each."""
    if not repeated:
        return []
    rejects: list[Reject] = []
    keep: list[int] = []
    for i, person in enumerate(converted.people):
        if hash(person.person_id) in repeated:
            if person.person_id in seen:
                rejects.append(Reject(converted.lines[i], "", Kind.DUPLICATE_ID, "each person once; the first row stands"))
                continue
            seen.add(person.person_id)
        keep.append(i)
    converted.people = [converted.people[i] for i in keep]
    return rejects


def _again(file: PeopleFile, converter: RowConverter, repeated: frozenset[int]) -> list[Reject]:
    """Return a reject for every repeated row, without storing anything."""
    seen: set[str] = set()
    return [one for chunk in file.chunks() for one in _drop_repeated(converter.convert(chunk), repeated, seen)] if repeated else []
