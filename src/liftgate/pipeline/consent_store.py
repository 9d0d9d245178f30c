"""Changing what is on record about a person's consent: one purpose at a time, never over somebody else's change, never unaudited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from liftgate.domain import consent
from liftgate.domain.consent_history import entry
from liftgate.domain.consent_record import ConsentRecord, with_record
from liftgate.domain.errors import NotNow
from liftgate.domain.reason import Reason
from liftgate.pipeline.audit import Act, Audit, AuditAct

ATTEMPTS = 5
"""Changes tried against others' before the caller is told to try again."""


class ConsentStore(Protocol):
    """Consent documents of people, whole."""

    async def get(self, person_id: str, budget_s: float) -> bytes | None:
        """Return the stored document, None: nothing is stored. Raises StoreUnavailable within the budget."""
        ...

    async def last(self, person_id: str, budget_s: float) -> bytes | None:
        """Return the last entry of the person's history, None: there is none. Raises StoreUnavailable within the budget."""
        ...

    async def history(self, person_id: str, budget_s: float) -> list[bytes]:
        """Return the entries of the person's history, oldest first, at most `consent_history.KEPT`. Raises StoreUnavailable."""
        ...

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
        """Store `after` if what is stored still is `before`, in one atomic step, and say whether it was.

        `forget` removes what events say of the person in the same step. With an `entry` it is added to the history in the same step, and
        only while `last` is its last one. A value that is no text is never `before`. Raises StoreUnavailable within the budget; then it
        may or may not be stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class Author:
    """Who asks for a change."""

    name: str
    """The operator's, or `system:backend`."""
    role: str = ""


async def set_consent(
    store: ConsentStore,
    audit: Audit,
    pseudonym: bytes,
    author: Author,
    person_id: str,
    record: ConsentRecord,
    now_ms: int,
    *,
    replace_unreadable: bool = False,
    profile_purpose: str = "",
    left_s: Callable[[], float],
) -> None:
    """Put one purpose's record on file. `pseudonym` stands for them; `left_s` gives what is left of the call, seconds.

    Where it ends or renews the use of the profile, `profile_purpose`, what events say of the person goes in the same step.

    The audit chain has the change before it takes effect, once for every attempt: the last entry is the one that did. The person's
    history gets an entry at `now_ms` in the same step as the change. Setting what stands already is no change and no act.
    Raises UnreadableConsent, OlderConsent, LogUnavailable, StoreUnavailable, and NotNow when others keep changing it.
    """
    for _ in range(ATTEMPTS):
        before = await store.get(person_id, left_s())
        after = with_record(before, record, replace_unreadable)
        if after == before:
            return
        await audit.append(
            AuditAct(
                Act.CONSENT_CHANGE,
                actor=author.name,
                role=author.role,
                subject=f"person:{pseudonym.hex()}",
                digest_before="" if before is None else sha256(before).hexdigest(),
                digest_after=sha256(after).hexdigest(),
                reason=f"{record.purpose}: {record.status}",
            )
        )
        last = await store.last(person_id, left_s())
        added = entry(last, now_ms, author.name, record, before, after)
        forget = record.purpose == profile_purpose and _ends_or_renews(before, record, now_ms)
        if await store.swap(person_id, before, after, left_s(), last=last, entry=added, forget=forget):
            return
    raise NotNow("the person's consent went on changing meanwhile; try again")


def _ends_or_renews(before: bytes | None, record: ConsentRecord, now_ms: int) -> bool:
    """Say whether a record refuses its purpose, or what stood before it did: then nothing from before may count."""
    (reason,), _, _ = consent.parse(before, (record.purpose,), now_ms)
    return record.status != "granted" or reason not in (Reason.ALLOWED, Reason.CONSENT_MISSING)
