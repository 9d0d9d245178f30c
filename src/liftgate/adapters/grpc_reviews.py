"""ReviewService: four-eyes review behind the wire."""

from __future__ import annotations

from math import isfinite
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from liftgate.adapters.grpc_errors import CallObserver, Report
from liftgate.adapters.grpc_requests import malformed
from liftgate.adapters.grpc_service import Call, Handler, answering, deadline_of
from liftgate.adapters.operators import Operators
from liftgate.adapters.review_words import decision_words, words
from liftgate.domain.errors import CallerError, FieldViolation
from liftgate.domain.review import APPROVE, BREAK_GLASS, REJECT, WITHDRAW, ReviewItem
from liftgate.domain.verdict import PREFIX, Asked, Verdict
from liftgate.pipeline.decision_desk import DecisionDesk
from liftgate.pipeline.review_desk import ReviewDesk, waits
from liftgate.v1 import review_service_pb2 as wire

_DEADLINE_S = 5.0
_FOREVER_MS = 2**62
M = TypeVar("M", bound=Message)


class ReviewService:
    """`liftgate.v1.ReviewService`. One event loop."""

    def __init__(
        self, desk: ReviewDesk, decisions: DecisionDesk, operators: Operators, observer: CallObserver, report: Report | None = None
    ) -> None:
        self._desk = desk
        self._decisions = decisions
        self._operators = operators
        self._observer = observer
        self._report = report

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        methods = {
            "List": self.list,
            "Get": self.get,
            "Submit": self.submit,
            "Approve": self._acting(APPROVE, wire.ApproveRequest, wire.ApproveResponse),
            "Reject": self._acting(REJECT, wire.RejectRequest, wire.RejectResponse),
            "Withdraw": self._acting(WITHDRAW, wire.WithdrawRequest, wire.WithdrawResponse),
            "BreakGlass": self._acting(BREAK_GLASS, wire.BreakGlassRequest, wire.BreakGlassResponse),
        }
        return {name: answering(name, method, self._observer, self._report) for name, method in methods.items()}

    async def list(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded ReviewServiceListRequest."""
        deadline_of(call, _DEADLINE_S)
        self._operators.authorise(call.invocation_metadata())
        asked = _parsed(wire.ReviewServiceListRequest, raw)
        if asked.decisions:
            waiting = await self._decisions.waiting()
            return wire.ReviewServiceListResponse(items=[decision_message(one) for one in waiting]).SerializeToString()
        items, in_force = await self._desk.items()
        now_ms = self._desk.now_ms
        rows = [(not waits(item, now_ms, item.digest in in_force), item.subject, item.digest, item) for item in items]
        answer = wire.ReviewServiceListResponse()
        for done, _, digest, item in sorted(rows, key=lambda row: row[:3]):
            if asked.all or not done or digest in in_force:
                answer.items.append(item_message(item, now_ms, digest in in_force))
        return answer.SerializeToString()

    async def get(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded ReviewServiceGetRequest."""
        deadline_of(call, _DEADLINE_S)
        self._operators.authorise(call.invocation_metadata())
        asked = _parsed(wire.ReviewServiceGetRequest, raw)
        if asked.review_id.startswith(PREFIX):
            one = await self._decisions.find(asked.review_id)
            return wire.ReviewServiceGetResponse(item=decision_message(one), words=decision_words(one)).SerializeToString()
        shown = await self._desk.show(asked.review_id)
        _, in_force = await self._desk.items()
        answer = wire.ReviewServiceGetResponse(
            item=item_message(shown.item, self._desk.now_ms, shown.item.digest in in_force),
            text=shown.text.decode("utf-8", "replace"),
            words=words(shown.text),
        )
        if shown.approved is not None:
            answer.approved_review_id, answer.approved_text = shown.approved[0], shown.approved[1].decode("utf-8", "replace")
        return answer.SerializeToString()

    async def submit(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded SubmitRequest."""
        deadline_of(call, _DEADLINE_S)
        who = self._operators.authorise(call.invocation_metadata())
        asked = _parsed(wire.SubmitRequest, raw)
        items = await self._desk.submit(who, [(one.text, one.source) for one in asked.submissions], asked.reason)
        _, in_force = await self._desk.items()
        now_ms = self._desk.now_ms
        return wire.SubmitResponse(items=[item_message(item, now_ms, item.digest in in_force) for item in items]).SerializeToString()

    def _acting(self, act: str, request: Any, response: Any) -> Handler:
        async def method(raw: bytes, call: Call) -> bytes:
            deadline_of(call, _DEADLINE_S)
            who = self._operators.authorise(call.invocation_metadata())
            asked = _parsed(request, raw)
            if asked.review_id.startswith(PREFIX) and act in (APPROVE, REJECT):
                one, verdict = await self._decisions.decide(who, asked.review_id, act == APPROVE, asked.reason)
                decided: bytes = response(item=decision_message(one, verdict)).SerializeToString()
                return decided
            if asked.review_id.startswith(PREFIX) and act == WITHDRAW:
                taken_back = decision_message(await self._decisions.withdraw(who, asked.review_id, asked.reason))
                taken_back.state = wire.REVIEW_STATE_WITHDRAWN
                taken_back.ClearField("missing")
                withdrawn: bytes = response(item=taken_back).SerializeToString()
                return withdrawn
            if asked.review_id.startswith(PREFIX):
                raise CallerError((FieldViolation("review_id", "names a single decision: approve, reject or withdraw it"),))
            item = await self._desk.act(who, act, asked.review_id, asked.reason, getattr(asked, "for_ms", 0))
            _, in_force = await self._desk.items()
            answer: bytes = response(item=item_message(item, self._desk.now_ms, item.digest in in_force)).SerializeToString()
            return answer

        return method


def _parsed(kind: type[M], raw: bytes) -> M:
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise malformed(kind.DESCRIPTOR.full_name) from None


def item_message(item: ReviewItem, now_ms: int, in_force: bool) -> wire.ReviewItem:
    """Return an item as the contract has it."""
    standing = item.standing()
    state = item.state(now_ms).upper() if item.acts else "NOT_SUBMITTED"
    served = now_ms < standing.until_ms
    return wire.ReviewItem(
        review_id=item.digest,
        kind=item.kind,
        subject=item.subject,
        bundle=item.bundle,
        state=f"REVIEW_STATE_{state}",
        until_ms=(int(standing.until_ms) if isfinite(standing.until_ms) else _FOREVER_MS) if served else 0,
        needs=[
            wire.ReviewNeed(because=need.because, approvers=need.approvers, role=need.role, valid_for_ms=need.valid_for_ms)
            for need in item.needs
        ],
        missing=item.missing(now_ms),
        authors=sorted(item.authors),
        acts=[
            wire.ReviewAct(act=act.act, by=act.by, roles=act.roles, at_ms=act.at_ms, reason=act.reason, until_ms=act.until_ms)
            for act in item.acts
        ],
        source=item.source,
        in_force=in_force,
        follow_up_open=standing.glass_open,
    )


def decision_message(asked: Asked, verdict: Verdict | None = None) -> wire.ReviewItem:
    """Return a decision that waits, or its verdict, as the contract has it. The person's id is not in it."""
    need = wire.ReviewNeed(because="each decision", approvers=1, role=asked.role, valid_for_ms=asked.valid_for_ms)
    item = wire.ReviewItem(
        review_id=asked.review_id,
        kind="decision",
        subject=f"offer/{asked.offer_id}",
        bundle=asked.bundle,
        state="REVIEW_STATE_PENDING",
        needs=[need],
        missing=[f"1 verdict by the role `{asked.role}`"],
        acts=[wire.ReviewAct(act="submit", by="", at_ms=asked.asked_at_ms, reason=asked.explanation)],
        decision_id=asked.decision_id,
        person_pseudonym=asked.pseudonym,
        explanation=asked.explanation,
    )
    if verdict is not None:
        item.state = wire.REVIEW_STATE_APPROVED if verdict.approved else wire.REVIEW_STATE_REJECTED
        item.until_ms = verdict.until_ms if verdict.approved else 0
        item.ClearField("missing")
        item.acts.add(act="approve" if verdict.approved else "reject", by=verdict.by, at_ms=verdict.at_ms)
    return item
