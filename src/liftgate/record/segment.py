"""Segments: one writer a process appends frames, seals what is full, and a later start mends what a dead writer left.

A file's suffix says what it is: `.open` is being written (locked) or was left by a crash, `.seg` is sealed and never
changes again, `.bad` holds bytes that could not be read, kept for a person to look at, never deleted.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from liftgate.record.frame import Damage, Damaged, Header, SegmentReader, Stream, encode_frames
from liftgate.record.storage import LogFile, Storage

OPEN, SEALED, BAD, PASSING, PART = ".open", ".seg", ".bad", ".new", ".part"
_COPY_BYTES = 2**20


def boot_id() -> bytes:
    """Return 16 bytes that change with every start of the machine; random ones where the machine does not say."""
    try:
        return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return os.urandom(16)


class SegmentWriter:
    """Appends to one segment. Not thread-safe but for `sync` and `begin_sync`, which may run beside `append`."""

    def __init__(self, storage: Storage, file: LogFile, header: Header) -> None:
        """Write the header into an empty file. Raises OSError; the file is then empty again or of no use."""
        self._storage = storage
        self._file = file
        self.header = header
        self.size = 0
        """Bytes of whole frames and the header."""
        self.next_sequence = header.first_sequence
        self.torn = False
        """A write failed half-way and could not be taken back: nothing more can be appended to this segment."""
        self.asked = 0
        """Bytes that are on their way to stable storage, as far as `begin_sync` was asked for; whoever asks keeps it."""
        self._write(header.encode())

    @property
    def records(self) -> int:
        """How many records the segment holds."""
        return self.next_sequence - self.header.first_sequence

    @property
    def name(self) -> str:
        """The file's name."""
        return self._file.name

    def append(self, payloads: Sequence[bytes]) -> int:
        """Write all payloads in one go, and return the bytes written.

        Raises OSError when the disk is full or broken: then none of them is in the log, unless `torn` is set, when some
        may be, and their sequence numbers are not used again.
        """
        data = encode_frames(payloads, self.next_sequence)
        try:
            self._write(data)
        except OSError:
            if self.torn:
                self.next_sequence += len(payloads)
            raise
        self.next_sequence += len(payloads)
        return len(data)

    def _write(self, data: bytes) -> None:
        if self.torn:
            raise OSError("the segment is torn")
        taken = 0
        try:
            while taken < len(data):
                taken += self._file.write(data[taken:] if taken else data)
        except OSError:
            try:
                self._file.truncate(self.size)
            except OSError:
                self.torn = taken > 0
            raise
        self.size += len(data)

    def begin_sync(self, offset: int, size: int) -> None:
        """See `LogFile`."""
        self._file.begin_sync(offset, size)

    def sync(self) -> None:
        """Return when everything appended before the call is on stable storage. Raises SyncFailed."""
        self._file.sync()

    def seal(self) -> str | None:
        """Sync, rename to `.seg`, sync the directory, close; return the new name. An empty segment is removed: None.

        A torn segment keeps its name, for the next start to mend. Raises OSError, SyncFailed.
        """
        try:
            if self.torn:
                self._file.sync()
                return None
            if self.records == 0:
                self._storage.remove(self.name)
                self._storage.sync_names()
                return None
            self._file.sync()
            sealed = self.name.removesuffix(OPEN) + SEALED
            self._storage.rename(self.name, sealed)
            self._storage.sync_names()
            return sealed
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close without syncing or sealing: the file stays for the next start to mend."""
        self._file.close()


class SegmentSeries:
    """The segments of one writer: names, sequence numbers and headers that follow one another."""

    def __init__(self, storage: Storage, stream: Stream, writer_id: bytes, boot: bytes) -> None:
        self._storage = storage
        self._stream = stream
        self.writer_id = writer_id
        """16 bytes, in every header."""
        self._boot = boot
        self._index = 0

    def prepare(self, now_ms: int) -> LogFile:
        """Make the next segment's empty file, its name durable. May run in a thread beside appends. Raises OSError, SyncFailed."""
        self._index += 1
        file = self._storage.create(f"{self._stream.label}-{now_ms:013d}-{self.writer_id.hex()}-{self._index:06d}{OPEN}")
        try:
            file.sync()
            self._storage.sync_names()
        except BaseException:
            file.close()
            raise
        return file

    def begin(self, file: LogFile, first_sequence: int, now_ms: int) -> SegmentWriter:
        """Start writing a prepared file. Raises OSError."""
        return SegmentWriter(self._storage, file, Header(self._stream, self.writer_id, self._boot, first_sequence, now_ms))

    def discard(self, file: LogFile) -> None:
        """Take back a prepared file that was not begun."""
        with suppress(OSError):
            self._storage.remove(file.name)
        file.close()


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one file that a dead writer left."""

    name: str
    records: int = 0
    """Whole records, now sealed."""
    damage: Damage | None = None
    """What was moved to `.bad`; None: nothing."""
    error: str = ""
    """The file could not be mended now and stays as it is; empty: it was."""


def recover(storage: Storage) -> list[Recovered]:
    """Mend every segment that a dead writer left open: what is whole is sealed, a damaged tail goes to `.bad`.

    Segments of live writers are not touched. Never raises for the sake of one file; several recoveries may run at once.
    """
    done: list[Recovered] = []
    for name in storage.names():
        if not name.endswith((OPEN, PASSING)):
            continue
        try:
            file = storage.claim(name)
            if file is None:
                continue
            try:
                if name.endswith(PASSING):  # its writer died before the file had its name: it is empty
                    storage.remove(name)
                else:
                    done.append(_mend(storage, file))
            finally:
                file.close()
        except OSError as cause:
            done.append(Recovered(name, error=f"{type(cause).__name__}: {os.strerror(cause.errno) if cause.errno else cause}"))
    return done


def _mend(storage: Storage, file: LogFile) -> Recovered:
    name = file.name
    with storage.open(name) as source:
        size = source.seek(0, os.SEEK_END)
        if size == 0:
            storage.remove(name)
            storage.sync_names()
            return Recovered(name)
        try:
            reader = SegmentReader(source)
        except Damaged:
            storage.rename(name, _free(storage, name))
            storage.sync_names()
            return Recovered(name, damage=Damage(0, size, "header"))
        for _ in reader:
            pass
        records = reader.next_sequence - reader.header.first_sequence
        if reader.damage is not None:
            _quarantine(storage, name, source, reader.damage.offset)
            file.truncate(reader.damage.offset)
    if records == 0:
        storage.remove(name)
    else:
        file.sync()
        storage.rename(name, name.removesuffix(OPEN) + SEALED)
    storage.sync_names()
    return Recovered(name, records, reader.damage)


def _free(storage: Storage, name: str) -> str:
    """Return a `.bad` name that is not taken."""
    stem, taken, number = name.removesuffix(OPEN), set(storage.names()), 0
    while (candidate := f"{stem}.{number}{BAD}" if number else f"{stem}{BAD}") in taken:
        number += 1
    return candidate


def _quarantine(storage: Storage, name: str, source: BinaryIO, offset: int) -> None:
    """Copy a segment's tail into a `.bad` file, durably, before it is cut off. Copied once, even if interrupted before the cut."""
    stem, part = name.removesuffix(OPEN), name.removesuffix(OPEN) + PART
    names = storage.names()
    for kept in names:
        if kept.startswith(stem) and kept.endswith(BAD):
            with storage.open(kept) as copy:
                if _same(source, offset, copy):
                    storage.sync_names()
                    return
    if part in names:  # a copy that was interrupted; its source is still whole
        storage.remove(part)
    file = storage.create(part)
    try:
        source.seek(offset)
        while chunk := source.read(_COPY_BYTES):
            while chunk:
                chunk = chunk[file.write(chunk) :]
        file.sync()
        storage.rename(part, _free(storage, name))
        storage.sync_names()
    finally:
        file.close()


def _same(source: BinaryIO, offset: int, copy: BinaryIO) -> bool:
    source.seek(offset)
    while True:
        left, right = source.read(_COPY_BYTES), copy.read(_COPY_BYTES)
        if left != right:
            return False
        if not left:
            return True
