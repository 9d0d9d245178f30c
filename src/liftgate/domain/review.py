"""Four-eyes review: what is reviewed, who did what to it, and until when it therefore stands. Pure; time comes with the acts.

A review item is the list of acts about one digest. Everything else (authors, approvals, state) is read off that list, so it can be audited
act by act. An item speaks of exactly one text: another text has another digest and begins without acts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import orjson

SUBMIT, APPROVE, REJECT, WITHDRAW, BREAK_GLASS = ACTS = ("submit", "approve", "reject", "withdraw", "break_glass")
LONGEST_GLASS_MS = 24 * 60 * 60 * 1000
"""Break-glass lasts no longer."""
MAX_ACTS = 1_000
"""Of one item."""
DEFAULT_ROLE = "reviewer"
"""Who may approve where a rule names no role."""


@dataclass(frozen=True, slots=True)
class Need:
    """One condition for an approval to stand; an item may have several, and all must hold."""

    because: str
    """The class of sensitive things, or the rule, that asks for it: `credit`, `price`, `review of offer loan`."""
    approvers: int
    """Different people, 1 and up."""
    role: str
    """Each must have it."""
    valid_for_ms: int
    """An approval counts for so long."""

    def document(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"because": self.because, "approvers": self.approvers, "role": self.role, "valid_for_ms": self.valid_for_ms}


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that one person did about an item."""

    act: str
    """One of ACTS."""
    by: str
    """The operator's name."""
    roles: tuple[str, ...]
    """Roles that they had then."""
    at_ms: int
    reason: str = ""
    until_ms: int = 0
    """Break-glass: served until then; else 0."""
    frees: bool = False
    """A withdrawal of what is sensitive no more: it may be served without review. Any other only takes approvals back."""

    def document(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "act": self.act,
            "by": self.by,
            "roles": list(self.roles),
            "at_ms": self.at_ms,
            "reason": self.reason,
            "until_ms": self.until_ms,
            "frees": self.frees,
        }


