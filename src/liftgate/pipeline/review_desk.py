"""Four-eyes review: what operators do about it, judged by `domain/review.py`, audited, then stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import orjson

from liftgate.bundle.compiled import Bundle
from liftgate.domain.errors import CallerError, FieldViolation, NotFound, NotNow, Refused, StoreUnavailable
from liftgate.domain.review import (
    APPROVE,
    BREAK_GLASS,
    REJECT,
    SUBMIT,
    WITHDRAW,
    Act,
    ReviewItem,
    canonical,
    digest_of,
    needs_of,
    objection,
    parse_item,
)
from liftgate.pipeline.audit import Act as Audited
from liftgate.pipeline.audit import AuditAct
from liftgate.pipeline.controls import ITEMS, STOPS, TEXTS, Change
from liftgate.pipeline.desk import STORE_SILENT, Desk, Who, said

MAX_TEXT_BYTES = 256 * 1024
MAX_SUBMISSIONS = 500
MAX_SOURCE_BYTES = 256
FEWEST_DIGITS = 8
_AUDITED = {APPROVE: Audited.APPROVE, REJECT: Audited.REJECT, WITHDRAW: Audited.WITHDRAW, BREAK_GLASS: Audited.BREAK_GLASS}


@dataclass(frozen=True, slots=True)
class Shown:
    """An item with its texts."""

    item: ReviewItem
    text: bytes
    approved: tuple[str, bytes] | None
    """(digest, text) of what was last approved about the same thing; None: nothing was."""


class ReviewDesk:
    """The review desk of one worker. `in_force` gives its bundle."""

    def __init__(
        self, desk: Desk, in_force: Callable[[], Bundle], publishers: Callable[[str], Awaitable[frozenset[str]]] | None = None
    ) -> None:
        """`publishers` gives who published a bundle's digest, and raises StoreUnavailable; None: nobody's name is kept."""
        self._desk = desk
        self._in_force = in_force
        self._publishers = publishers

    @property
    def now_ms(self) -> int:
        """The desk's clock."""
        return self._desk.clock.now_ms()

    async def items(self) -> tuple[list[ReviewItem], frozenset[str]]:
        """Return every item, with those that the bundle in force wants and nobody submitted, and the digests in force. Raises NotNow."""
        controls, bundle = await self._desk.read(), self._in_force()
        wanted = {review.digest: review for review in bundle.reviews.values()}
        missing = [
            ReviewItem(digest, "offer", review.subject, bundle.name, review.needs, review.source)
            for digest, review in wanted.items()
            if digest not in controls.items
        ]
        return [*controls.items.values(), *missing], frozenset(wanted)

    async def show(self, prefix: str) -> Shown:
        """Return an item with its text. Raises CallerError, NotFound, NotNow."""
        items, _ = await self.items()
        item = _find(items, prefix)
        try:
            text = await self._desk.store.get(TEXTS, item.digest) or self._text_in_force(item.digest)
            approved = None
            before = [
                (max(act.at_ms for act in other.acts if act.act == APPROVE), other.digest)
                for other in items
                if other.subject == item.subject and other.bundle == item.bundle and other.kind == item.kind == "offer"
                if other.digest != item.digest and any(act.act == APPROVE for act in other.acts)
            ]
            if before:
                digest = max(before)[1]
                approved = (digest, await self._desk.store.get(TEXTS, digest) or b"{}")
        except StoreUnavailable:
            raise NotNow(STORE_SILENT) from None
        return Shown(item, text, approved)

    async def submit(self, who: Who, submissions: Sequence[tuple[str, str]], reason: str = "") -> list[ReviewItem]:
        """Put (text, source) pairs under review; the operator is an author of each. Raises CallerError, Refused, NotNow, LogUnavailable."""
        reason = said(reason, needed=False)
        if not 0 < len(submissions) <= MAX_SUBMISSIONS:
            raise CallerError((FieldViolation("submissions", f"wants 1 to {MAX_SUBMISSIONS} texts, not {len(submissions)}"),))
        fresh = [_read(i, text, source) for i, (text, source) in enumerate(submissions)]
        return [await self._submit(who, item, text, reason) for item, text in fresh]

    async def _submit(self, who: Who, fresh: ReviewItem, text: bytes, reason: str) -> ReviewItem:
        act = Act(SUBMIT, who.name, tuple(sorted(who.roles)), self.now_ms, reason)
        audited = AuditAct(Audited.SUBMIT, who.name, "", fresh.subject, digest_after=fresh.digest, reason=reason)

        async def plan() -> tuple[ReviewItem, Sequence[Change], Sequence[AuditAct]]:
            raw, kept = await self._desk.store.get(ITEMS, fresh.digest), await self._desk.store.get(TEXTS, fresh.digest)
            item = (parse_item(fresh.digest, raw) if raw is not None else None) or fresh
            problem = objection(item, act)
            if problem:
                raise Refused(problem)
            after = replace(item, acts=(*item.acts, act), source=fresh.source or item.source)
            return after, [Change(ITEMS, fresh.digest, raw, after.stored()), Change(TEXTS, fresh.digest, kept, text)], [audited]

        return await self._desk.make(plan)

    async def act(self, who: Who, act: str, prefix: str, reason: str = "", for_ms: int = 0) -> ReviewItem:
        """Approve, reject, withdraw or break_glass an item; return it as it then is.

        Raises CallerError, NotFound, Refused (with the reason in words), NotNow, LogUnavailable.
        """
        reason = said(reason, needed=act != APPROVE)
        now_ms = self.now_ms
        items, _ = await self.items()
        found = _find(items, prefix)
        if act == BREAK_GLASS and for_ms <= 0:
            raise CallerError((FieldViolation("for_ms", "say for how long, at most 24 hours"),))
        until_ms = now_ms + for_ms if act == BREAK_GLASS else 0
        frees = act == WITHDRAW and self._sensitive_no_more(found)
        done = Act(act, who.name, tuple(sorted(who.roles)), now_ms, reason, until_ms, frees)
        await self._refuse_publisher(who, act, found)
        if act == BREAK_GLASS and any(
            other.subject == found.subject and other.digest != found.digest and other.standing().glass_open for other in items
        ):
            raise Refused(
                f"an earlier break-glass of {found.subject} has not been followed up: another person must approve, reject or withdraw it"
            )

        async def plan() -> tuple[ReviewItem, Sequence[Change], Sequence[AuditAct]]:
            raw = await self._desk.store.get(ITEMS, found.digest)
            item = (parse_item(found.digest, raw) if raw is not None else None) or found
            problem = objection(item, done)
            if problem:
                raise Refused(problem)
            after = replace(item, acts=(*item.acts, done))
            changes = [Change(ITEMS, item.digest, raw, after.stored())]
            kept = await self._desk.store.get(TEXTS, item.digest)
            text = kept or self._text_in_force(item.digest)
            if digest_of(text) != item.digest:
                raise Refused("its text is not here any more: submit it again")
            if kept is None:
                changes.append(Change(TEXTS, item.digest, None, text))
            started = item.kind == "start" and act == APPROVE and after.standing().until_ms > now_ms
            if started:
                changes.append(await self._lifted(item, text))
            used = ", ".join(sorted({need.role for need in item.needs} & who.roles))
            audited = [AuditAct(_AUDITED[act], who.name, used, item.subject, digest_after=item.digest, reason=reason)]
            if started:
                audited.append(AuditAct(Audited.START, who.name, used, item.subject, digest_after=item.digest, reason=item.acts[0].reason))
            return after, changes, audited

        return await self._desk.make(plan)

    async def _lifted(self, item: ReviewItem, text: bytes) -> Change:
        """Return the change that starts something again, if it is still stopped as it was when that was asked for."""
        stored = await self._desk.store.get(STOPS, item.subject)
        if stored is None:
            raise Refused(f"{item.subject} is not stopped any more")
        if orjson.loads(text)["stop_digest"] != digest_of(stored):
            raise Refused(f"{item.subject} was stopped again after this was asked for: ask anew with `liftgate start`")
        return Change(STOPS, item.subject, stored, None)

    async def _refuse_publisher(self, who: Who, act: str, item: ReviewItem) -> None:
        """Raise Refused where somebody would approve what they published: its author is who submitted it, and who published it."""
        bundle = self._in_force()
        if act != APPROVE or self._publishers is None or not any(review.digest == item.digest for review in bundle.reviews.values()):
            return
        try:
            publishers = await self._publishers(bundle.digest)
        except StoreUnavailable:
            raise NotNow(STORE_SILENT) from None
        if who.name in publishers:
            raise Refused(f"{who.name} published the bundle in force, and so is its author: another person must approve it")

    def _sensitive_no_more(self, item: ReviewItem) -> bool:
        bundle = self._in_force()
        k = bundle.offer_index.get(item.subject.removeprefix("offer/")) if item.kind == "offer" and item.bundle == bundle.name else None
        return k is not None and k not in bundle.reviews

    def _text_in_force(self, digest: str) -> bytes:
        return next((review.text for review in self._in_force().reviews.values() if review.digest == digest), b"")


