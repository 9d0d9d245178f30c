"""One decision by its id, out of a log of any size: ids carry their time, so few segments need to be looked through."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from liftgate.record.codec import decode_decision
from liftgate.record.frame import Damaged, SegmentReader, Stream
from liftgate.record.segment import OPEN, SEALED
from liftgate.v1.record_pb2 import DecisionRecord

PARQUET = ".parquet"
SHIPPED = "shipped"
"""Folder of segments whose records are in Parquet."""
SLACK_MS = 60_000
"""How far an id's time may lie outside its segment's: batches in flight, clocks that step."""
_CHUNK = 256 * 1024
_FRAMES = 32
_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(rf"{Stream.DECISION.label}-(\d+)-([0-9a-f]{{32}})-(\d+)")


def is_decision_id(text: str) -> bool:
    """Say whether a text has the form of a decision's id."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Found:
    """A record and where it lies."""

    record: DecisionRecord
    file: str


def find_decision(directory: Path, decision_id: str, *, parquet: bool = True, pause: Callable[[], object] = lambda: None) -> Found | None:
    """Return the first record of a decision, as readers see it; None: this log does not have it.

    Reads segments (open and shipped ones too) and, where `parquet` is set (needs pyarrow), Parquet. `pause` is called after every 256 KiB
    and every 32 frames: it may sleep, so that other threads go on, or raise, to give up. Raises ValueError when the id is none, OSError,
    and pyarrow's errors on damaged Parquet. Damage ends a segment without a word: `liftgate log verify` tells.
    """
    if not is_decision_id(decision_id):
        raise ValueError("a decision's id is 32 hexadecimal digits, a to f in lower case")
    for stem in _likely_first(directory, int(decision_id[:12], 16)):
        found = _in_stem(directory, stem, decision_id, parquet, pause)
        if found is not None:
            return found
    return None


def _likely_first(directory: Path, at_ms: int) -> Iterator[str]:
    """Yield stems of segments: those that were open at that time, then later ones (a record may be completed late), then earlier ones."""
    stems = {path.stem for folder in (directory, directory / SHIPPED) if folder.is_dir() for path in folder.iterdir()}
    writers: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    others = []
    for stem in stems:
        if match := _NAME.fullmatch(stem):
            writers[match[2]].append((int(match[1]), int(match[3]), stem))
        elif stem.startswith(f"{Stream.DECISION.label}-"):
            others.append(stem)
    likely, later, earlier = [], [], []
    for segments in writers.values():
        segments.sort()
        for i, (created, _, stem) in enumerate(segments):
            following = segments[i + 1][0] if i + 1 < len(segments) else None
            if created > at_ms + SLACK_MS:
                later.append(stem)
            elif following is not None and following < at_ms - SLACK_MS:
                earlier.append(stem)
            else:
                likely.append(stem)
    yield from sorted(likely)
    yield from sorted(later)
    yield from sorted(earlier, reverse=True)
    yield from sorted(others)


def _in_stem(directory: Path, stem: str, decision_id: str, parquet: bool, pause: Callable[[], object]) -> Found | None:
    """Look at the first form that there is of one segment. It may be sealed or shipped while we look: then look again."""
    segments = [directory / f"{stem}{SEALED}", directory / f"{stem}{OPEN}", directory / SHIPPED / f"{stem}{SEALED}"]
    for _ in range(3):
        for path in [*segments, directory / f"{stem}{PARQUET}"] if parquet else segments:
            try:
                look = _in_parquet if path.suffix == PARQUET else _in_segment
                record = look(path, decision_id, pause)
            except FileNotFoundError:
                continue
            return None if record is None else Found(record, path.name)
    return None


def _in_segment(path: Path, decision_id: str, pause: Callable[[], object]) -> DecisionRecord | None:
    needle = decision_id.encode()
    with path.open("rb", buffering=0) as file:
        if not _holds(file.read, needle, pause):
            return None
    with path.open("rb") as source:
        try:
            reader = SegmentReader(source)
        except Damaged:
            return None
        for count, frame in enumerate(reader):
            if needle in frame.payload:
                try:
                    record = decode_decision(frame.payload)
                except ValueError:
                    continue
                if record.decision_id == decision_id:
                    return record
            if count % _FRAMES == 0:
                pause()
    return None


def _holds(read: Callable[[int], bytes], needle: bytes, pause: Callable[[], object]) -> bool:
    """Say whether a file holds some bytes; far quicker than to walk its frames."""
    tail = b""
    while chunk := read(_CHUNK):
        if needle in tail + chunk:
            return True
        tail = chunk[1 - len(needle) :]
        pause()
    return False


def _in_parquet(path: Path, decision_id: str, pause: Callable[[], object]) -> DecisionRecord | None:
    from liftgate.record.parquet import open_parquet
    from liftgate.record.rows import decision_of

    with open_parquet(path) as file:
        for group in range(file.num_row_groups):
            ids = file.read_row_group(group, columns=["decision_id"]).column("decision_id").to_pylist()
            if decision_id in ids:
                row = file.read_row_group(group).slice(ids.index(decision_id), 1).to_pylist()[0]
                return decision_of(row)
            pause()
    return None
