"""What administrators do, as it goes into the audit chain, and the port that takes it. `adapters/audit_log.py` implements it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Act(IntEnum):
    """The closed list of administrative acts; names and numbers equal `liftgate.v1.AuditAct`."""

    UNSPECIFIED = 0
    """Never written."""
    PUBLISH = 1
    """A bundle was announced with its author."""
    RELOAD = 2
    """A worker swapped its bundle."""
    APPROVE = 3
    """A review said yes."""
    REJECT = 4
    """A review said no."""
    WITHDRAW = 5
    """An approval was taken back."""
    KILL = 6
    """Something was stopped."""
    START = 7
    """Something stopped was started again."""
    CONSENT_CHANGE = 8
    """A person's consent was changed; the subject is a pseudonym."""
    ERASE = 9
    """A person was erased; the subject is a pseudonym."""
    BREAK_GLASS = 10
    """Something was served without the approval that it needs; the reason says why."""
    SUBMIT = 11
    """Something was put under review: an offer, or the wish to start again what is stopped."""


@dataclass(frozen=True, slots=True)
class AuditAct:
    """One act, before it happens. Texts have at most 4096 bytes each; longer ones are cut, never refused."""

    act: Act
    actor: str
    """The operator's name, or `system:` and what moved the service, such as `system:sighup`."""
    role: str = ""
    """The role that allowed it; empty: none was needed."""
    subject: str = ""
    """What it was done to, such as `offer:gold-card` or `placement:home.hero`. NEVER a person's id: a pseudonym, hexadecimal."""
    digest_before: str = ""
    """Digest of what stood before, 64 hexadecimal digits; empty: nothing did, or it has no digest."""
    digest_after: str = ""
    """Digest of what stands afterwards."""
    reason: str = ""
    """What the operator said; may be empty."""


class Audit(Protocol):
    """The audit chain."""

    async def append(self, act: AuditAct) -> None:
        """Return when the act's record is on stable storage; acts that arrive while a sync runs share the next.

        Raises LogUnavailable when it is not: then the act must not happen. Call it before the act, when nothing else can refuse it.
        """
        ...
