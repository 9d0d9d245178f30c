"""Announcing a bundle before it goes live: through a running server, or on this machine with its operators file and its log directory."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from liftgate.adapters.admin_client import AdminClient
from liftgate.adapters.audit_log import FOLDER, AuditLog, audit_segments
from liftgate.adapters.operators import ADMIN, Operators
from liftgate.adapters.redis_audit import RedisHeads
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_published import Published, RedisPublished
from liftgate.adapters.system import SystemClock
from liftgate.domain.errors import LogUnavailable
from liftgate.pipeline.audit import Act, AuditAct


class Announcer(Protocol):
    """Says who the author is, and that it is on record."""

    def announce(self, bundle: str, digest: str, previous_digest: str, reason: str) -> tuple[str, int]:
        """Record the act; return the author's name and when, milliseconds since the Unix epoch. Raises: then nothing may go live."""
        ...


@dataclass(frozen=True, slots=True)
class ThroughServer:
    """Asks a running server, which knows its operators."""

    client: AdminClient

    def announce(self, bundle: str, digest: str, previous_digest: str, reason: str) -> tuple[str, int]:
        """See `Announcer`. Raises CallFailed."""
        return self.client.publish(bundle, digest, previous_digest, reason)


@dataclass(frozen=True, slots=True)
class OnThisMachine:
    """Writes a chain of its own into the log directory, beside those of the servers."""

    token: str
    operators: Path
    log: Path
    redis: str | None = None

    def announce(self, bundle: str, digest: str, previous_digest: str, reason: str) -> tuple[str, int]:
        """See `Announcer`. Raises BadInput, NotAuthenticated, NotPermitted, LogUnavailable, StoreUnavailable or ValueError (the URL)."""
        metadata: list[tuple[str, str | bytes]] = [("authorization", f"Bearer {self.token}")]
        author = Operators(self.operators).authorise(metadata, ADMIN).name
        return asyncio.run(self._record(author, bundle, digest, previous_digest, reason))

    async def _record(self, author: str, bundle: str, digest: str, previous_digest: str, reason: str) -> tuple[str, int]:
        clock, chains = SystemClock(), self.log / FOLDER
        redis: RedisClient | None = connect(self.redis, 5_000, 2) if self.redis is not None else None
        heads = RedisHeads(redis, socket.gethostname(), str(chains.absolute())) if redis is not None else None
        segments = audit_segments(self.log, clock)
        segments.open()
        audit = AuditLog(segments, chains, clock, heads)
        try:
            at_ms = clock.now_ms()
            await audit.append(AuditAct(Act.PUBLISH, author, ADMIN, f"bundle:{bundle}", previous_digest, digest, reason))
            if redis is not None:
                await RedisPublished(redis, 5.0).announce(digest, Published(author, at_ms, reason, bundle, previous_digest))
            return author, at_ms
        finally:
            await audit.close()
            # The act is on stable storage; the next start seals what could not be sealed.
            with suppress(LogUnavailable):
                await segments.close()
            if redis is not None:
                await redis.close()
