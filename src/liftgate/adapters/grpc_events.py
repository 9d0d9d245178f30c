"""EventService: what happened after a decision, acknowledged when it is in the event log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, cast

from google.protobuf.message import DecodeError

from liftgate.adapters.direct_calls import DirectCall, DirectMethod
from liftgate.adapters.event_joining import Joining
from liftgate.adapters.event_reading import AHEAD_MS, EVENT_ID_BYTES, OFFER_ID_BYTES
from liftgate.adapters.event_taken import Taken
from liftgate.adapters.event_taking import Taking
from liftgate.adapters.grpc_errors import CallObserver, Report
from liftgate.adapters.grpc_requests import malformed
from liftgate.adapters.grpc_service import Call, Handler, answering, deadline_of
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.domain.errors import CallerError, Expired, FieldViolation
from liftgate.domain.reason import Reason
from liftgate.pipeline.contact_ports import ContactEvents, FeatureUpdates
from liftgate.pipeline.event_ports import EventsSeen
from liftgate.pipeline.live import Live
from liftgate.pipeline.naming import Naming
from liftgate.pipeline.ports import Clock, Log
from liftgate.v1 import event_service_pb2 as pb
from liftgate.v1 import reason_pb2

__all__ = ["AHEAD_MS", "BATCH_EVENTS", "EVENT_ID_BYTES", "OFFER_ID_BYTES", "EventService"]

BATCH_EVENTS = 1000
LISTED = 1000
"""Rejections, and revocations, that the answer to a stream lists; the rest is counted."""
STREAM_DEADLINE_S = 3600.0
"""Budget of a stream that carries no deadline."""


class EventService:
    """`liftgate.v1.EventService`. One event loop."""

    def __init__(
        self,
        live: Callable[[], Live],
        log: Log,
        seen: EventsSeen,
        pseudonyms: Pseudonyms,
        clock: Clock,
        observer: CallObserver,
        *,
        contacts: ContactEvents | None = None,
        accounts: Pseudonyms | None = None,
        features: Callable[[Live], FeatureUpdates | None] | None = None,
        report: Report | None = None,
        uncounted: Callable[[str, int], None] | None = None,
        outcomes: Callable[[str, int], None] | None = None,
        naming: Naming | None = None,
    ) -> None:
        """`log` is the event log; `live` gives what is in force now; `contacts` counts, None: caps and pauses learn of no event;
        `accounts` makes pseudonyms of accounts, None: rows name none; `features` gives what events change of live features;
        `naming` gives what stands for people, None: `pseudonyms` does.

        `uncounted` is told the cause and number of events that are in the log and could not be counted; `outcomes` how many were accepted,
        late, duplicate, rejected and revoked.
        """
        self._joining = Joining(Taking(live, log, seen, pseudonyms, accounts, contacts, features, clock, uncounted, naming))
        self._observer = observer
        self._report = report
        self._outcomes = outcomes

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        return {
            "Record": answering("Record", self.record, self._observer, self._report),
            "RecordStream": answering("RecordStream", self.record_stream, self._observer, self._report),
        }

    async def record(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded RecordRequest: what can be taken is logged, the rest is named.

        Raises CallerError when nothing of it can be read, LogUnavailable when nothing was logged, Expired.
        """
        deadline_of(call, default_s=1.0)  # raises when it has passed; the transport cancels us when it passes later
        return _answer(await self._take(raw, pb.RecordRequest, "events"))

    def direct(self) -> dict[str, DirectMethod]:
        """Return by name the methods that can take calls without a task for each."""
        return {"Record": DirectMethod("Record", self.take, self._observer, self._report, self._joining.gathered)}

    def take(self, raw: bytes, call: DirectCall) -> None:
        """Begin to answer one encoded RecordRequest: `record` without waiting. Raises what that raises of the request."""
        if call.remaining is not None and call.remaining <= 0:
            raise Expired
        self._joining.enter(_events(raw, pb.RecordRequest, "events"), _Caller(call, self._tell))

    async def record_stream(self, requests: AsyncIterator[bytes], call: Call) -> bytes:
        """Answer a stream of encoded RecordStreamRequests, once, at its end. A batch is logged before the next one is read.

        Raises what `record` does; what came before is in the log then, and sent again it changes nothing.
        """
        loop = asyncio.get_running_loop()
        deadline = deadline_of(call, default_s=STREAM_DEADLINE_S)
        answer, position, batch = pb.RecordStreamResponse(), 0, 0
        async for raw in requests:
            if loop.time() > deadline:
                raise Expired
            found = await self._take(raw, pb.RecordStreamRequest, f"events (message {batch} of the stream)")
            answer.accepted += found.accepted
            answer.duplicates += found.duplicates
            answer.rejected += len(found.rejected)
            answer.revoked += len(found.revoked)
            answer.uncounted += found.uncounted
            answer.late += found.late
            answer.dropped_properties += found.dropped
            answer.rejections.extend(_rejections(found, position, LISTED - len(answer.rejections)))
            answer.revocations.extend(_revocations(found, position, LISTED - len(answer.revocations)))
            position += found.events
            batch += 1
        return answer.SerializeToString()

    async def _take(self, raw: bytes, kind: Any, field: str) -> Taken:
        found = await self._joining.take(_events(raw, kind, field))
        self._tell(found)
        return found

    def _tell(self, found: Taken) -> None:
        """Count what became of a call's events."""
        tell = self._outcomes
        if tell is None:
            return
        if fresh := found.accepted - found.duplicates - found.late:
            tell("accepted", fresh)
        if fresh == found.events:
            return
        for outcome, count in (
            ("late", found.late),
            ("duplicate", found.duplicates),
            ("rejected", len(found.rejected)),
            ("revoked", len(found.revoked)),
        ):
            if count:
                tell(outcome, count)


