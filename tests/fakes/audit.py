"""The audit chain, in memory: what was asked of it, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from liftgate.domain.errors import LogUnavailable
from liftgate.pipeline.audit import AuditAct


@dataclass
class FakeAudit:
    """An Audit over a list."""

    acts: list[AuditAct] = field(default_factory=list)
    down: bool = False
    """True: every call raises LogUnavailable."""
    on_append: Callable[[AuditAct], None] = lambda act: None
    """Called with each act while it has not happened yet."""

    async def append(self, act: AuditAct) -> None:
        """See `pipeline.audit.Audit`."""
        if self.down:
            raise LogUnavailable("the fake is down")
        self.on_append(act)
        self.acts.append(act)
