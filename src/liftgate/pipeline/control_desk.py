"""Stopping, which needs nobody's approval, and starting again, which does."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import orjson

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.field_types import NAME_PATTERN
from liftgate.bundle.mistake import did_you_mean, one_of
from liftgate.domain.control import KINDS, Stop, subject
from liftgate.domain.errors import CallerError, FieldViolation, Refused
from liftgate.domain.review import SUBMIT, Act, Need, ReviewItem, canonical, digest_of
from liftgate.pipeline.audit import Act as Audited
from liftgate.pipeline.audit import AuditAct
from liftgate.pipeline.controls import ITEMS, STOPS, TEXTS, Change
from liftgate.pipeline.desk import Desk, Who, said

START_ROLE = "operator"
START_VALID_MS = 7 * 24 * 60 * 60 * 1000
"""How long the approval of a start counts; it acts at once, so this only closes forgotten requests of several approvers."""


class ControlDesk:
    """The kill switch of one worker. `in_force` gives its bundle."""

    def __init__(self, desk: Desk, in_force: Callable[[], Bundle]) -> None:
        self._desk = desk
        self._in_force = in_force

    async def stop(self, who: Who, kind: str, name: str, reason: str, unknown_name: bool = False) -> int:
        """Stop something everywhere; return the version of the controls that has it. Raises CallerError, LogUnavailable, NotNow."""
        reason = said(reason, needed=True)
        _check(kind, name, None if unknown_name else self._in_force())
        stop = Stop(kind, name, reason, who.name, self._desk.clock.now_ms())
        act = AuditAct(Audited.KILL, who.name, subject=stop.subject, reason=reason)

        async def plan() -> tuple[None, Sequence[Change], Sequence[AuditAct]]:
            before = await self._desk.store.get(STOPS, stop.subject)
            return None, [Change(STOPS, stop.subject, before, stop.stored())], [act]

        await self._desk.make(plan)
        return (await self._desk.read()).version

    async def start(self, who: Who, kind: str, name: str, reason: str) -> str:
        """Ask for something stopped to be started again; return the review id. Raises CallerError, Refused, LogUnavailable, NotNow."""
        reason = said(reason, needed=True)
        _check(kind, name, None)
        what, now_ms = subject(kind, name), self._desk.clock.now_ms()
        need = Need("start again", 1, START_ROLE, START_VALID_MS)

        async def plan() -> tuple[str, Sequence[Change], Sequence[AuditAct]]:
            stored = await self._desk.store.get(STOPS, what)
            if stored is None:
                raise Refused(f"{what} is not stopped")
            text = canonical(
                {
                    "format": 1,
                    "kind": "start",
                    "subject": what,
                    "stop": orjson.Fragment(stored),
                    "stop_digest": digest_of(stored),
                    "asked_by": who.name,
                    "asked_at_ms": now_ms,
                    "reason": reason,
                    "needs": [need.document()],
                }
            )
            digest = digest_of(text)
            acts = (Act(SUBMIT, who.name, tuple(sorted(who.roles)), now_ms, reason),)
            item = ReviewItem(digest, "start", what, "", (need,), "", acts)
            changes = [Change(ITEMS, digest, None, item.stored()), Change(TEXTS, digest, None, text)]
            act = AuditAct(Audited.SUBMIT, who.name, START_ROLE, what, digest_after=digest, reason=f"start again: {reason}")
            return digest, changes, [act]

        return await self._desk.make(plan)


def _check(kind: str, name: str, bundle: Bundle | None) -> None:
    """Raise CallerError for what cannot be stopped. With a bundle, its names alone can."""
    if kind not in KINDS:
        raise CallerError((FieldViolation("kind", "wants OFFER, GROUP, MODEL or ALL"),))
    if (kind == "all") is bool(name):
        raise CallerError((FieldViolation("name", "wants the name of what is stopped; ALL has none"),))
    if name and not re.fullmatch(NAME_PATTERN[1:-1], name):
        raise CallerError((FieldViolation("name", "wants 1 to 128 letters, digits, `.`, `_` and `-`, as every name in a bundle"),))
    if bundle is None or kind == "all":
        return
    known = {
        "offer": set(bundle.offer_index),
        "group": {offer.group for offer in bundle.offers if offer.group},
        "model": {model.name for model in bundle.models},
    }[kind]
    if name not in known:
        mend = did_you_mean(name, known, one_of(known))
        text = f"the bundle in force has no {kind} of this name; {mend} To stop it all the same, say so (unknown_name, --unknown-name)"
        raise CallerError((FieldViolation("name", text),))
