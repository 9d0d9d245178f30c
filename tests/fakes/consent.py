"""Consent documents in memory. They pass the same contract suite as Redis: `tests/contract/test_consent_store.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from liftgate.domain.consent_history import KEPT
from liftgate.domain.errors import StoreUnavailable


@dataclass
class FakeConsentStore:
    """A ConsentStore over a dictionary. Share `documents` with a MemoryProfileStore's `consent` to see what it sets."""

    documents: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, list[bytes]] = field(default_factory=dict)
    """Histories."""
    forgotten: list[str] = field(default_factory=list)
    """Whose feature states went with a change of consent."""
    down: bool = False
    """True: every call raises StoreUnavailable."""
    before_swap: Callable[[], None] = lambda: None
    """Called just before a swap looks: somebody else comes first."""

    async def get(self, person_id: str, budget_s: float) -> bytes | None:
        """See `pipeline.consent_store.ConsentStore`."""
        self._check(budget_s)
        return self.documents.get(person_id)

    async def last(self, person_id: str, budget_s: float) -> bytes | None:
        """See `pipeline.consent_store.ConsentStore`."""
        self._check(budget_s)
        return next(iter(self.entries.get(person_id, [])[-1:]), None)

    async def history(self, person_id: str, budget_s: float) -> list[bytes]:
        """See `pipeline.consent_store.ConsentStore`."""
        self._check(budget_s)
        return list(self.entries.get(person_id, ()))

    async def swap(
        self,
        person_id: str,
        before: bytes | None,
        after: bytes,
        budget_s: float,
        *,
        last: bytes | None = None,
        entry: bytes = b"",
        forget: bool = False,
    ) -> bool:
        """See `pipeline.consent_store.ConsentStore`."""
        self._check(budget_s)
        self.before_swap()
        if self.documents.get(person_id) != before:
            return False
        if entry:
            entries = self.entries.setdefault(person_id, [])
            if next(iter(entries[-1:]), None) != last:
                return False
            self.entries[person_id] = [*entries, entry][-KEPT:]
        self.documents[person_id] = after
        if forget:
            self.forgotten.append(person_id)
        return True

    def _check(self, budget_s: float) -> None:
        if self.down or budget_s <= 0:
            raise StoreUnavailable("the fake is down")
