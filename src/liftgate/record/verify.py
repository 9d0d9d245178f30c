"""Is the log whole? Every checksum, every gap in a writer's sequence, every id that is there twice."""

from __future__ import annotations

import fcntl
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from liftgate.record.codec import decode_decision
from liftgate.record.event_codec import decode_event
from liftgate.record.frame import Damage, Damaged, SegmentReader, Stream, is_interrupted_write
from liftgate.record.segment import BAD, OPEN, SEALED

_PARQUET = ".parquet"
_STATES = {_PARQUET: "parquet", SEALED: "sealed", OPEN: "open", BAD: "quarantined"}
_INTERRUPTED = "an interrupted write: part of a record that was never acknowledged"


@dataclass(slots=True)
class FileReport:
    """One file of the log."""

    name: str
    state: str
    """`parquet`, `sealed`, `live` (its writer runs), `left open` (its writer died) or `quarantined`."""
    bytes: int
    records: int = 0
    damage: str = ""
    """What is wrong with it; empty: nothing."""
    note: str = ""
    """What is worth knowing and not wrong."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Records of a writer that are in no file."""

    stream: str
    writer_id: str
    first: int
    last: int
    """First and last missing sequence."""


@dataclass(slots=True)
class Verdict:
    """What `verify` found."""

    files: list[FileReport] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)
    """Distinct records by stream."""
    duplicates: int = 0
    """Records whose id an earlier one had; readers drop them. A worker that completes another's decision makes one."""
    repeated_sequences: int = 0
    """Sequence numbers that a writer used twice, which no sound writer does."""

    @property
    def clean(self) -> bool:
        """Nothing is damaged, missing or twice in sequence."""
        return not self.gaps and not self.repeated_sequences and not any(report.damage for report in self.files)


@dataclass(slots=True)
class _Walk:
    """What is known so far, over all files."""

    verdict: Verdict
    runs: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    """Runs of sequence numbers by (stream, writer id)."""
    ids: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, stream: str, writer_id: str, rows: Iterable[tuple[int, str]]) -> int:
        """Note (sequence, id) rows, and return how many they are."""
        count, start, expected = 0, -1, -1
        ids, runs = self.ids[stream], self.runs[stream, writer_id]
        for sequence, row_id in rows:
            if sequence != expected:
                if count:
                    runs.append((start, expected - 1))
                start = sequence
            expected = sequence + 1
            count += 1
            if row_id in ids:
                self.verdict.duplicates += 1
            ids.add(row_id)
        if count:
            runs.append((start, expected - 1))
        return count


def verify(directory: Path, removed_beginnings: bool = False, progress: Callable[[str], None] | None = None) -> Verdict:
    """Read every file of a log to its end. Raises OSError when the directory cannot be read.

    `removed_beginnings`: old files were removed on purpose, so a writer may begin at any sequence. `progress` is told
    every file's name before it is read. Segments of live writers are read as far as they are written. Memory: the ids.
    """
    walk = _Walk(Verdict())
    paths = sorted(path for path in directory.iterdir() if path.suffix in _STATES)
    sealed = {path.stem for path in paths if path.suffix == _PARQUET}
    # Newest first: while writers go on, a segment that we have read before the next one began would look cut short.
    for path in reversed(paths):
        if progress is not None:
            progress(path.name)
        report = _present(path, sealed, walk)
        if report is not None:
            walk.verdict.files.insert(0, report)
    for (stream, writer_id), runs in sorted(walk.runs.items()):
        _sequences(walk.verdict, stream, writer_id, sorted(runs), removed_beginnings)
    walk.verdict.records = {stream: len(ids) for stream, ids in sorted(walk.ids.items())}
    return walk.verdict


def _present(path: Path, sealed: set[str], walk: _Walk) -> FileReport | None:
    """Read a file under the name that it has by now; None when it is gone."""
    try:
        report = FileReport(path.name, _STATES[path.suffix], path.stat().st_size)
        if path.suffix == _PARQUET:
            _parquet(path, report, walk)
        elif path.suffix == BAD:
            _quarantined(path, report)
        else:
            # What is in Parquet already is checked and not counted again.
            _segment(path, report, _Walk(Verdict()) if path.stem in sealed else walk)
    except FileNotFoundError:
        following = {OPEN: SEALED, SEALED: _PARQUET}.get(path.suffix)
        if following is None or (following == _PARQUET and path.stem in sealed):
            return None
        return _present(path.with_suffix(following), sealed, walk)
    return report


