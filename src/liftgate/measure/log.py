"""A decision log and its events on an engine. Sealed segments (Parquet) are read where they lie; open ones are copied aside first."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from liftgate.measure import unit_table
from liftgate.measure.engine import MEMORY, Engine, connect
from liftgate.measure.refusal import Misused
from liftgate.record.columnar import schema
from liftgate.record.frame import Stream
from liftgate.record.parquet import PARQUET, stem_batches, stems

_WRITER = ("writer_id", "sequence")
_IDENTITY = ("event_id", "person_pseudonym", "pseudonym_key_id", "received_at_ms")
"""What tells one event from another, and which of its rows came first."""


@dataclass(frozen=True)
class Log:
    """What was decided and what happened, as Ibis tables with the columns of `record.proto`, `writer_id` and `sequence`.

    Rows may be there twice (another worker completed a decision, a client sent an event again): what sums over rows takes `once` of the
    decisions, or `events_once`.
    """

    backend: Engine
    name: str
    decisions: Any
    events: Any
    """No rows where the log has no events."""

    def once(self, rows: Any, row_id: str) -> Any:
        """Return one row for each id, the first that was written."""
        ids = rows.select(row_id)
        if self.count(ids.distinct()) == self.count(ids):
            return rows  # as in most logs; sorting them all would cost many times as much
        place = ibis.row_number().over(ibis.window(group_by=row_id, order_by=_WRITER))
        return rows.mutate(place=place).filter(lambda t: t.place == 0).drop("place")

    def events_once(self) -> Any:
        """Return one row for each event, the first that was received. An event id is its person's: another person's is another event.

        A row whose pseudonym is its own alone (it names no key, for the store that has people's keys was away) is nobody's in particular:
        of such rows an event id has one, and none where the same id was told again and is somebody's.
        """
        alone = self.events.pseudonym_key_id == ""
        rows = self.events.mutate(owner=ibis.ifelse(alone, ibis.null("binary"), self.events.person_pseudonym))
        ids = rows.select("owner", "event_id")
        if self.count(ids.distinct()) != self.count(ids):
            place = ibis.row_number().over(ibis.window(group_by=("owner", "event_id"), order_by=("received_at_ms", *_WRITER)))
            rows = rows.mutate(place=place).filter(lambda t: t.place == 0).drop("place")
        nobodys = rows.filter(rows.owner.isnull())
        if self.count(nobodys):
            somebodys = rows.filter(rows.owner.notnull())
            rows = somebodys.union(nobodys.anti_join(somebodys, "event_id"))
        return rows.drop("owner")

    def count(self, rows: Any) -> int:
        """Return the number of rows."""
        return int(self.fetch(rows.count().name("n").as_table())[0]["n"])

    def fetch(self, expression: Any) -> list[dict[str, Any]]:
        """Return the rows of a table expression as dicts: for small results."""
        found: list[dict[str, Any]] = self.backend.to_pyarrow(expression).to_pylist()
        return found


def open_log(
    directory: Path,
    events: Path | None,
    aside: Path,
    *,
    decision_columns: Sequence[str],
    event_columns: Sequence[str],
    memory: str = MEMORY,
) -> Log:
    """Open a log with these columns of it. `events`: where the event log is; None: in the same directory.

    `aside` is a directory of the caller's, for copies of segments that are not Parquet yet; the log itself is only read. A column that an
    older segment has not is null there. Pseudonyms of units are joined where the log has a table of them. Raises Misused where there is no
    log.
    """
    backend = connect(ordered=False, memory=memory)
    decisions = _stream(backend, directory, Stream.DECISION, decision_columns, aside)
    if decisions is None:
        raise Misused(f"{directory} holds no decision log: give the directory that `liftgate serve` writes to (its `log.directory`)")
    event_columns = tuple(dict.fromkeys((*event_columns, *_IDENTITY)))
    happened = _stream(backend, events or directory, Stream.EVENT, event_columns, aside)
    if happened is None:
        if events is not None:
            raise Misused(f"{events} holds no event log")
        happened = backend.read_parquet(_empty(Stream.EVENT, event_columns, aside))
    decisions, happened = (unit_table.joined(backend, directory, rows) for rows in (decisions, happened))
    return Log(backend, str(directory), decisions, happened)


def valid(events: Any) -> Any:
    """Return the events that count: without exposures that consent revoked."""
    return events.filter(events.reason.fill_null("") != "CONSENT_REVOKED")


def time_of(ms: Any) -> Any:
    """Return milliseconds since 1970 as a timestamp, UTC. Not every engine makes one of them directly."""
    return ibis.literal("1970-01-01 00:00:00").cast("timestamp") + ms.as_interval("ms")


def new_aside() -> tempfile.TemporaryDirectory[str]:
    """Return a directory for `open_log`, removed when its `with` block ends."""
    return tempfile.TemporaryDirectory(prefix="liftgate-measure-")


def _stream(backend: Engine, directory: Path, stream: Stream, columns: Sequence[str], aside: Path) -> Any:
    if not directory.is_dir():
        raise Misused(f"there is no directory {directory}")
    wanted = [*columns, *_WRITER]
    files: list[str] = []
    for stem in stems(directory, stream):
        sealed = directory / f"{stem}{PARQUET}"
        files.append(str(sealed if sealed.exists() else _copied(directory, stem, stream, wanted, aside)))
    if not files:
        return None
    full = schema(stream)
    rows = backend.read_parquet(files, union_by_name=True)
    missing = {
        name: ibis.null(ibis.Schema.from_pyarrow(pa.schema([full.field(name)]))[name]) for name in wanted if name not in rows.columns
    }
    return rows.mutate(**missing).select(*wanted) if missing else rows.select(*wanted)


def _copied(directory: Path, stem: str, stream: Stream, columns: Sequence[str], aside: Path) -> Path:
    """Write what is whole of a segment that is not Parquet yet; a segment that is being written is read as far as it is."""
    target = aside / f"{stem}{PARQUET}"
    full = schema(stream)
    narrow = pa.schema([full.field(name) for name in columns])
    with pq.ParquetWriter(target, narrow) as writer:
        for batch in stem_batches(directory, stem, list(columns)):
            writer.write_batch(batch.select(narrow.names).cast(narrow))
    return target


def _empty(stream: Stream, columns: Sequence[str], aside: Path) -> str:
    """Write a file with these columns and no rows."""
    full, target = schema(stream), aside / f"no-{stream.label}{PARQUET}"
    pq.write_table(pa.schema([full.field(name) for name in (*columns, *_WRITER)]).empty_table(), target)
    return str(target)
