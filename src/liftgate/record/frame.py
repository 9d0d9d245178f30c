"""The bytes of a segment: a header of 64 bytes, then frames, each provable on its own. All numbers little-endian.

    header   magic 8 | format version u16 | stream u16 | writer id 16 | boot id 16 | first sequence u64 | created at ms i64 | CRC32C u32
    frame    payload length u32 | CRC32C u32 over sequence and payload | sequence u64 | payload

Sequences count up by one from the header's first, over all segments of a writer, so a missing record is a provable gap.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain
from struct import Struct
from typing import BinaryIO, NamedTuple

import google_crc32c

MAGIC = b"LIFTGATE"
FORMAT_VERSION = 1
HEADER_SIZE = 64
FRAME_OVERHEAD = 16
MAX_PAYLOAD = 16 * 2**20
"""Bytes. A longer length is damage: it would make a reader swallow the rest of the file."""

_HEADER = Struct("<8sHH16s16sQq")
_CRC = Struct("<I")
_FRAME = Struct("<IIQ")
_SEQUENCE = Struct("<Q")


class Stream(IntEnum):
    """What a segment's payloads are."""

    DECISION = 1
    """Encoded `DecisionRecord`s."""
    EVENT = 2
    """Encoded `EventRecord`s."""
    AUDIT = 3
    """Encoded `AuditRecord`s, which lie in a directory of their own."""

    @property
    def label(self) -> str:
        """The name in file names, options and metrics."""
        return self.name.lower()


class Damaged(ValueError):
    """A segment's header is not readable; the message says how."""


@dataclass(frozen=True, slots=True)
class Header:
    """Who wrote a segment, and where it starts."""

    stream: Stream
    writer_id: bytes
    """16 random bytes, new with every start of a process."""
    boot_id: bytes
    """16 bytes, new with every start of the machine."""
    first_sequence: int
    created_at_ms: int

    def encode(self) -> bytes:
        """Return the 64 bytes."""
        raw = _HEADER.pack(MAGIC, FORMAT_VERSION, self.stream, self.writer_id, self.boot_id, self.first_sequence, self.created_at_ms)
        return raw + _CRC.pack(google_crc32c.value(raw))

    @classmethod
    def decode(cls, raw: bytes) -> Header:
        """Return the header of the 64 bytes. Raises Damaged."""
        if len(raw) < HEADER_SIZE:
            raise Damaged("header cut short")
        magic, version, stream, writer_id, boot_id, first_sequence, created_at_ms = _HEADER.unpack_from(raw)
        if magic != MAGIC:
            raise Damaged("not a segment")
        if _CRC.unpack_from(raw, _HEADER.size)[0] != google_crc32c.value(raw[: _HEADER.size]):
            raise Damaged("header checksum")
        if version != FORMAT_VERSION:
            raise Damaged(f"format version {version} is not known")
        try:
            return cls(Stream(stream), writer_id, boot_id, first_sequence, created_at_ms)
        except ValueError:
            raise Damaged(f"stream {stream} is not known") from None


class Frame(NamedTuple):
    """One record and where it lies."""

    sequence: int
    payload: bytes
    offset: int
    """Of the frame's first byte in the file."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Where a scan had to stop."""

    offset: int
    """Everything before is whole."""
    size: int
    """Bytes from there to the end of the file."""
    cause: str
    """`header`, `cut`, `zeros`, `length`, `checksum` or `sequence`."""


def encode_frames(payloads: Sequence[bytes], first_sequence: int) -> bytes:
    """Return the frames of payloads of 1..MAX_PAYLOAD bytes each, ready for one write. Raises ValueError on another length."""
    sizes, sequences = list(map(len, payloads)), range(first_sequence, first_sequence + len(payloads))
    for size in {min(sizes), max(sizes)} if len(sizes) > 1 else sizes:
        if not 0 < size <= MAX_PAYLOAD:
            raise ValueError(f"a record has 1 to {MAX_PAYLOAD} bytes, not {size}")
    if len(sizes) == 1:
        checksum = google_crc32c.extend(google_crc32c.value(_SEQUENCE.pack(first_sequence)), payloads[0])
        return _FRAME.pack(sizes[0], checksum, first_sequence) + payloads[0]
    # Chained calls into C, and no turn of a loop for each record.
    checksums = map(google_crc32c.extend, map(google_crc32c.value, map(_SEQUENCE.pack, sequences)), payloads)
    return b"".join(chain.from_iterable(zip(map(_FRAME.pack, sizes, checksums, sequences), payloads, strict=True)))


def is_interrupted_write(tail: bytes) -> bool:
    """Tell whether a tail is what one interrupted write leaves: the beginning of one frame, which nobody was promised.

    Zeros, a wrong checksum, or a whole frame further on say that more than that was lost.
    """
    if not any(tail):
        return False
    if len(tail) < FRAME_OVERHEAD:
        return True
    length, _, sequence = _FRAME.unpack_from(tail)
    if not 0 < length <= MAX_PAYLOAD or len(tail) >= FRAME_OVERHEAD + length:
        return False
    following, at = _SEQUENCE.pack((sequence + 1) % 2**64), FRAME_OVERHEAD
    while (at := tail.find(following, at)) >= 0:
        length, checksum, _ = _FRAME.unpack_from(tail, at - 8)
        if google_crc32c.value(tail[at : at + 8 + length]) == checksum and 0 < length <= len(tail) - at - 8:
            return False
        at += 1
    return True


def read_frame(file: BinaryIO, offset: int) -> Frame | None:
    """Return the frame that begins at an offset of a segment; None: it is cut, or its checksum is wrong."""
    file.seek(offset)
    head = file.read(FRAME_OVERHEAD)
    if len(head) < FRAME_OVERHEAD:
        return None
    length, checksum, sequence = _FRAME.unpack(head)
    payload = file.read(length) if 0 < length <= MAX_PAYLOAD else b""
    if len(payload) != length or google_crc32c.extend(google_crc32c.value(head[8:]), payload) != checksum:
        return None
    return Frame(sequence, payload, offset)


class SegmentReader:
    """Walks the frames of one segment up to its end or to the first damage. Memory: one frame."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the header. Raises Damaged when it is not readable."""
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.header = Header.decode(file.read(HEADER_SIZE))
        self.end = HEADER_SIZE
        """Offset behind the last whole frame read so far."""
        self.next_sequence = self.header.first_sequence
        self.damage: Damage | None = None
        """Set when the walk stopped before the end of the file."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield whole frames in order; go on where the last walk stopped."""
        file = self._file
        file.seek(self.end)
        while self.end < self._size:
            head = file.read(FRAME_OVERHEAD)
            if len(head) < FRAME_OVERHEAD:
                return self._stop("zeros" if not any(head) else "cut")
            length, checksum, sequence = _FRAME.unpack(head)
            if length == 0 and not any(head):
                return self._stop("zeros")
            if not 0 < length <= MAX_PAYLOAD:
                return self._stop("length")
            payload = file.read(length)
            if len(payload) < length:
                return self._stop("cut")
            if google_crc32c.extend(google_crc32c.value(head[8:]), payload) != checksum:
                return self._stop("checksum")
            if sequence != self.next_sequence:
                return self._stop("sequence")
            frame = Frame(sequence, payload, self.end)
            self.end += FRAME_OVERHEAD + length
            self.next_sequence = sequence + 1
            yield frame
        return None

    def _stop(self, cause: str) -> None:
        self.damage = Damage(self.end, self._size - self.end, cause)
