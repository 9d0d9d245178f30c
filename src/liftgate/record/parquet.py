"""Sealed segments as Parquet, and one way to read a whole log. Needs pyarrow: only offline readers import it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from liftgate.record.columnar import EVENT_OWNER, ROW_ID, absent, record_batch, schema
from liftgate.record.frame import Damage, Damaged, SegmentReader, Stream
from liftgate.record.segment import OPEN, SEALED

PARQUET = ".parquet"
OnDamage = Callable[[Path, Damage], None]
"""Told of a segment and where it could not be read further."""
ROW_GROUP_ROWS = 8192
_METADATA = b"liftgate.segment"
_IDENTITY = (ROW_ID[Stream.EVENT], *EVENT_OWNER, "received_at_ms")


class Busy(OSError):
    """Another process seals this segment."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment's Parquet file."""

    path: Path
    records: int
    damage: Damage | None
    """Where the segment could not be read further; None: it is all there."""


def seal_to_parquet(segment: Path, progress: Callable[[int], None] | None = None) -> Sealed:
    """Write a `.seg` file's records beside it as Parquet (zstd), durably; the segment stays. Repeatable.

    Memory is bounded by one row group of 8,192 records. `progress` is told the bytes read so far. Raises Damaged when
    the header is not readable, Busy, OSError, and ValueError when a payload is no record.
    """
    target = segment.with_suffix(PARQUET)
    part = target.with_name(target.name + ".part")
    with segment.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{segment.name} is being sealed by another process") from None
        reader = SegmentReader(file)
        header = reader.header
        about = {
            _METADATA: segment.name.encode(),
            b"liftgate.writer_id": header.writer_id.hex().encode(),
            b"liftgate.boot_id": header.boot_id.hex().encode(),
            b"liftgate.first_sequence": str(header.first_sequence).encode(),
            b"liftgate.created_at_ms": str(header.created_at_ms).encode(),
        }
        options: dict[str, Any] = {
            "compression": "zstd",
            "write_page_checksum": True,
            "write_statistics": ["sequence", "decided_at_ms", "occurred_at_ms"],
        }
        with part.open("wb") as sink:
            with pq.ParquetWriter(sink, schema(header.stream).with_metadata(about), **options) as writer:
                frames = iter(reader)
                while group := list(islice(frames, ROW_GROUP_ROWS)):
                    writer.write_batch(record_batch(header, group))
                    if progress is not None:
                        progress(reader.end)
            sink.flush()
            os.fsync(sink.fileno())
        os.rename(part, target)
        _sync_directory(target.parent)
        return Sealed(target, reader.next_sequence - header.first_sequence, reader.damage)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_parquet(path: Path) -> Any:
    """Return a `pyarrow.parquet.ParquetFile` that checks every page's checksum; damage raises OSError or pa.ArrowException."""
    return pq.ParquetFile(path, page_checksum_verification=True)


def check_parquet(path: Path) -> int:
    """Read a Parquet file to its end, page checksums included, and return its rows. Raises OSError or pa.ArrowException."""
    with open_parquet(path) as file:
        return sum(batch.num_rows for batch in file.iter_batches(ROW_GROUP_ROWS))


def read_batches(
    directory: Path, stream: str = "decision", columns: list[str] | None = None, on_damage: OnDamage | None = None
) -> Iterator[Any]:
    """Yield the log of a directory as `pyarrow.RecordBatch`es, oldest files first; every decision once by its id, every event by its
    person and its id, as it was received first. An event that is nobody's in particular (the store with people's keys was away when it
    was told) is left out where it was told again and is somebody's.

    Reads Parquet where there is some, segments otherwise, and open segments (of live writers too) as far as they are
    whole. `columns` reads only these; None: all. Damaged Parquet raises OSError; damage ends a segment, and `on_damage` is told of it
    (`liftgate log verify` tells more). Memory: one row group and the ids seen.
    """
    kind = Stream[stream.upper()]
    if kind is Stream.EVENT:
        yield from _events_once(directory, columns, on_damage)
        return
    row_id = ROW_ID[kind]
    names = None if columns is None else list(dict.fromkeys((*columns, row_id)))
    seen: set[str] = set()
    for batch in _batches(directory, kind, names, on_damage):
        fresh: list[bool] = []
        for one in batch.column(row_id).to_pylist():
            fresh.append(one not in seen)
            seen.add(one)
        yield from _picked(batch, fresh, columns)