class _Caller:
    """A call that waits for what became of its events."""

    __slots__ = ("_call", "_tell", "done", "set_exception")

    def __init__(self, call: DirectCall, tell: Callable[[Taken], None]) -> None:
        self._call, self._tell = call, tell
        self.done, self.set_exception = call.done, call.set_exception

    def set_result(self, found: Taken) -> None:
        self._tell(found)
        self._call.set_result(_answer(found))


def _events(raw: bytes, kind: Any, field: str) -> Sequence[Any]:
    try:
        events: Sequence[Any] = kind.FromString(raw).events
    except DecodeError:
        raise malformed(f"liftgate.v1.{kind.DESCRIPTOR.name}") from None
    if not 0 < len(events) <= BATCH_EVENTS:
        raise CallerError((FieldViolation(field, f"wants 1 to {BATCH_EVENTS} events, not {len(events)}"),))
    return events


def _answer(found: Taken) -> bytes:
    """Return the answer to a Record call."""
    if not found.rejected and not found.revoked:
        return _counts(found.accepted, found.duplicates, found.uncounted, found.late, found.dropped)
    answer = pb.RecordResponse(
        accepted=found.accepted,
        duplicates=found.duplicates,
        uncounted=found.uncounted,
        late=found.late,
        dropped_properties=found.dropped,
    )
    answer.rejections.extend(_rejections(found, 0))
    answer.revocations.extend(_revocations(found, 0))
    return answer.SerializeToString()


@lru_cache(1024)
def _counts(accepted: int, duplicates: int, uncounted: int, late: int, dropped: int) -> bytes:
    """Return the answer to a call of which nothing was rejected or revoked."""
    return pb.RecordResponse(
        accepted=accepted, duplicates=duplicates, uncounted=uncounted, late=late, dropped_properties=dropped
    ).SerializeToString()


def _rejections(found: Taken, begins: int, limit: int | None = None) -> Iterable[pb.EventRejection]:
    for index, violation in found.rejected[:limit]:
        yield pb.EventRejection(index=begins + index, field=violation.field, description=violation.description)


def _revocations(found: Taken, begins: int, limit: int | None = None) -> Iterable[pb.EventRevocation]:
    for index, against in found.revoked[:limit]:
        reason, purpose = (Reason.UNSPECIFIED, "") if against is None else (against.reason, against.purpose)
        yield pb.EventRevocation(
            index=begins + index,
            reason=_number(Reason.CONSENT_REVOKED),
            consent_reason=_number(reason),
            purpose=purpose,
        )


def _number(reason: Reason) -> reason_pb2.Reason:
    # The stubs want a member; the wire wants its number, and both lists are the same.
    return cast("reason_pb2.Reason", int(reason))
