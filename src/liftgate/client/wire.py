"""Plain values to messages and back. The only file here that knows protobuf's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any, get_args

from liftgate.client.answer import Candidate, Decision, Explanation, Offer, Recorded, Rejection, Revocation
from liftgate.client.plain import plain
from liftgate.client.request import AttributeValue, Event, EventKindName, Request
from liftgate.v1 import decision_pb2, decision_service_pb2, event_service_pb2, offer_pb2, reason_pb2
from liftgate.v1.event_service_pb2 import EventKind

DECIDE = "/liftgate.v1.DecisionService/Decide"
DECIDE_BATCH = "/liftgate.v1.DecisionService/DecideBatch"
RECORD = "/liftgate.v1.EventService/Record"
RECORD_STREAM = "/liftgate.v1.EventService/RecordStream"
STREAM_EVENTS = 500
"""Events in one message of a stream."""
OPTIONS = (
    # A server that comes back is found again within a deadline, not after grpc's first second.
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 1000),
)

Defaults = str | Offer | Mapping[str, str | Offer] | None
_KINDS = {name: getattr(EventKind, f"EVENT_KIND_{name.upper()}") for name in get_args(EventKindName)}


def request_message(request: Request) -> decision_pb2.DecideRequest:
    """Return the message. Raises TypeError or ValueError on a value that has no place in it."""
    context = decision_pb2.Context(channel=request.channel, device=request.device, locale=request.locale, time_zone=request.time_zone)
    context.jurisdiction = request.jurisdiction
    for name, value in request.attributes.items():
        context.attributes[name].CopyFrom(_attribute(value))
    message = decision_pb2.DecideRequest(
        request_id=request.request_id,
        person_id=request.person_id,
        placement_id=request.placement_id,
        slot_count=request.slot_count,
        context=context,
        account_id=request.account_id,
        explain=request.explain,
        dry_run=request.dry_run,
        baseline_offers=request.baseline_offers,
        deferred=request.deferred,
        session_id=request.session_id,
        visitor_id=request.visitor_id,
    )
    if request.global_privacy_control:
        message.consent_signals.global_privacy_control = True
    if request.candidates is not None:
        message.candidates.CopyFrom(decision_pb2.CandidateList(offer_ids=request.candidates))
    return message


def batch_message(requests: Sequence[Request]) -> decision_service_pb2.DecideBatchRequest:
    """Return the message of many requests."""
    return decision_service_pb2.DecideBatchRequest(requests=[request_message(request) for request in requests])


def record_message(events: Sequence[Event]) -> event_service_pb2.RecordRequest:
    """Return the message of many events. Raises ValueError on an unknown kind."""
    return event_service_pb2.RecordRequest(events=[_event(event) for event in events])


class StreamMessages:
    """The messages of any number of events, once.

    gRPC reads them on its own account and shows whatever is raised meanwhile as a broken stream, so it is kept in `fault` for the caller.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.fault: Exception | None = None
        """What the events, or making messages of them, raised: ValueError on an unknown kind."""
        self._events = events

    def __iter__(self) -> Iterator[event_service_pb2.RecordStreamRequest]:
        try:
            left = iter(self._events)
            while batch := list(islice(left, STREAM_EVENTS)):
                yield event_service_pb2.RecordStreamRequest(events=[_event(event) for event in batch])
        except Exception as fault:
            self.fault = fault
            raise


def decision_of(request: Request, answer: decision_pb2.DecideResponse) -> Decision:
    """Return the answer as a plain value."""
    return Decision(
        request_id=request.request_id,
        decision_id=answer.decision_id,
        offers=tuple(_offer(slot) for slot in answer.slots),
        reason=_name(reason_pb2.Reason, answer.reason),
        arm=_name(reason_pb2.Arm, answer.arm),
        branch=_name(reason_pb2.Branch, answer.branch),
        bundle_digest=answer.bundle_digest,
        valid_until_ms=answer.valid_until_ms,
        degraded=answer.degraded,
        explanation=_explanation(answer.explanation) if answer.HasField("explanation") else None,
        baseline_refused={one.offer_id: _name(reason_pb2.Reason, one.reason) for one in answer.baseline_refused},
    )


def default_decision(request: Request, defaults: Defaults, status: str, detail: str = "") -> Decision:
    """Return what is shown while the service is away."""
    found = defaults.get(request.placement_id) if isinstance(defaults, Mapping) else defaults
    offers = () if found is None else (found if isinstance(found, Offer) else Offer(found, is_default=True),)
    return Decision(
        request_id=request.request_id,
        decision_id="",
        offers=offers,
        reason="SERVICE_UNAVAILABLE",
        degraded=True,
        from_service=False,
        status=status,
        detail=detail,
    )


