"""Erasing a person: everything held about them goes, and what is left cannot be tied to them. ADR 0020 says how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from liftgate.pipeline.audit import Act, Audit, AuditAct
from liftgate.pipeline.consent_store import Author


class ErasureStore(Protocol):
    """What is held about people in the store of people."""

    async def erased_at(self, people: Sequence[str], budget_s: float) -> Sequence[int | None]:
        """Return when each was erased, milliseconds since the Unix epoch; None: they were not. Raises StoreUnavailable."""
        ...

    async def erase(self, person_id: str, account_id: str, at_ms: int, left_s: Callable[[], float]) -> int:
        """Leave a tombstone, remove everything about the person, and what is counted for the account (empty: none); return how many values.

        Decisions that are under way meanwhile leave nothing behind. Raises StoreUnavailable: then some may be left, and a repeat
        removes it.
        """
        ...

    async def lift(self, person_id: str, budget_s: float) -> None:
        """Take the tombstone away: the person came back. Raises StoreUnavailable."""
        ...


class Journal(Protocol):
    """Which people were erased, as keyed hashes, outside the store: a restored backup of it is made to forget them again."""

    async def add(self, person_id: str, at_ms: int) -> None:
        """Return when it is on stable storage. Raises LogUnavailable."""
        ...


async def erase(
    store: ErasureStore,
    journal: Journal,
    audit: Audit,
    author: Author,
    person_id: str,
    account_id: str,
    reason: str,
    receipt: str,
    now_ms: int,
    left_s: Callable[[], float],
) -> int:
    """Erase a person and return how many values went. `receipt` is random: the audit chain has it in the person's place.

    Raises LogUnavailable before anything happened, StoreUnavailable when it has to be repeated.
    """
    await audit.append(AuditAct(Act.ERASE, actor=author.name, role=author.role, subject=f"erasure:{receipt}", reason=reason))
    await journal.add(person_id, now_ms)
    return await store.erase(person_id, account_id, now_ms, left_s)
