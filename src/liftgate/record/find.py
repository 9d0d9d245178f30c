"""One decision by its id, out of a log of any size: ids carry their time, so few segments need to be looked through."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from liftgate.record.codec import decode_decision
from liftgate.record.frame import FRAME_OVERHEAD, HEADER_SIZE, MAX_PAYLOAD, Damaged, Header, Stream, read_frame
from liftgate.record.segment import OPEN, SEALED
from liftgate.v1.record_pb2 import DecisionRecord

PARQUET = ".parquet"
SHIPPED = "shipped"
"""Folder of segments whose records are in Parquet."""
SLACK_MS = 60_000
"""How far an id's time may lie outside its segment's: batches in flight, clocks that step."""
_CHUNK = 64 * 1024
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

    Reads segments (open and shipped ones too) and, where `parquet` is set (needs pyarrow), Parquet. `pause` is called after every 64 KiB,
    some 100 us of work: it may sleep, so that other threads go on, or raise, to give up. Raises ValueError when the id is none, OSError,
    and pyarrow's errors on damaged Parquet. Damage hides what it touches without a word: `liftgate log verify` tells.
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
    with path.open("rb", buffering=0) as raw:
        file = cast("BinaryIO", raw)
        try:
            if Header.decode(file.read(HEADER_SIZE)).stream is not Stream.DECISION:
                return None
        except Damaged:
            return None
        start = HEADER_SIZE
        for mention in _mentions(file, decision_id.encode(), pause):
            # Looking for the bytes is far quicker than walking frames; lengths alone lead to the frame that they lie in.
            start = _frame_at(file, start, mention, pause)
            frame = read_frame(file, start) if start >= 0 else None
            if frame is None:
                return None
            with suppress(ValueError):
                record = decode_decision(frame.payload)
                if record.decision_id == decision_id:
                    return record
    return None


def _mentions(file: BinaryIO, needle: bytes, pause: Callable[[], object]) -> Iterator[int]:
    """Yield the offsets at which some bytes stand."""
    base, tail = HEADER_SIZE, b""
    while True:
        file.seek(base)
        chunk = file.read(_CHUNK)
        if not chunk:
            return
        found = (seen := tail + chunk).find(needle)
        while found >= 0:
            yield base - len(tail) + found
            found = seen.find(needle, found + 1)
        base, tail = base + len(chunk), seen[1 - len(needle) :]
        pause()


def _frame_at(file: BinaryIO, start: int, offset: int, pause: Callable[[], object]) -> int:
    """Return where the frame begins that holds the byte at `offset`, going from frame to frame from `start`; -1: lengths lead nowhere."""
    while True:
        file.seek(start)
        block, at = file.read(_CHUNK), 0
        if len(block) < FRAME_OVERHEAD:
            return -1
        while at + FRAME_OVERHEAD <= len(block):
            length = int.from_bytes(block[at : at + 4], "little")
            if not 0 < length <= MAX_PAYLOAD:
                return -1
            if start + at + FRAME_OVERHEAD + length > offset:
                return start + at
            at += FRAME_OVERHEAD + length
        start += at
        pause()


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