def _events_once(directory: Path, columns: list[str] | None, on_damage: OnDamage | None) -> Iterator[Any]:
    """Yield each event's row that was received first. Which one that is, only a first pass over the ids knows."""
    names = None if columns is None else list(dict.fromkeys((*columns, *_IDENTITY)))
    first: dict[tuple[bytes | None, str], float] = {}
    for batch in _batches(directory, Stream.EVENT, list(_IDENTITY)):
        for event, received in _identities(batch):
            if received < first.get(event, inf):
                first[event] = received
    somebodys = {event_id for owner, event_id in first if owner is not None}
    for batch in _batches(directory, Stream.EVENT, names, on_damage):
        wanted: list[bool] = []
        for event, received in _identities(batch):
            # What was written since the first pass is not known yet. Once given, no row of the event is wanted any more.
            given = received > first.get(event, inf) or (event[0] is None and event[1] in somebodys)
            wanted.append(not given)
            if not given:
                first[event] = -inf
        yield from _picked(batch, wanted, columns)


def _identities(batch: Any) -> Iterator[tuple[tuple[bytes | None, str], float]]:
    """Yield what tells each event from others, whose it is (None: nobody's in particular) and its id; and when it was received."""
    ids, people, keys, received = (batch.column(name).to_pylist() for name in _IDENTITY)
    for event_id, person, key, at in zip(ids, people, keys, received, strict=True):
        yield (None if key == "" else person, event_id), at or 0


def _picked(batch: Any, rows: list[bool], columns: list[str] | None) -> Iterator[Any]:
    if any(rows):
        batch = batch if all(rows) else batch.filter(pa.array(rows))
        yield batch if columns is None else batch.select(columns)


def read_log(directory: Path, stream: str = "decision") -> Iterator[dict[str, Any]]:
    """Yield the rows of a log as dicts, every decision and every event once; see `read_batches`."""
    for batch in read_batches(directory, stream):
        yield from batch.to_pylist()


def read_table(directory: Path, stream: str = "decision", columns: list[str] | None = None) -> Any:
    """Return the log as one `pyarrow.Table`, every id once; see `read_batches`."""
    batches = list(read_batches(directory, stream, columns))
    wanted = schema(Stream[stream.upper()])
    if columns is not None:
        wanted = pa.schema([wanted.field(name) for name in columns])
    return pa.Table.from_batches(batches, schema=wanted).unify_dictionaries()


def _batches(directory: Path, stream: Stream, names: list[str] | None, on_damage: OnDamage | None = None) -> Iterator[Any]:
    wanted = schema(stream)
    if names is not None:
        wanted = pa.schema([wanted.field(name) for name in names])
    for stem in stems(directory, stream):
        for batch in stem_batches(directory, stem, names, on_damage):
            yield _shaped(batch, wanted)


def _shaped(batch: Any, wanted: Any) -> Any:
    """Return a batch with the wanted columns, those that its file has not included."""
    if batch.schema.equals(wanted):
        return batch
    there = set(batch.schema.names)
    columns = [
        batch.column(field.name).cast(field.type) if field.name in there else absent(field, batch.num_rows).cast(field.type)
        for field in wanted
    ]
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def stems(directory: Path, stream: Stream) -> list[str]:
    """Return the names of a stream's segments without their suffixes, oldest first, in whichever states they are."""
    found = {path.name.removesuffix(path.suffix) for path in directory.iterdir() if path.suffix in (PARQUET, SEALED, OPEN)}
    return sorted(stem for stem in found if stem.startswith(f"{stream.label}-"))


def stem_batches(directory: Path, stem: str, names: list[str] | None, on_damage: OnDamage | None = None) -> Iterator[Any]:
    """Yield the best that there is of one segment, repeated ids included. It may be sealed or shipped while we look: then look again."""
    for suffix in (PARQUET, SEALED, OPEN) * 3:
        path = directory / f"{stem}{suffix}"
        try:
            if suffix == PARQUET:
                with open_parquet(path) as file:
                    yield from file.iter_batches(ROW_GROUP_ROWS, columns=names)
                return
            with path.open("rb") as source:
                try:
                    reader = SegmentReader(source)
                except Damaged:
                    if on_damage is not None and suffix == SEALED:
                        on_damage(path, Damage(0, path.stat().st_size, "header"))
                    return
                frames = iter(reader)
                while group := list(islice(frames, ROW_GROUP_ROWS)):
                    yield record_batch(reader.header, group, names)
                # What is cut at the end of an open segment is still being written.
                if on_damage is not None and reader.damage is not None and (suffix == SEALED or reader.damage.cause == "checksum"):
                    on_damage(path, reader.damage)
                return
        except FileNotFoundError:
            continue
