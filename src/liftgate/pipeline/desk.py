"""What control and review desks share: who acts, and a change that is judged, audited and then made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from liftgate.domain.contact_detail import NAMES_SOMEBODY, names_somebody
from liftgate.domain.control import MAX_REASON_CHARACTERS, Controls
from liftgate.domain.errors import CallerError, FieldViolation, NotNow, StoreUnavailable
from liftgate.pipeline.audit import Audit, AuditAct
from liftgate.pipeline.controls import Change, ControlStore, Overtaken
from liftgate.pipeline.ports import Clock

TRIES = 5
"""How often a change that others overtake is judged anew."""
R = TypeVar("R")


class Who(Protocol):
    """Who makes a privileged call."""

    @property
    def name(self) -> str:
        """The operator's name."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """Their roles, now."""
        ...


class Desk:
    """Makes changes to the controls. One event loop."""

    def __init__(self, store: ControlStore, audit: Audit, clock: Clock, refresh: Callable[[], Awaitable[Controls]]) -> None:
        """`refresh` puts the store's state in force on this worker; the others are told by the store."""
        self.store = store
        self.clock = clock
        self._audit = audit
        self._refresh = refresh

    async def read(self) -> Controls:
        """Return the store's state as of now, in force on this worker too. Raises NotNow."""
        try:
            return await self._refresh()
        except StoreUnavailable:
            raise NotNow(STORE_SILENT) from None

    async def make(self, plan: Callable[[], Awaitable[tuple[R, Sequence[Change], Sequence[AuditAct]]]]) -> R:
        """Plan, audit, change, and put it in force here. A plan that others overtake is made anew; its acts are audited once.

        Raises what the plan raises, LogUnavailable (nothing was done), NotNow (it may have been done).
        """
        audited: set[AuditAct] = set()
        try:
            for _ in range(TRIES):
                result, changes, acts = await plan()
                for act in acts:
                    if act not in audited:
                        await self._audit.append(act)
                        audited.add(act)
                try:
                    await self.store.change(changes)
                except Overtaken:
                    continue
                await self._refresh()
                return result
        except StoreUnavailable:
            raise NotNow(STORE_AWAY) from None
        raise NotNow("others change the same thing all the time; look again and repeat the call")


STORE_SILENT = "Redis did not answer; nothing was changed, try again"
"""Before anything was changed."""
STORE_AWAY = "Redis did not answer, so it is not known whether this was done; look with `liftgate review list` or `liftgate stop list`"


def said(reason: str, needed: bool) -> str:
    """Return what an operator said, trimmed. Raises CallerError."""
    text = " ".join(reason.split())
    if needed and not text:
        raise CallerError((FieldViolation("reason", "say why; it is kept in the audit chain"),))
    if len(text) > MAX_REASON_CHARACTERS:
        raise CallerError((FieldViolation("reason", f"wants at most {MAX_REASON_CHARACTERS} characters"),))
    if names_somebody(text):
        raise CallerError((FieldViolation("reason", NAMES_SOMEBODY),))
    return text
