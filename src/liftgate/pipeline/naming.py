"""What stands for people in the log, for what is no decision: events, and changes of consent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Named(NamedTuple):
    """What stands for a person in the log."""

    pseudonym: bytes
    """16 bytes."""
    once: bool = False
    """It stands for this one row: the person was erased, or the store is away and their key is not remembered."""
    erased_at_ms: int | None = None
    """When they were erased; None: they were not, or came back, or nobody can tell."""
    key: bytes | None = None
    """Their own key, as far as the store told it."""


class Naming(Protocol):
    """What stands for people in the log, for what is no decision."""

    @property
    def key_id(self) -> str:
        """Which key makes the pseudonyms, as rows have it."""
        ...

    async def named(self, people: Sequence[str]) -> Sequence[Named]:
        """Return what stands for each; their keys are made where they have none and were not erased. Never raises."""
        ...

    def account(self, account_id: str, person_id: str, name: Named) -> bytes | None:
        """Return what stands for a person's account; None: the log's key alone makes that. Never raises."""
        ...