@dataclass(frozen=True, slots=True)
class Review:
    """What a bundle wants reviewed about one sensitive offer."""

    subject: str
    """`offer/NAME`"""
    digest: str
    """SHA-256 of `text`, 64 hexadecimal digits."""
    text: bytes
    """Canonical JSON of everything that decides who gets the offer, when, how often and what they get."""
    needs: tuple[Need, ...]
    source: str
    """`file:line` of the offer."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an item stands."""

    until_ms: float
    """Served while now < this; -inf: not at all."""
    rejected: bool
    approvals: tuple[Act, ...]
    """Those that count, in order."""
    glass_until_ms: float
    """End of the break-glass in force, -inf: none."""
    glass_open: bool
    """A break-glass has not been followed up by another person's approval, rejection or withdrawal."""


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One digest under review and every act about it, oldest first."""

    digest: str
    kind: str
    """offer, or start: of something stopped."""
    subject: str
    """`offer/NAME`, or what is to be started again."""
    bundle: str
    needs: tuple[Need, ...]
    source: str = ""
    acts: tuple[Act, ...] = ()

    @property
    def authors(self) -> frozenset[str]:
        """Who may not approve: everyone who submitted it, and who broke the glass."""
        return frozenset(act.by for act in self.acts if act.act in (SUBMIT, BREAK_GLASS))

    def standing(self, needs: Sequence[Need] | None = None) -> Standing:
        """Return where it stands. `needs`: those of the bundle in force; None: the item's own, which the same text gave."""
        approvals: list[Act] = []
        rejected, glass_open, glass_until, breaker = False, False, -inf, ""
        for act in self.acts:
            if act.act == SUBMIT:
                rejected = False
            elif act.act == APPROVE:
                approvals.append(act)
            elif act.act == BREAK_GLASS:
                glass_open, glass_until, breaker = True, float(act.until_ms), act.by
            else:
                approvals, glass_until = [], -inf
                rejected = act.act == REJECT
                glass_open = glass_open and act.by == breaker
        authors = self.authors
        approvals = [act for act in approvals if act.by not in authors]
        until = min((_until(approvals, need) for need in (self.needs if needs is None else needs)), default=-inf)
        return Standing(max(until, glass_until), rejected, tuple(approvals), glass_until, glass_open and until == -inf)

    def state(self, now_ms: int) -> str:
        """Return approved, break_glass, rejected, expired, withdrawn or pending."""
        standing = self.standing()
        if now_ms < standing.until_ms:
            return "break_glass" if standing.until_ms == standing.glass_until_ms else "approved"
        if standing.rejected:
            return "rejected"
        if standing.until_ms > -inf:
            return "expired"
        return "withdrawn" if self.acts and self.acts[-1].act == WITHDRAW else "pending"

    def missing(self, now_ms: int) -> list[str]:
        """Return what is still needed, in words; empty: nothing."""
        approvals = self.standing().approvals
        said = []
        for need in self.needs:
            have = {act.by for act in approvals if need.role in act.roles and now_ms < act.at_ms + need.valid_for_ms}
            if len(have) < need.approvers:
                left = need.approvers - len(have)
                said.append(f"{left} more approval{'s' if left > 1 else ''} by the role `{need.role}` ({need.because})")
        return said

    def stored(self) -> bytes:
        """Return the stored form, JSON; the digest is the key that it lies under."""
        document = {
            "v": 1,
            "kind": self.kind,
            "subject": self.subject,
            "bundle": self.bundle,
            "needs": [need.document() for need in self.needs],
            "source": self.source,
            "acts": [act.document() for act in self.acts],
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _until(approvals: Iterable[Act], need: Need) -> float:
    """Return when a need ceases to be met: its `approvers`-th latest end, each person counted once; -inf: it is not met."""
    ends: dict[str, float] = {}
    for act in approvals:
        if need.role in act.roles:
            ends[act.by] = max(ends.get(act.by, -inf), float(act.at_ms + need.valid_for_ms))
    latest = sorted(ends.values(), reverse=True)
    return latest[need.approvers - 1] if 1 <= need.approvers <= len(latest) else -inf


def objection(item: ReviewItem, act: Act) -> str | None:
    """Return in words why an act may not be done, None: it may."""
    needed = {need.role for need in item.needs}
    standing = item.standing()
    if len(item.acts) >= MAX_ACTS:
        return f"it has {MAX_ACTS} acts already: submit a changed text"
    if act.act == SUBMIT:
        return None
    if act.act == WITHDRAW and (act.by in item.authors or needed & set(act.roles)):
        return None if item.acts else "nobody has submitted it: there is nothing to withdraw"
    if not needed & set(act.roles):
        return f"{act.by} lacks the role {' or '.join(f'`{role}`' for role in sorted(needed))}"
    if act.act == BREAK_GLASS:
        return _glass_objection(item, act, needed)
    if not item.authors:
        return "nobody has submitted it, so it has no author: run `liftgate review submit` first"
    if act.act == APPROVE and act.by in item.authors:
        return f"{act.by} submitted it: another person must approve it"
    if act.act == APPROVE and standing.rejected:
        return "it was rejected: it must be submitted again first"
    return None


def _glass_objection(item: ReviewItem, act: Act, needed: set[str]) -> str | None:
    lacking = sorted(needed - set(act.roles))
    if lacking:
        return f"{act.by} lacks the role {' and '.join(f'`{role}`' for role in lacking)}"
    if item.kind != "offer":
        return "only the review of an offer can be passed over"
    if not act.reason:
        return "break-glass needs a reason"
    if not act.at_ms < act.until_ms <= act.at_ms + LONGEST_GLASS_MS:
        return "break-glass lasts at most 24 hours"
    standing = item.standing()
    if standing.rejected:
        return "it was rejected: it must be submitted again first"
    if standing.glass_open:
        return "an earlier break-glass has not been followed up: another person must approve, reject or withdraw it first"
    return None


def digest_of(text: bytes) -> str:
    """Return the digest of a reviewed text, 64 hexadecimal digits."""
    return hashlib.sha256(text).hexdigest()


def canonical(document: Any) -> bytes:
    """Return a document as the bytes that are digested: JSON, keys sorted."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def parse_item(digest: str, raw: bytes) -> ReviewItem | None:
    """Return the item stored under a digest; None: it cannot be read, and so approves nothing."""
    try:
        document: Any = orjson.loads(raw)
        if document["v"] != 1:
            return None
        return ReviewItem(
            digest,
            _text(document["kind"]),
            _text(document["subject"]),
            _text(document["bundle"]),
            needs_of(document["needs"]),
            _text(document["source"]),
            tuple(_act(act) for act in document["acts"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def needs_of(documents: Any) -> tuple[Need, ...]:
    """Return needs from their stored form, at least one. Raises ValueError, KeyError or TypeError."""
    needs = tuple(
        Need(_text(one["because"]), _number(one["approvers"]), _text(one["role"]), _number(one["valid_for_ms"])) for one in documents
    )
    if not needs or any(need.approvers < 1 or need.valid_for_ms < 1 or not need.role for need in needs):
        raise ValueError("a review needs at least one approver with a role, for some time")
    return needs


def _act(document: Any) -> Act:
    act = _text(document["act"])
    if act not in ACTS:
        raise ValueError("an act that nobody knows")
    roles = tuple(_text(role) for role in document["roles"])
    frees = document.get("frees", False) is True
    at_ms, until_ms = _number(document["at_ms"]), _number(document["until_ms"])
    return Act(act, _text(document["by"]), roles, at_ms, _text(document["reason"]), until_ms, frees)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not text")
    return value


def _number(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value
