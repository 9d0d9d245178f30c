"""What is in force by people's word, for the walk: the latest snapshot, compiled for a bundle once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.control_columns import control_columns
from liftgate.domain.control import ALL_CLEAR, ControlColumns, Controls


class ControlPanel:
    """Holds the snapshot in force. Whoever watches the store puts a new one; a batch takes its columns once. One event loop."""

    __slots__ = ("_columns", "_for", "controls")

    def __init__(self, controls: Controls = ALL_CLEAR) -> None:
        self.controls = controls
        self._for: tuple[Controls, Bundle] | None = None
        self._columns = ControlColumns()

    def put(self, controls: Controls) -> None:
        """Put a snapshot in force: every batch that begins from now on has it."""
        self.controls = controls

    def columns(self, bundle: Bundle) -> ControlColumns:
        """Return the snapshot against a bundle."""
        known = self._for
        if known is None or known[0] is not self.controls or known[1] is not bundle:
            self._columns = control_columns(self.controls, bundle)
            self._for = (self.controls, bundle)
        return self._columns


STOPS, ITEMS, TEXTS = SECTIONS = ("stops", "items", "texts")
"""What is stored: stops by subject, review items by digest, reviewed texts by digest."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value to be replaced, if it still is what it was."""

    section: str
    """One of SECTIONS."""
    key: str
    before: bytes | None
    """What must be stored now; None: nothing."""
    after: bytes | None
    """What to store; None: remove it."""


class Overtaken(Exception):
    """Somebody else has changed a value meanwhile: read again."""


class ControlStore(Protocol):
    """Where stops, review items and reviewed texts are kept. Every change is told to all who watch, at once."""

    async def read(self) -> Controls:
        """Return everything but texts, as of one moment. Raises StoreUnavailable."""
        ...

    async def version(self) -> int:
        """Return the version alone. Raises StoreUnavailable."""
        ...

    async def get(self, section: str, key: str) -> bytes | None:
        """Return one stored value, None: nothing. Raises StoreUnavailable."""
        ...

    async def change(self, changes: Sequence[Change]) -> int:
        """Make all changes or none, raise the version by one and tell everyone; return the new version.

        Raises Overtaken when a value is not what it was, and then nothing has changed. Raises StoreUnavailable: they may have been made.
        """
        ...
