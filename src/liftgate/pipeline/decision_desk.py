"""Per-decision review: what is put before reviewers, and what they say, audited before it counts."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.domain.errors import CallerError, FieldViolation, NotFound, NotNow, NotPermitted, StoreUnavailable
from liftgate.domain.verdict import PREFIX, Asked, Verdict
from liftgate.pipeline.audit import Act, Audit, AuditAct
from liftgate.pipeline.desk import STORE_SILENT, Who, said
from liftgate.pipeline.ports import Clock, ReviewQueue
from liftgate.pipeline.review_desk import FEWEST_DIGITS
from liftgate.pipeline.walk import Walk

__all__ = ["DecisionDesk", "asked_for"]


def asked_for(walk: Walk) -> list[Asked]:
    """Return what a walk's own decisions put before reviewers."""
    batch, bundle, found = walk.batch, walk.live.bundle, []
    if batch.requested is None:
        return []
    for decision in walk.decided():
        if decision.review_id:
            k, request = int(batch.requested[decision.row]), batch.requests[decision.row]
            offer, wanted = bundle.offers[k], bundle.each_decision[k]
            instead = ", ".join(bundle.offers[i].offer_id for i in decision.offered) or "nothing"
            found.append(
                Asked(
                    review_id=decision.review_id,
                    decision_id=decision.decision_id,
                    person_id=request.person_id,
                    pseudonym=walk.pseudonyms[decision.row].hex(),
                    offer_id=offer.offer_id,
                    placement_id=request.placement_id,
                    bundle=bundle.name,
                    digest=wanted.digest,
                    role=wanted.role,
                    valid_for_ms=wanted.valid_for_ms,
                    asked_at_ms=int(batch.now_ms[decision.row]),
                    explanation=f"It passed every other guardrail and would have come first in {request.placement_id}, "
                    f"worth {offer.value:g} {bundle.currency} times its chance; {instead} was shown instead.",
                )
            )
    return found


class DecisionDesk:
    """Single decisions that wait, and their verdicts."""

    def __init__(self, queue: ReviewQueue, audit: Audit, clock: Clock) -> None:
        self._queue = queue
        self._audit = audit
        self._clock = clock

    async def waiting(self) -> Sequence[Asked]:
        """Return what waits, oldest first. Raises NotNow."""
        try:
            return await self._queue.waiting()
        except StoreUnavailable:
            raise NotNow(STORE_SILENT) from None

    async def find(self, review_id: str) -> Asked:
        """Return what waits under an id, or under its beginning: `d-` and 8 digits or more. Raises NotFound, CallerError, NotNow."""
        review_id = review_id.strip().lower()
        try:
            asked = await self._queue.get(review_id)
            if asked is not None:
                return asked
            short = len(review_id) < len(PREFIX) + FEWEST_DIGITS
            found = [] if short else [one for one in await self._queue.waiting() if one.review_id.startswith(review_id)]
        except StoreUnavailable:
            raise NotNow(STORE_SILENT) from None
        if len(found) > 1:
            raise CallerError((FieldViolation("review_id", "begins more than one decision's id: give more digits"),))
        if not found:
            raise NotFound("no decision waits under this id, any more; `liftgate review list --decisions` shows those that do")
        return found[0]

    async def decide(self, who: Who, review_id: str, approved: bool, reason: str) -> tuple[Asked, Verdict]:
        """Say yes or no to showing an offer to a person. Raises NotFound, NotPermitted, CallerError, NotNow, LogUnavailable."""
        reason = said(reason, needed=not approved)
        asked = await self.find(review_id)
        try:
            if asked.role not in who.roles:
                raise NotPermitted(f"{who.name} lacks the role `{asked.role}`")
            now_ms = self._clock.now_ms()
            verdict = Verdict(approved, who.name, now_ms, asked.asked_at_ms, now_ms + asked.valid_for_ms, asked.review_id, asked.digest)
            act = Act.APPROVE if approved else Act.REJECT
            subject = f"offer/{asked.offer_id} for {asked.pseudonym}"
            await self._audit.append(AuditAct(act, who.name, asked.role, subject, digest_after=asked.digest, reason=reason))
            await self._queue.settle(asked, verdict)
        except StoreUnavailable:
            raise NotNow("Redis did not answer, so it is not known whether this was done; list the decisions that wait") from None
        return asked, verdict

    async def withdraw(self, who: Who, review_id: str, reason: str) -> Asked:
        """Take a verdict back: the next decision for the person asks again. Raises as `decide` does."""
        reason = said(reason, needed=True)
        try:
            settled = await self._queue.settled(review_id)
            if settled is None:
                raise NotFound("no verdict stands under this id, any more; give the whole id, as approve and reject have printed it")
            asked, _ = settled
            if asked.role not in who.roles:
                raise NotPermitted(f"{who.name} lacks the role `{asked.role}`")
            subject = f"offer/{asked.offer_id} for {asked.pseudonym}"
            await self._audit.append(AuditAct(Act.WITHDRAW, who.name, asked.role, subject, digest_before=asked.digest, reason=reason))
            await self._queue.withdraw(asked)
        except StoreUnavailable:
            raise NotNow("Redis did not answer, so it is not known whether this was done; repeat the call") from None
        return asked
