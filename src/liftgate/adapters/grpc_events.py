"""EventService: what happened after a decision, acknowledged when it is in the event log."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import isfinite

from google.protobuf.message import DecodeError

from liftgate.adapters.grpc_errors import CallObserver, Report
from liftgate.adapters.grpc_requests import ACCOUNT_ID_BYTES, CONTEXT_TEXT_BYTES, PERSON_ID_BYTES, fits, malformed
from liftgate.adapters.grpc_service import Call, Handler, answering, deadline_of
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.domain.errors import CallerError, FieldViolation, StoreUnavailable
from liftgate.domain.pause import OutcomeKind
from liftgate.pipeline.contact_ports import ContactEvent, ContactEvents, CountStatus
from liftgate.pipeline.counting import Counting
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Clock, EventKey, EventsSeen, Log
from liftgate.record.event_codec import encode_event
from liftgate.v1 import event_service_pb2
from liftgate.v1.event_service_pb2 import EventKind

EVENT_ID_BYTES = 128
OFFER_ID_BYTES = 256
BATCH_EVENTS = 1000
AHEAD_MS = 5 * 60 * 1000
"""How far an event may lie ahead of our clock."""

_KINDS: Mapping[int, OutcomeKind] = {
    EventKind.EVENT_KIND_EXPOSURE: "exposure",
    EventKind.EVENT_KIND_CLICK: "click",
    EventKind.EVENT_KIND_PURCHASE: "purchase",
    EventKind.EVENT_KIND_DISMISS: "dismiss",
    EventKind.EVENT_KIND_UNSUBSCRIBE: "unsubscribe",
    EventKind.EVENT_KIND_COMPLAINT: "complaint",
}
_DECISION_ID = re.compile(r"[0-9a-f]{32}")
_CURRENCY = re.compile(r"[A-Z]{3}")


class EventService:
    """`liftgate.v1.EventService` in its first form. One event loop."""

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
        report: Report | None = None,
        uncounted: Callable[[str, int], None] | None = None,
    ) -> None:
        """`log` is the event log; `live` gives what is in force now; `contacts` counts, None: caps and pauses learn of no event;
        `accounts` makes pseudonyms of accounts, None: rows name none.

        `uncounted` is told the cause and number of events that are in the log and could not be counted.
        """
        self._live = live
        self._log = log
        self._seen = seen
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._observer = observer
        self._contacts = contacts
        self._accounts = accounts
        self._uncounted = uncounted
        self._counting: Counting | None = None
        self._report = report

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        return {"Record": answering("Record", self.record, self._observer, self._report)}

    async def record(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded RecordRequest: what can be taken is logged, the rest is named.

        Raises CallerError when nothing of it can be read, LogUnavailable when nothing was logged, Expired.
        """
        deadline_of(call, default_s=1.0)  # raises when it has passed; the transport cancels us when it passes later
        try:
            events = event_service_pb2.RecordRequest.FromString(raw).events
        except DecodeError:
            raise malformed("liftgate.v1.RecordRequest") from None
        if not 0 < len(events) <= BATCH_EVENTS:
            raise CallerError((FieldViolation("events", f"wants 1 to {BATCH_EVENTS} events, not {len(events)}"),))
        response = event_service_pb2.RecordResponse()
        now_ms = self._clock.now_ms()
        taken: dict[EventKey, event_service_pb2.Event] = {}
        for index, event in enumerate(events):
            mistake = mistake_in(event, now_ms)
            if mistake is not None:
                response.rejections.add(index=index, field=mistake.field, description=mistake.description)
                continue
            response.accepted += 1
            if taken.setdefault(EventKey(event.person_id, event.event_id), event) is not event:
                response.duplicates += 1
        new = await self._unlogged(list(taken))
        response.duplicates += len(taken) - len(new)
        if new:
            await self._log.append([self._row(taken[key], now_ms) for key in new])
            response.uncounted = await self._count([(key, taken[key]) for key in new], now_ms)
        return response.SerializeToString()

    async def _unlogged(self, keys: list[EventKey]) -> list[EventKey]:
        """Return the keys not known to be logged. With the store away that is all of them: readers drop repeated ids."""
        if not keys:
            return []
        try:
            seen, _ = await self._seen.look(keys)
        except StoreUnavailable:
            return keys
        return [key for key, known in zip(keys, seen, strict=True) if not known]

    async def _count(self, logged: list[tuple[EventKey, event_service_pb2.Event]], now_ms: int) -> int:
        """Count what concerns caps and pauses; say that the rest is logged. Returns how many were not counted, or not in full."""
        live = self._live()
        if self._counting is None or self._counting.live is not live:
            self._counting = Counting(live)
        counted: list[ContactEvent] = []
        others: list[EventKey] = []
        for key, event in logged:
            found = self._counted(key, event, now_ms) if self._contacts is not None else None
            if found is None:
                others.append(key)
            else:
                counted.append(found)
        if others:
            await self._confirm(others)
        if not counted or self._contacts is None:
            return 0
        try:
            statuses = await self._contacts.count(counted)
        except StoreUnavailable:
            # Not known as seen: sent again, they are counted then.
            self._miss("store_away", len(counted))
            return len(counted)
        full = {i for i, status in enumerate(statuses) if status is CountStatus.IN_PART}
        nameless = {i for i, event in enumerate(counted) if event.account_caps and not event.account_id} - full
        self._miss("history_full", len(full))
        self._miss("no_account", len(nameless))
        return len(full | nameless)

    def _miss(self, cause: str, events: int) -> None:
        if events and self._uncounted is not None:
            self._uncounted(cause, events)

    def _counted(self, key: EventKey, event: event_service_pb2.Event, now_ms: int) -> ContactEvent | None:
        if self._counting is None:
            return None
        return self._counting.event(
            _KINDS[event.kind],
            key,
            decision_id=event.decision_id,
            offer_id=event.offer_id,
            account_id=event.account_id,
            channel=event.channel,
            time_zone=event.time_zone,
            occurred_at_ms=event.occurred_at_ms or now_ms,
            now_ms=now_ms,
        )

    async def _confirm(self, keys: list[EventKey]) -> None:
        with suppress(StoreUnavailable):  # then a repeated event gets another row, which readers drop
            await self._seen.confirm(keys)

    def _row(self, event: event_service_pb2.Event, now_ms: int) -> bytes:
        money = event.HasField("value")
        return encode_event(
            event_id=event.event_id,
            kind=event.kind,
            person_pseudonym=self._pseudonyms(event.person_id),
            pseudonym_key_id=self._pseudonyms.key_id,
            decision_id=event.decision_id,
            offer_id=event.offer_id,
            occurred_at_ms=event.occurred_at_ms or now_ms,
            received_at_ms=now_ms,
            value=event.value if money else None,
            currency=(event.currency or self._live().bundle.currency) if money else "",
            account_pseudonym=self._accounts(event.account_id) if event.account_id and self._accounts else b"",
            channel=event.channel,
        )


