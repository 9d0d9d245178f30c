"""Controls in memory. They pass the same contract suite as Redis: `tests/contract/test_controls.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

from liftgate.domain.control import Controls, parse_stop
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.review import parse_item
from liftgate.pipeline.audit import AuditAct
from liftgate.pipeline.controls import ITEMS, SECTIONS, STOPS, Change, Overtaken


class FakeControls:
    """ControlStore over dictionaries."""

    def __init__(self) -> None:
        self.down = False
        """True: every call raises StoreUnavailable."""
        self.listeners: list[Callable[[], None]] = []
        self._version = 0
        self._values: dict[str, dict[str, bytes]] = {section: {} for section in SECTIONS}

    async def read(self) -> Controls:
        """See `pipeline.controls.ControlStore`."""
        self._check()
        stops = tuple(parse_stop(key, raw) for key, raw in sorted(self._values[STOPS].items()))
        items = {digest: item for digest, raw in self._values[ITEMS].items() if (item := parse_item(digest, raw)) is not None}
        return Controls(True, self._version, stops, MappingProxyType(items))

    async def version(self) -> int:
        """See `pipeline.controls.ControlStore`."""
        self._check()
        return self._version

    async def get(self, section: str, key: str) -> bytes | None:
        """See `pipeline.controls.ControlStore`."""
        self._check()
        return self._values[section].get(key)

    async def change(self, changes: Sequence[Change]) -> int:
        """See `pipeline.controls.ControlStore`."""
        self._check()
        if any(self._values[change.section].get(change.key) != change.before for change in changes):
            raise Overtaken
        for change in changes:
            if change.after is None:
                self._values[change.section].pop(change.key, None)
            else:
                self._values[change.section][change.key] = change.after
        self._version += 1
        for listener in self.listeners:
            listener()
        return self._version

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("the fake is down")


class FakeAudit:
    """Audit that keeps acts in a list."""

    def __init__(self) -> None:
        self.acts: list[AuditAct] = []

    async def append(self, act: AuditAct) -> None:
        """See `pipeline.audit.Audit`."""
        self.acts.append(act)