def recorded_of(answer: event_service_pb2.RecordResponse | event_service_pb2.RecordStreamResponse) -> Recorded:
    """Return what became of the events, of a batch or of a stream."""
    rejections = tuple(Rejection(entry.index, entry.field, entry.description) for entry in answer.rejections)
    revocations = tuple(
        Revocation(entry.index, _name(reason_pb2.Reason, entry.consent_reason), entry.purpose) for entry in answer.revocations
    )
    if isinstance(answer, event_service_pb2.RecordStreamResponse):
        rejected, revoked = answer.rejected, answer.revoked
    else:
        rejected, revoked = len(rejections), len(revocations)
    return Recorded(
        answer.accepted,
        answer.duplicates,
        rejections,
        answer.uncounted,
        revocations,
        answer.late,
        answer.dropped_properties,
        rejected,
        revoked,
    )


def jitter(key: str, attempt: int) -> float:
    """Return a number in [0, 1) that differs from caller to caller and from attempt to attempt."""
    return int.from_bytes(blake2b(f"{key}/{attempt}".encode(), digest_size=4).digest(), "little") / 2**32


def _attribute(value: AttributeValue) -> decision_pb2.AttributeValue:
    if isinstance(value, bool):  # before int, which it is too
        return decision_pb2.AttributeValue(bool_value=value)
    if isinstance(value, int):
        return decision_pb2.AttributeValue(int_value=value)
    if isinstance(value, float):
        return decision_pb2.AttributeValue(double_value=value)
    if isinstance(value, str):
        return decision_pb2.AttributeValue(string_value=value)
    raise TypeError(f"an attribute is text, a number, true or false, not {type(value).__name__}")


def _event(event: Event) -> event_service_pb2.Event:
    kind = _KINDS.get(event.kind)
    if kind is None:
        raise ValueError(f"an event is one of {', '.join(_KINDS)}")
    return event_service_pb2.Event(
        event_id=event.event_id,
        kind=kind,
        person_id=event.person_id,
        decision_id=event.decision_id,
        offer_id=event.offer_id,
        occurred_at_ms=event.occurred_at_ms,
        value=event.value,
        currency=event.currency,
        account_id=event.account_id,
        channel=event.channel,
        time_zone=event.time_zone,
        name=event.name,
        slot=event.slot,
        placement_id=event.placement_id,
        device=event.device,
        jurisdiction=event.jurisdiction,
        properties={name: _property(value) for name, value in event.properties.items()} if event.properties else None,
        prefetched=event.prefetched,
        automated=event.automated,
    )


def _property(value: AttributeValue) -> event_service_pb2.PropertyValue:
    if isinstance(value, bool):  # before int, which it is too
        return event_service_pb2.PropertyValue(bool_value=value)
    if isinstance(value, int):
        return event_service_pb2.PropertyValue(int_value=value)
    if isinstance(value, float):
        return event_service_pb2.PropertyValue(double_value=value)
    if isinstance(value, str):
        return event_service_pb2.PropertyValue(string_value=value)
    raise TypeError(f"a property is text, a number, true or false, not {type(value).__name__}")


def _name(enum: Any, number: int) -> str:
    """Return a value's name without its enum's prefix; a number that only a newer service knows stays a number."""
    try:
        return str(enum.Name(number)).removeprefix(f"{enum.DESCRIPTOR.name.upper()}_")
    except ValueError:
        return str(number)


def _offer(slot: offer_pb2.Slot) -> Offer:
    return Offer(
        slot.offer_id,
        slot.payload_json,
        slot.propensity if slot.HasField("propensity") else None,
        slot.value if slot.HasField("value") else None,
        slot.selection_probability,
        slot.is_default,
    )


def _explanation(message: decision_pb2.Explanation) -> Explanation:
    return Explanation(
        summary=message.summary,
        candidates=tuple(
            Candidate(
                entry.offer_id,
                _name(reason_pb2.Reason, entry.reason),
                entry.text,
                entry.rule,
                entry.propensity if entry.HasField("propensity") else None,
                entry.value if entry.HasField("value") else None,
                entry.selection_probability if entry.HasField("selection_probability") else None,
            )
            for entry in message.candidates
        ),
        masked_paths=tuple(message.masked_paths),
        data=plain(message),
    )