def mistake_in(event: event_service_pb2.Event, now_ms: int) -> FieldViolation | None:
    """Return the first thing that is wrong with an event; None: nothing. `now_ms` is the service's clock."""
    if not fits(event.event_id, EVENT_ID_BYTES):
        return FieldViolation("event_id", f"wants 1 to {EVENT_ID_BYTES} bytes")
    if event.kind not in _KINDS:
        return FieldViolation("kind", "wants EXPOSURE, CLICK, PURCHASE, DISMISS, UNSUBSCRIBE or COMPLAINT")
    if not fits(event.person_id, PERSON_ID_BYTES):
        return FieldViolation("person_id", f"wants 1 to {PERSON_ID_BYTES} bytes")
    if event.decision_id and not _DECISION_ID.fullmatch(event.decision_id):
        return FieldViolation("decision_id", "wants 32 lower-case hexadecimal digits, as Decide answered them, or nothing")
    if event.offer_id and not fits(event.offer_id, OFFER_ID_BYTES):
        return FieldViolation("offer_id", f"wants at most {OFFER_ID_BYTES} bytes")
    if event.account_id and not fits(event.account_id, ACCOUNT_ID_BYTES):
        return FieldViolation("account_id", f"wants at most {ACCOUNT_ID_BYTES} bytes")
    for name, text in (("channel", event.channel), ("time_zone", event.time_zone)):
        if text and not fits(text, CONTEXT_TEXT_BYTES):
            return FieldViolation(name, f"wants at most {CONTEXT_TEXT_BYTES} bytes")
    if event.occurred_at_ms < 0:
        return FieldViolation("occurred_at_ms", "wants milliseconds since the Unix epoch, or 0 for now")
    if event.occurred_at_ms > now_ms + AHEAD_MS:
        return FieldViolation("occurred_at_ms", "lies more than 5 minutes ahead of the service's clock")
    if event.HasField("value"):
        if event.kind != EventKind.EVENT_KIND_PURCHASE:
            return FieldViolation("value", "belongs to purchases only")
        if not isfinite(event.value) or event.value < 0:
            return FieldViolation("value", "wants a finite number that is not negative")
    if event.currency and not _CURRENCY.fullmatch(event.currency):
        return FieldViolation("currency", "wants three capital letters (ISO 4217)")
    return None
