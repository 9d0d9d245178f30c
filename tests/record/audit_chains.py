"""Audit chains on disk, made for tests, and the control arm: the same log without a chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from liftgate.record.audit import Head, heads, seal
from liftgate.record.frame import HEADER_SIZE, Damaged, Header, SegmentReader, Stream, encode_frames
from liftgate.v1.audit_pb2 import AuditAct, AuditRecord

ONE, TWO = b"1" * 16, b"2" * 16


def chain(writer_id: bytes, count: int, seen: Mapping[bytes, Head] | None = None) -> list[AuditRecord]:
    """Return a sound chain."""
    found: list[AuditRecord] = []
    for sequence in range(count):
        record = AuditRecord(
            writer_id=writer_id,
            sequence=sequence,
            at_ms=1_767_225_600_000 + 1_000 * sequence,
            actor="ada",
            role="admin",
            act=AuditAct.AUDIT_ACT_KILL if sequence % 2 else AuditAct.AUDIT_ACT_RELOAD,
            subject=f"offer:{sequence}",
            digest_before=f"{sequence:064x}",
            digest_after=f"{sequence + 1:064x}",
            reason="as agreed",
            seen=heads(seen or {}) if sequence == 0 else (),
            previous_hash=found[-1].hash if found else b"",
        )
        seal(record)
        found.append(record)
    return found


def payloads(records: Sequence[AuditRecord]) -> list[bytes]:
    """Return the records' bytes as they are, hashes untouched."""
    return [record.SerializeToString(deterministic=True) for record in records]


def write(
    directory: Path, writer_id: bytes, raw: Sequence[bytes], first: int = 0, suffix: str = ".seg", stream: Stream = Stream.AUDIT
) -> Path:
    """Write one segment, with good checksums and sequence numbers whatever the payloads."""
    path = directory / f"audit-{1_767_225_600_000 + first:013d}-{writer_id.hex()}-{first + 1:06d}{suffix}"
    path.write_bytes(Header(stream, writer_id, b"b" * 16, first, 5).encode() + encode_frames(raw, first))
    return path


def head_of(records: Sequence[AuditRecord]) -> Head:
    """Return a chain's head."""
    return Head(records[-1].sequence, records[-1].hash)


def frames_are_good(path: Path) -> bool:
    """The control arm: what a log without a chain can say, which is that checksums and sequence numbers are right."""
    if path.stat().st_size <= HEADER_SIZE:
        return False
    with path.open("rb") as file:
        try:
            reader = SegmentReader(file)
        except Damaged:
            return False
        for _ in reader:
            pass
        return reader.damage is None
