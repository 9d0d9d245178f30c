"""The audit chain on disk: `pipeline.audit.Audit` over segments of its own, each record bound to the one before by its hash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from liftgate.adapters.segment_sink import SegmentLog
from liftgate.domain.errors import LogUnavailable, StoreUnavailable
from liftgate.pipeline.audit import Act, AuditAct
from liftgate.pipeline.ports import Clock
from liftgate.record.audit import Head, heads, seal, text
from liftgate.record.audit_verify import ends
from liftgate.v1.audit_pb2 import AuditRecord

FOLDER = "audit"
"""The chains' directory in the log directory."""
_SEGMENT_AGE_S = 86_400.0


def audit_segments(log: Path, clock: Clock, **options: Any) -> SegmentLog:
    """Return the closed log under the chain, in `audit/` of the log directory. It is synced before it acknowledges, at any durability."""
    return SegmentLog(log / FOLDER, "audit", "fsync", segment_age_s=_SEGMENT_AGE_S, now_ms=clock.now_ms, **options)


class Heads(Protocol):
    """Where chains' heads are kept besides: whoever rewrites the directory would have to rewrite it too."""

    async def put(self, writer_id: bytes, head: Head) -> None:
        """Keep where a chain stands now. Raises StoreUnavailable."""
        ...


class AuditLog:
    """One chain. One event loop; `log` is opened and closed by whoever made it."""

    def __init__(
        self,
        log: SegmentLog,
        directory: Path,
        clock: Clock,
        heads: Heads | None = None,
        say: Callable[[str, Mapping[str, object]], None] = lambda event, fields: None,
    ) -> None:
        """`directory` is where `log` writes; `say` takes a log line's event and fields."""
        self._log = log
        self._directory = directory
        self._clock = clock
        self._heads = heads
        self._say = say
        self._last: AuditRecord | None = None
        self._durable: AuditRecord | None = None
        self._broken = False
        self._seen: asyncio.Task[Mapping[bytes, Head]] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._kept = -1

    def begin(self) -> None:
        """Start to read where the other chains stand, for this chain's first record. Call it on the event loop, once `log` is open."""
        self._seen = asyncio.create_task(asyncio.to_thread(ends, self._directory))

    async def append(self, act: AuditAct) -> None:
        """See `pipeline.audit.Audit`."""
        seen = await self._others() if self._last is None else {}
        if self._broken:
            raise LogUnavailable("the audit chain is broken; a restart begins a new one")
        before = self._last
        record = AuditRecord(
            writer_id=self._log.writer_id if self._log.healthy else b"",
            sequence=self._log.next_sequence,
            at_ms=self._clock.now_ms(),
            actor=text(act.actor),
            role=text(act.role),
            act=int(act.act),  # type: ignore[arg-type]
            subject=text(act.subject),
            digest_before=text(act.digest_before),
            digest_after=text(act.digest_after),
            reason=text(act.reason),
            seen=heads(seen) if before is None else (),
            previous_hash=b"" if before is None else before.hash,
        )
        payload = seal(record)
        # From here to the write nothing else runs on the loop, so records follow one another as they lie on disk.
        self._last = record
        try:
            await self._log.append([payload])
        except LogUnavailable:
            if self._log.next_sequence == record.sequence:
                self._last = before
            else:  # the record may be there or not: nothing can follow it
                self._broken = True
            raise
        if self._durable is None or self._durable.sequence < record.sequence:
            self._durable = record
        if act.act is not Act.CONSENT_CHANGE:  # as many as people, and each is in the chain
            self._tell(act, record)
        self.keep()

    def _tell(self, act: AuditAct, record: AuditRecord) -> None:
        line = {"act": act.act.name.lower(), "actor": record.actor, "subject": record.subject, "sequence": record.sequence}
        self._say("audited", line | {"chain": record.writer_id.hex(), "hash": record.hash.hex()})

    def keep(self) -> None:
        """Hand the chain's head to whoever keeps it besides, unless that is under way. The next call makes up for a failed one."""
        if self._heads is not None and self._keeping is None and self._durable is not None and self._kept < self._durable.sequence:
            self._keeping = asyncio.create_task(self._keep(self._heads))

    async def close(self) -> None:
        """Hand over the last head, if it can be done, before the log closes."""
        if self._keeping is not None:
            await self._keeping
        self.keep()
        if self._keeping is not None:
            await self._keeping
        if self._seen is not None:
            self._seen.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await self._seen

    async def _keep(self, kept: Heads) -> None:
        try:
            while self._durable is not None and self._kept < self._durable.sequence:
                head = Head(self._durable.sequence, self._durable.hash)
                await kept.put(self._durable.writer_id, head)
                self._kept = head.sequence
        except StoreUnavailable as err:
            self._say("audit_head_not_kept", {"cause": str(err), "meaning": "the record is on disk; its head is kept again later"})
        finally:
            self._keeping = None

    async def _others(self) -> Mapping[bytes, Head]:
        if self._seen is None:
            self.begin()
        assert self._seen is not None
        try:
            # Shielded: the caller may be cancelled, the next one needs it as well.
            return await asyncio.shield(self._seen)
        except OSError as err:
            self._say("audit_not_readable", {"cause": type(err).__name__, "meaning": "the chain begins without naming the others"})
            return {}
