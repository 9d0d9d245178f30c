"""The stores in memory, by the names that tests know them by. They pass the same contract suite as Redis: `tests/contract`."""

from __future__ import annotations

from liftgate.adapters.memory_stores import MAX_ENTRIES, History
from liftgate.adapters.memory_stores import MemoryProfileStore as FakeProfileStore
from liftgate.adapters.memory_stores import MemoryReservations as FakeReservations

__all__ = ["MAX_ENTRIES", "FakeProfileStore", "FakeReservations", "History"]
