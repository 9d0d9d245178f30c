"""Calls full of canaries: for every method that the descriptors have, well formed and not. A method without them fails the test."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

import liftgate.v1
from liftgate.v1 import admin_service_pb2 as admin
from liftgate.v1 import consent_service_pb2 as consent
from liftgate.v1 import control_service_pb2 as control
from liftgate.v1 import decision_pb2 as decision
from liftgate.v1 import decision_service_pb2 as service
from liftgate.v1 import event_service_pb2 as events
from liftgate.v1 import review_service_pb2 as review

KEPT = {
    "request_id": "the caller's own name for a request",
    "event_id": "the caller's own name for an event",
    "text": "a rule of the bundle, put up for review",
    "source": "of a submission: file and line",
}
"""Fields whose text is kept as it comes, when the call is taken: docs/privacy.md tells callers to name nobody there."""
_DEPTH = 4


def methods() -> dict[str, MethodDescriptor]:
    """Return every method of every service there is, by `Service/Method`."""
    found: dict[str, MethodDescriptor] = {}
    for module in pkgutil.iter_modules(liftgate.v1.__path__):
        if module.name.endswith("_pb2"):
            services = importlib.import_module(f"liftgate.v1.{module.name}").DESCRIPTOR.services_by_name
            found |= {f"{name}/{method.name}": method for name, one in services.items() for method in one.methods}
    return found


class Canaries:
    """Makes values that stand nowhere else, and remembers where each was put."""

    def __init__(self) -> None:
        self.where: dict[str, str] = {}
        phone, mail = "+49 151 7000001", "canary.mail@example.org"
        self.people = {kind: f"canary.{kind}@example.org" for kind in ("person", "account", "session", "visitor")}
        self.where |= {phone: "phone", mail: "mail"} | {value: kind for kind, value in self.people.items()}
        self.phone, self.mail = phone, mail

    def fresh(self, where: str) -> str:
        """Return an e-mail address or a phone number for a place."""
        n = len(self.where)
        value = f"canary.{n}@example.org" if n % 2 else f"+49 151 8{n:06d}"
        self.where[value] = where
        return value

    def of_field(self, where: str, field: FieldDescriptor) -> str:
        """Return what to put in a text field."""
        kind = field.name.removesuffix("_id")
        if kind in self.people:
            return self.people[kind]
        return f"kept-{field.name}-{len(self.where)}" if field.name in KEPT else self.fresh(f"{where}.{field.name}")


def calls(canaries: Canaries) -> Iterator[tuple[str, bytes]]:
    """Yield `Service/Method` and an encoded request: right ones, then every field wrong in turn, then what is no request at all."""
    right = taken(canaries)
    missing = methods().keys() ^ right.keys()
    assert not missing, f"calls without canaries, or canaries without a call: {sorted(missing)}"
    for name, requests in right.items():
        for request in requests:
            yield name, request.SerializeToString()
    for name, method in methods().items():
        kind = GetMessageClass(method.input_type)
        whole = kind()
        _fill(whole, canaries, name, _DEPTH)
        yield name, whole.SerializeToString()
        for field in method.input_type.fields:
            for base in (kind(), *right[name][:1]):
                one = kind.FromString(base.SerializeToString())
                _put(one, field, canaries, name, _DEPTH)
                yield name, one.SerializeToString()
        unknown = canaries.fresh(f"{name} unknown field").encode()
        yield name, b"\xfa\xff\x3f" + bytes([len(unknown)]) + unknown
        yield name, canaries.fresh(f"{name} no message").encode()
        yield name, whole.SerializeToString()[:-3] + canaries.fresh(f"{name} cut").encode()


def _fill(message: Any, canaries: Canaries, where: str, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if depth:
            _put(message, field, canaries, where, depth)


def _put(message: Any, field: FieldDescriptor, canaries: Canaries, where: str, depth: int) -> None:
    where = f"{where}.{field.name}"
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = getattr(message, field.name)[canaries.fresh(f"{where} key")]
        if isinstance(value, Message):
            _fill(value, canaries, where, 1)
    elif field.message_type is not None:
        held = getattr(message, field.name)
        _fill(held.add() if field.is_repeated else held, canaries, where, depth - 1)
        if not field.is_repeated:
            held.SetInParent()
    else:
        text = field.type == FieldDescriptor.TYPE_STRING
        value = canaries.of_field(where, field) if text else b"1" if field.type == FieldDescriptor.TYPE_BYTES else 1
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)


def lead(call: Callable[[str, bytes], bytes], c: Canaries) -> None:
    """Make the calls that follow from answers: explain a decision, and decide on one that waits for a reviewer."""
    right = taken(c)
    call("ConsentService/Set", right["ConsentService/Set"][0].SerializeToString())
    raw = call("DecisionService/Decide", right["DecisionService/Decide"][0].SerializeToString())
    explain = service.ExplainRequest(decision_id=decision.DecideResponse.FromString(raw).decision_id)
    call("DecisionService/Explain", explain.SerializeToString())
    for method, request in (("Reject", review.RejectRequest), ("Approve", review.ApproveRequest)):
        asked = decision.DecideRequest(
            person_id=c.people["person"] + method, placement_id="reviewed", context=decision.Context(channel="web")
        )
        call("DecisionService/Decide", asked.SerializeToString())
        (item,) = _waiting(call)
        call("ReviewService/Get", review.ReviewServiceGetRequest(review_id=item.review_id).SerializeToString())
        call(f"ReviewService/{method}", request(review_id=item.review_id, reason="kept").SerializeToString())
    call("ReviewService/Withdraw", review.WithdrawRequest(review_id=item.review_id, reason="kept").SerializeToString())


def _waiting(call: Callable[[str, bytes], bytes]) -> Sequence[review.ReviewItem]:
    """Return what waits for a reviewer, which comes a moment after the answer."""
    until = time.monotonic() + 60
    while True:
        told = call("ReviewService/List", review.ReviewServiceListRequest(decisions=True).SerializeToString())
        items = review.ReviewServiceListResponse.FromString(told).items
        if items or time.monotonic() > until:
            return items
        time.sleep(0.05)


def taken(c: Canaries) -> dict[str, list[Message]]:
    """Return requests that the service takes, or refuses for what they ask and not for their form."""
    context = decision.Context(channel="web")
    decide = decision.DecideRequest(placement_id="home", context=context, **{f"{kind}_id": value for kind, value in c.people.items()})  # type: ignore[arg-type]
    decide.context.attributes[c.mail].string_value = c.phone
    asked = decision.DecideRequest(person_id=c.people["person"], placement_id="reviewed", context=context, explain=True)
    dry = decision.DecideRequest(person_id=c.mail, placement_id="home", context=context, explain=True, dry_run=True)
    deferred = decision.DecideRequest(person_id=c.phone, account_id=c.mail, placement_id="home", context=context, deferred=True)
    click = events.Event(event_id="kept-1", kind=events.EVENT_KIND_CLICK, person_id=c.people["person"], account_id=c.people["account"])
    click.properties[c.mail].string_value = c.phone
    custom = events.Event(event_id="kept-2", kind=events.EVENT_KIND_CUSTOM, name="product_view", person_id=c.mail, account_id=c.phone)
    granted = consent.Consent(
        purpose="personalization", status=consent.CONSENT_STATUS_GRANTED, source=c.mail, mechanism=c.phone, notice_version=c.mail
    )
    withdrawn = consent.Consent(purpose="personalization", status=consent.CONSENT_STATUS_WITHDRAWN)
    person, account = c.people["person"], c.people["account"]
    return {
        "ConsentService/Set": [consent.SetRequest(person_id=who, consent=one) for who in (person, c.mail) for one in (granted, withdrawn)],
        "DecisionService/Decide": [decide, decide, asked, dry, deferred],
        "DecisionService/DecideBatch": [service.DecideBatchRequest(requests=[decide, dry, deferred])],
        "DecisionService/Explain": [service.ExplainRequest(decision_id="0" * 32), service.ExplainRequest(decision_id=c.mail)],
        "EventService/Record": [events.RecordRequest(events=[click, custom, click])],
        "EventService/RecordStream": [events.RecordStreamRequest(events=[click, custom])],
        "ConsentService/Get": [consent.GetRequest(person_id=person)],
        "ConsentService/History": [consent.HistoryRequest(person_id=person)],
        "ReviewService/List": [review.ReviewServiceListRequest(decisions=True), review.ReviewServiceListRequest(all=True)],
        "ReviewService/Get": [review.ReviewServiceGetRequest(review_id=person)],
        "ReviewService/Approve": [review.ApproveRequest(review_id=person, reason="kept-approve")],
        "ReviewService/Reject": [review.RejectRequest(review_id=person, reason="kept-reject")],
        "ReviewService/Withdraw": [review.WithdrawRequest(review_id=person, reason="kept-withdraw")],
        "ReviewService/Submit": [review.SubmitRequest(submissions=[review.Submission(text=c.fresh("submission"))], reason="kept-submit")],
        "ReviewService/BreakGlass": [review.BreakGlassRequest(review_id=person, reason="kept-break", for_ms=60_000)],
        "ControlService/Stop": [control.StopRequest(kind=control.CONTROL_KIND_OFFER, name="welcome", reason="kept-stop")],
        "ControlService/Start": [control.StartRequest(kind=control.CONTROL_KIND_OFFER, name="welcome", reason="kept-start")],
        "ControlService/List": [control.ControlServiceListRequest()],
        "AdminService/GetStatus": [admin.GetStatusRequest()],
        "AdminService/Reload": [admin.ReloadRequest()],
        "AdminService/Publish": [admin.PublishRequest(bundle="household", bundle_digest="0" * 64, reason="kept-publish")],
        "ConsentService/Erase": [
            consent.EraseRequest(person_id=c.mail, reason=f"asked by {c.mail}"),
            consent.EraseRequest(person_id=person, account_id=account, reason="kept-erase"),
        ],
    }
