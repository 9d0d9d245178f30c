"""Reload: read aside, record the act, swap whole; on any failure keep what is in force and say why (ADR 0034)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from liftgate.adapters.fleet import Outcome, most
from liftgate.adapters.operators import Operators
from liftgate.adapters.telemetry import Telemetry
from liftgate.app.aside import LoadFailed
from liftgate.app.link import Link
from liftgate.app.loading import Found
from liftgate.app.logging import Logger, where
from liftgate.bundle import layer_changes
from liftgate.bundle.mistake import Mistake
from liftgate.domain.errors import LogUnavailable
from liftgate.pipeline.audit import Act, Audit, AuditAct
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Clock

SIGHUP, WATCH = "system:sighup", "system:watch"
"""Actors of reloads that no operator asked for."""


class Reloader:
    """Reloads one worker's bundle and operators, one reload at a time. One event loop."""

    def __init__(
        self,
        worker_id: str,
        read: Callable[[], Found[Live]],
        in_force: Callable[[], Live],
        swap: Callable[[Live], None],
        operators: Operators,
        audit: Audit,
        telemetry: Telemetry,
        clock: Clock,
        log: Logger,
        packed: bool,
    ) -> None:
        """`read` may block, and raise LoadFailed; `swap` puts what it gave in force. `packed`: the layout of stored profiles."""
        self._worker_id = worker_id
        self._read, self._in_force, self._swap = read, in_force, swap
        self._operators, self._audit = operators, audit
        self._telemetry, self._clock, self._log = telemetry, clock, log
        self._packed = packed
        self._busy = asyncio.Lock()
        self.last: Outcome | None = None
        """What the last reload said."""
        self.since_ms = clock.now_ms()
        """Since when the bundle is in force."""
        self.told = asyncio.Event()
        """Set after every reload; whoever reports it clears it."""

    async def reload(self, actor: str, role: str = "", reason: str = "") -> Outcome:
        """Reload, and return how it ended; never raises. Cancelling the caller does not leave it half done."""
        return await asyncio.shield(asyncio.create_task(self._one_at_a_time(actor, role, reason)))

    async def _one_at_a_time(self, actor: str, role: str, reason: str) -> Outcome:
        async with self._busy:
            try:
                outcome = await self._reload(actor, role, reason)
            except LogUnavailable:
                outcome = self._refused(actor, cause="the audit chain cannot be written, so nothing may change")
            except LoadFailed as err:
                outcome = self._refused(actor, cause=str(err))
            except Exception as err:
                outcome = self._refused(actor, cause=f"{type(err).__name__} at {where(err)}")
            self._telemetry.reloaded(outcome.result)
            self.last = outcome
            self.told.set()
            return outcome

    async def _reload(self, actor: str, role: str, reason: str) -> Outcome:
        # In a thread: it waits for the process that loads, in which time others are served.
        found = await asyncio.to_thread(self._read)
        live, known = found.loaded, found.known
        if live is None or known is None:
            return self._refused(actor, found.mistakes)
        if known.digest != self._operators.known.digest:
            before, after = self._operators.known.digest, known.digest
            await self._audit.append(AuditAct(Act.RELOAD, actor, role, "operators", before, after, reason))
            self._operators.take(known)
            self._log.info("operators_reloaded", operators=len(known.by_hash))
        old = self._in_force().bundle
        bundle = live.bundle
        changed = layer_changes.refused(old, bundle, self._clock.now_ms())
        if changed:
            return self._refused(actor, tuple(changed))
        opened = layer_changes.openings(old, bundle)
        if opened:
            self._log.info("phases_opened", phases=opened)
            reason = "; ".join((*filter(None, (reason,)), *opened))
        swapped = bundle.digest != old.digest
        if swapped:
            act = AuditAct(Act.RELOAD, actor, role, f"bundle:{bundle.name}", old.digest, bundle.digest, reason)
            await self._audit.append(act)
            self.since_ms = self._clock.now_ms()
        # Also when nothing changed in meaning: places in files may have.
        self._swap(live)
        if not swapped:
            self._log.info("reload_unchanged", bundle=bundle.name, digest=bundle.digest, actor=actor)
            return self._outcome("unchanged", actor, old.digest)
        self._log.info("reloaded", bundle=bundle.name, digest=bundle.digest, before=old.digest, actor=actor)
        if self._packed and bundle.schema.profile_header != old.schema.profile_header:
            self._log.warning("profile_schema_changed", meaning="stored profiles are unreadable until they are loaded again")
        return self._outcome("swapped", actor, old.digest)

    def _refused(self, actor: str, mistakes: tuple[Mistake, ...] = (), cause: str = "") -> Outcome:
        kept = self._in_force().bundle.digest
        said: dict[str, object] = {"mistakes": [str(mistake) for mistake in most(mistakes)]} if mistakes else {"cause": cause}
        self._log.error("reload_refused", **said, kept=kept, actor=actor)
        return self._outcome("refused", actor, kept, mistakes, cause)

    def _outcome(self, result: str, actor: str, before: str, mistakes: Sequence[Mistake] = (), cause: str = "") -> Outcome:
        now = self._in_force().bundle.digest
        return Outcome(self._worker_id, result, self._clock.now_ms(), before, now, actor, most(mistakes), cause)  # type: ignore[arg-type]


async def reload_everywhere(reloader: Reloader, link: Link | None, actor: str, role: str, reason: str) -> Sequence[Outcome]:
    """Reload every worker of this server and return what each said, this one first; those that say nothing are `unknown`."""
    if link is None:
        return [await reloader.reload(actor, role, reason)]
    return await link.reload_all(actor, role, reason)