def _find(items: Sequence[ReviewItem], prefix: str) -> ReviewItem:
    prefix = prefix.strip().lower()
    if len(prefix) < FEWEST_DIGITS or any(letter not in "0123456789abcdef" for letter in prefix):
        raise CallerError((FieldViolation("review_id", f"wants the item's id, or its first {FEWEST_DIGITS} digits or more"),))
    found = [item for item in items if item.digest.startswith(prefix)]
    if not found:
        raise NotFound("no review item has this id; `liftgate review list --all` shows them")
    if len(found) > 1:
        raise CallerError((FieldViolation("review_id", "begins more than one item's id: give more digits"),))
    return found[0]


def _read(index: int, text: str, source: str) -> tuple[ReviewItem, bytes]:
    """Return the item of a submitted text, without acts. Raises CallerError."""
    at = f"submissions[{index}]"
    raw = text.encode("utf-8", "surrogatepass")
    if not 0 < len(raw) <= MAX_TEXT_BYTES or len(source.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES:
        raise CallerError((FieldViolation(at, f"wants a text of at most {MAX_TEXT_BYTES} bytes and a source of {MAX_SOURCE_BYTES}"),))
    try:
        document: Any = orjson.loads(raw)
        needs = needs_of(document["needs"])
        subject, bundle = document["subject"], document["bundle"]
        fine = canonical(document) == raw and document["format"] == 1 and document["kind"] == "offer"
        fine = fine and isinstance(bundle, str) and isinstance(subject, str) and subject.startswith("offer/")
    except (ValueError, KeyError, TypeError):
        fine = False
    if not fine:
        raise CallerError((FieldViolation(f"{at}.text", "is no text for review as `liftgate review submit` makes it of a bundle"),))
    return ReviewItem(digest_of(raw), "offer", subject, bundle, needs, source), raw


def waits(item: ReviewItem, now_ms: int, in_force: bool) -> bool:
    """Say whether an item waits for somebody: a follow-up, a request to start, or what is in force and may not be served."""
    standing = item.standing()
    if standing.glass_open:
        return True
    if item.kind == "start":
        return standing.until_ms == -inf and not standing.rejected and item.state(now_ms) == "pending"
    return now_ms >= standing.until_ms and (in_force or item.state(now_ms) == "pending")