def _segment(path: Path, report: FileReport, walk: _Walk) -> None:
    live = path.suffix == OPEN and _is_locked(path)
    if path.suffix == OPEN:
        report.state = "live" if live else "left open"
    if report.bytes == 0:
        return
    with path.open("rb") as file:
        try:
            reader = SegmentReader(file)
        except Damaged as cause:
            report.damage = str(cause)
            return
        header = reader.header
        rows = _rows(reader)
        try:
            report.records = walk.take(header.stream.label, header.writer_id.hex(), rows)
        except ValueError as cause:
            report.damage = str(cause)
            return
    if reader.damage is None:
        return
    if live and not _stays(path, reader.damage):
        report.note = "being written"
    elif path.suffix == OPEN and is_interrupted_write(_tail(path, reader.damage.offset)):
        report.note = _INTERRUPTED
    else:
        report.damage = f"{reader.damage.cause} at byte {reader.damage.offset}, {reader.damage.size} bytes not readable"


def _rows(reader: SegmentReader) -> Iterator[tuple[int, str]]:
    if reader.header.stream is Stream.DECISION:
        return ((frame.sequence, decode_decision(frame.payload).decision_id) for frame in reader)
    events = ((frame.sequence, decode_event(frame.payload)) for frame in reader)
    return ((sequence, _event(one.person_pseudonym, one.pseudonym_key_id, one.event_id)) for sequence, one in events)


def _event(person: bytes, key_id: str | None, event_id: str) -> str:
    """Return what tells an event from others: an event id is its person's. Without a key the pseudonym is the row's alone."""
    return f"{'' if key_id == '' else person.hex()}/{event_id}"


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _stays(path: Path, damage: Damage) -> bool:
    """Tell damage from a write that is under way: that one is complete a moment later."""
    for _ in range(5):
        time.sleep(0.02)
        try:
            with path.open("rb") as file:
                reader = SegmentReader(file)
                for _frame in reader:
                    pass
        except (FileNotFoundError, Damaged):
            return False
        if reader.damage is None or reader.damage.offset != damage.offset:
            return False
    return damage.cause != "cut"


def _tail(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()


def _quarantined(path: Path, report: FileReport) -> None:
    if is_interrupted_write(_tail(path, 0)):
        report.note = _INTERRUPTED
    else:
        report.damage = "bytes that could not be read; look at them, then move the file away"


def _parquet(path: Path, report: FileReport, walk: _Walk) -> None:
    import pyarrow as pa

    from liftgate.record.columnar import EVENT_OWNER, ROW_ID
    from liftgate.record.parquet import ROW_GROUP_ROWS, open_parquet

    try:
        with open_parquet(path) as file:
            # An event names the decision that led to it, so a column decision_id says nothing.
            names = file.schema_arrow.names
            kind = next(kind for kind in (Stream.EVENT, Stream.DECISION) if ROW_ID[kind] in names)
            for batch in file.iter_batches(ROW_GROUP_ROWS):
                writers, sequences, ids = (batch.column(name).to_pylist() for name in ("writer_id", "sequence", ROW_ID[kind]))
                if kind is Stream.EVENT:
                    people, keys = (batch.column(name).to_pylist() for name in EVENT_OWNER)
                    ids = [_event(*one) for one in zip(people, keys, ids, strict=True)]
                for writer_id in dict.fromkeys(writers):
                    rows = (row[1:] for row in zip(writers, sequences, ids, strict=True) if row[0] == writer_id)
                    report.records += walk.take(kind.label, writer_id, rows)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, KeyError, StopIteration) as cause:
        report.damage = f"not readable: {str(cause).splitlines()[0]}"


def _sequences(verdict: Verdict, stream: str, writer_id: str, runs: list[tuple[int, int]], removed_beginnings: bool) -> None:
    expected = runs[0][0] if removed_beginnings else 0
    for first, last in runs:
        if first > expected:
            verdict.gaps.append(Gap(stream, writer_id, expected, first - 1))
        elif first < expected:
            verdict.repeated_sequences += min(last + 1, expected) - first
        expected = max(expected, last + 1)
