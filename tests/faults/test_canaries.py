"""Promise 22: e-mail addresses, phone numbers and ids, through every call on both transports, are in nothing written or said."""

from __future__ import annotations

import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.operators import token_hash
from liftgate.v1 import admin_service_pb2 as admin
from liftgate.v1 import consent_service_pb2 as consent
from liftgate.v1 import control_service_pb2 as control
from liftgate.v1 import decision_pb2 as decision
from liftgate.v1 import decision_service_pb2 as service
from liftgate.v1 import event_service_pb2 as events
from liftgate.v1 import review_service_pb2 as review
from tests.app.conftest import ROOT, Served

TOKEN = "lg_test-token-of-somebody-with-every-role"
KEY = "k" * 32
NAMES = ("person", "account", "session", "visitor", "attribute", "baseline", "candidate", "property", "placement", "review")
CANARIES = {name: f"canary.{name}@example.org" for name in (*NAMES, "source", "mechanism", "event_offer")} | {"phone": "+49 151 23456789"}
BUNDLE = ROOT / "tests/cases/bundles/consent"
V1 = "/liftgate.v1."


def calls() -> list[tuple[str, Message]]:
    """Return right and wrong requests for every method that takes anything of a caller's. What operators call offers names no person."""
    c = CANARIES
    context = decision.Context(channel="web")
    right = decision.DecideRequest(person_id=c["person"], placement_id="home", context=context, account_id=c["account"])
    right.session_id, right.visitor_id = c["session"], c["visitor"]
    right.context.attributes[c["attribute"]].string_value = c["phone"]
    wrong = decision.DecideRequest(person_id=c["person"], placement_id=c["placement"], baseline_offers=[c["baseline"]])
    wrong.candidates.offer_ids.append(c["candidate"])
    explained = decision.DecideRequest(person_id=c["person"], placement_id="home", context=context, explain=True, dry_run=True)
    click = events.Event(event_id="e-1", kind=events.EVENT_KIND_CLICK, person_id=c["person"], account_id=c["account"])
    click.properties[c["property"]].string_value = c["phone"]
    bad = events.Event(event_id="e-2", kind=events.EVENT_KIND_CUSTOM, name=c["property"], person_id=c["person"], currency=c["phone"][:3])
    given = consent.Consent(purpose="personalization", status=consent.CONSENT_STATUS_GRANTED, source=c["source"], mechanism=c["mechanism"])
    unknown = consent.Consent(purpose=c["property"], status=consent.CONSENT_STATUS_GRANTED)
    return [
        ("DecisionService/Decide", right),
        ("DecisionService/Decide", wrong),
        ("DecisionService/Decide", explained),
        ("DecisionService/DecideBatch", service.DecideBatchRequest(requests=[right, right])),
        ("DecisionService/DecideBatch", service.DecideBatchRequest(requests=[right, wrong])),
        ("DecisionService/Explain", service.ExplainRequest(decision_id=c["person"])),
        ("EventService/Record", events.RecordRequest(events=[click, bad])),
        ("ConsentService/Set", consent.SetRequest(person_id=c["person"], consent=given)),
        ("ConsentService/Set", consent.SetRequest(person_id=c["person"], consent=unknown)),
        ("ConsentService/Get", consent.GetRequest(person_id=c["person"])),
        ("ConsentService/History", consent.HistoryRequest(person_id=c["person"])),
        ("AdminService/Publish", admin.PublishRequest(bundle="no-such-bundle", bundle_digest="0" * 64, reason="x")),
        ("ControlService/Start", control.StartRequest(kind=control.CONTROL_KIND_OFFER, name="no-such-offer")),
        ("ReviewService/Approve", review.ApproveRequest(review_id=c["review"], reason="x")),
        ("ConsentService/Erase", consent.EraseRequest(person_id=c["person"], reason=f"asked by {c['person']}")),
        ("ConsentService/Erase", consent.EraseRequest(person_id=c["person"], account_id=c["account"], reason="ticket 4711")),
        ("EventService/Record", events.RecordRequest(events=[click])),
        ("DecisionService/Decide", right),
    ]


@pytest.mark.parametrize("transport", ["native", "grpcio"])
def test_no_canary_is_written_or_said(transport: str, tmp_path: Path) -> None:
    """Segments, Parquet, audit chain, output, metrics and the errors of calls hold none of what the calls were full of."""
    operators = tmp_path / "operators.yaml"
    operators.write_text(
        f'operators:\n  eve:\n    roles: [admin, operator, compliance, privacy]\n    token_sha256: "{token_hash(TOKEN)}"\n'
    )
    home = tmp_path / "machine"
    home.mkdir()
    errors: list[str] = []
    with EmbeddedValkey() as store:
        flags = {"redis": store.url, "operators": str(operators), "bundle": str(BUNDLE), "log": str(home / "log"), "transport": transport}
        flags |= {"log-level": "debug", "trace-sample-ratio": "1"}
        server = Served(home, str(tmp_path), flags, {"LIFTGATE_PSEUDONYM_KEY": KEY})
        try:
            server.wait_for("serving")
            answered = 0
            with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                for method, message in calls():
                    try:
                        channel.unary_unary(V1 + method)(
                            message.SerializeToString(), timeout=30, metadata=(("authorization", f"Bearer {TOKEN}"),)
                        )
                        answered += 1
                    except grpc.RpcError as error:
                        failed: Any = error
                        errors.append(f"{failed.code()} {failed.details()} {failed.trailing_metadata()}")
                stream: Any = channel.stream_unary(V1 + "EventService/RecordStream")
                batch = events.RecordStreamRequest(events=calls()[6][1].events)  # type: ignore[attr-defined]
                with suppress(grpc.RpcError):
                    stream(iter([batch.SerializeToString()]), timeout=30)
            assert answered >= 9, errors
            with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=20) as page:
                said = page.read()
        finally:
            server.end()
    written = b"\0".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()) + said + "\n".join(errors).encode()
    assert b"e-1" in written, "the control arm: what was told is there"
    assert [name for name, canary in CANARIES.items() if canary.encode() in written] == []
    assert not any("INTERNAL" in error or "UNKNOWN" in error for error in errors)
