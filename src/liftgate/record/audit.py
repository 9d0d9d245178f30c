"""The audit chain's records: bytes, hash, and how a record follows the one before.

`hash` is SHA-256 over these parts, each behind its length as u64 little-endian: the text `liftgate audit record 1`, writer id, sequence,
at_ms, actor, role, act, subject, digest_before, digest_after, reason, every head in `seen` (writer id, sequence, hash), previous_hash.
Numbers are 8 bytes little-endian, texts UTF-8. Nothing of a record lies outside its hash: `decode` refuses bytes that another record of
the same content would not have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import NamedTuple

from google.protobuf.message import DecodeError

from liftgate.v1.audit_pb2 import AuditAct, AuditHead, AuditRecord

HASH_BYTES = 32
WRITER_BYTES = 16
TEXT_BYTES = 4096
"""Longest text of a record; what is longer is cut."""

_DOMAIN = b"liftgate audit record 1"
_NUMBER = Struct("<Q")
_TIME = Struct("<q")


class Head(NamedTuple):
    """A chain's last record, as far as somebody knew it."""

    sequence: int
    hash: bytes


class NotARecord(ValueError):
    """The bytes are no audit record; the message says why."""


def hash_of(record: AuditRecord) -> bytes:
    """Return the hash that a record must carry, whatever it does carry."""
    parts = [
        _DOMAIN,
        record.writer_id,
        _NUMBER.pack(record.sequence),
        _TIME.pack(record.at_ms),
        record.actor.encode(),
        record.role.encode(),
        _NUMBER.pack(record.act),
        record.subject.encode(),
        record.digest_before.encode(),
        record.digest_after.encode(),
        record.reason.encode(),
    ]
    for head in record.seen:
        parts += (head.writer_id, _NUMBER.pack(head.sequence), head.hash)
    parts.append(record.previous_hash)
    sha = hashlib.sha256()
    for part in parts:
        sha.update(_NUMBER.pack(len(part)))
        sha.update(part)
    return sha.digest()


def seal(record: AuditRecord) -> bytes:
    """Put the record's hash in and return its bytes."""
    record.hash = hash_of(record)
    return record.SerializeToString(deterministic=True)


def text(value: str) -> str:
    """Return a text as a record may hold it: valid UTF-8 of at most TEXT_BYTES bytes."""
    raw = value.encode("utf-8", "replace")
    return value if len(raw) <= TEXT_BYTES and raw.decode() == value else raw[:TEXT_BYTES].decode("utf-8", "ignore")


def heads(seen: Mapping[bytes, Head]) -> list[AuditHead]:
    """Return heads as a record carries them, sorted by writer id."""
    return [AuditHead(writer_id=writer_id, sequence=head.sequence, hash=head.hash) for writer_id, head in sorted(seen.items())]


def decode(payload: bytes) -> AuditRecord:
    """Read a record. Raises NotARecord for other bytes, and for a record with anything in it that its hash does not cover."""
    try:
        record = AuditRecord.FromString(payload)
    except DecodeError:
        raise NotARecord("is no audit record") from None
    known = AuditRecord()
    known.CopyFrom(record)
    known.DiscardUnknownFields()
    if known.SerializeToString(deterministic=True) != payload:
        raise NotARecord("holds something that its hash does not cover, or is of a later version")
    return record


def mistakes_in(record: AuditRecord, writer_id: bytes, sequence: int, before: AuditRecord | None) -> list[str]:
    """Return what is wrong with a record that a segment of `writer_id` holds at `sequence`, after `before` (None: the first)."""
    found: list[str] = []
    if record.hash != hash_of(record):
        found.append("was changed: its hash is not that of its content")
    if record.writer_id != writer_id:
        found.append("belongs to another chain")
    if record.sequence != sequence:
        found.append(f"says that it is record {record.sequence} of its chain")
    if before is None:
        if record.previous_hash:
            found.append("is the first of its chain and names one before it")
    elif record.previous_hash != before.hash:
        found.append("does not follow the record before it: one of the two was changed, removed, put in or moved")
    elif record.seen:
        found.append("names other chains, which only a first record does")
    return found


def act_name(act: int) -> str:
    """Return an act's name for people: `consent change`."""
    name = AuditAct.Name(act) if act in AuditAct.values() else f"act {act}"
    return name.removeprefix("AUDIT_ACT_").lower().replace("_", " ")


def plain(record: AuditRecord) -> dict[str, object]:
    """Return a record as plain values, bytes in hexadecimal digits."""
    return {
        "writer_id": record.writer_id.hex(),
        "sequence": record.sequence,
        "at_ms": record.at_ms,
        "actor": record.actor,
        "role": record.role,
        "act": act_name(record.act),
        "subject": record.subject,
        "digest_before": record.digest_before,
        "digest_after": record.digest_after,
        "reason": record.reason,
        "seen": [{"writer_id": head.writer_id.hex(), "sequence": head.sequence, "hash": head.hash.hex()} for head in record.seen],
        "previous_hash": record.previous_hash.hex(),
        "hash": record.hash.hex(),
    }


def tips(chains: Mapping[bytes, Head], named: Sequence[AuditHead]) -> dict[bytes, Head]:
    """Return the chains' heads without those that another chain's first record names just as they stand."""
    covered = {(head.writer_id, head.sequence, head.hash) for head in named}
    return {writer_id: head for writer_id, head in chains.items() if (writer_id, head.sequence, head.hash) not in covered}
