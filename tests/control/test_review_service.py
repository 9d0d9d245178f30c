"""Review through real servers and the command line: submit, approve, serve; and what voids an approval."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.client import Client
from liftgate.domain.reason import Reason
from liftgate.pipeline.audit import Act
from liftgate.record.audit_verify import read_audit, verify_audit
from liftgate.record.parquet import read_log
from tests.app.conftest import Serve, Served
from tests.app.conftest import serve as serve  # the fixture
from tests.control.operators import run, write

REVIEWED = Path(__file__).parents[1] / "cases" / "bundles" / "reviewed"
SOON_S = 20.0


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the reviewed bundle in which a pill is enough: one reviewer, no consent."""
    folder = tmp_path / "bundle"
    shutil.copytree(REVIEWED, folder)
    return folder


def edit(bundle: Path, before: str, after: str) -> None:
    """Change the bundle's file."""
    path = bundle / "bundle.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def decide(server: Served, offer: str = "pill") -> str:
    """Return the reason that one offer got."""
    with Client(f"127.0.0.1:{server.port}", timeout_ms=20_000) as client:
        decision = client.decide("person-0", "shop", explain=True)
    assert decision.explanation is not None
    return {candidate.offer_id: candidate.reason for candidate in decision.explanation.candidates}[offer]


def becomes(server: Served, reason: str, offer: str = "pill") -> None:
    """Wait until an offer gets a reason."""
    until = time.monotonic() + SOON_S
    while (found := decide(server, offer)) != reason:
        assert time.monotonic() < until, f"{offer} is {found}, not {reason}"
        time.sleep(0.02)


def reload(server: Served) -> None:
    """Reload the bundle and wait for it."""
    count = len(server.lines("reloaded"))
    os.kill(server.process.pid, signal.SIGHUP)
    server.wait_for("reloaded", count + 1)


def review_of(who: str, server: Served, subject: str) -> dict[str, Any]:
    """Return the item in force about something."""
    code, answer = run(who, server.port, "review", "list")
    assert code == 0, answer
    (item,) = [item for item in answer["items"] if item["subject"] == subject and item["in_force"]]
    found: dict[str, Any] = item
    return found


@pytest.mark.slow
def test_an_approval_is_voided_by_a_one_character_edit(serve: Serve, bundle: Path, tmp_path: Path) -> None:
    """Approved, the pill is shown; one digit of its price later it is not; changed back it is shown again, for the approval was of that."""
    server = serve(bundle=bundle, operators=write(tmp_path))
    assert decide(server) == "NOT_APPROVED"
    assert "pill" in server.wait_for("offers_not_approved")["offers"]
    server.metric_becomes("liftgate_unapproved_offers", 4)
    assert run("anna", server.port, "review", "submit", bundle, "--offer", "pill")[0] == 0
    item = review_of("ben", server, "offer/pill")
    assert (item["state"], item["authors"], item["missing"]) == ("PENDING", ["anna"], ["1 more approval by the role `reviewer` (health)"])
    assert run("ben", server.port, "review", "approve", item["review_id"])[0] == 0
    becomes(server, "CHOSEN")
    edit(bundle, "value: 8.0", "value: 8.1")
    reload(server)
    becomes(server, "NOT_APPROVED")
    assert review_of("ben", server, "offer/pill")["state"] == "NOT_SUBMITTED"
    code, shown = run("ben", server.port, "review", "show", review_of("ben", server, "offer/pill")["review_id"])
    assert (code, '"value":8.1' in shown["text"], '"value":8.0' in shown["approved_text"]) == (0, True, True)
    edit(bundle, "value: 8.1", "value: 8.0")
    reload(server)
    becomes(server, "CHOSEN")


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["native", "grpcio"])
def test_self_approval_is_refused(serve: Serve, bundle: Path, tmp_path: Path, transport: str) -> None:
    """Who submitted it cannot approve it, whatever roles they have; it stays unserved until another person does. On both transports."""
    server = serve(bundle=bundle, operators=write(tmp_path), transport=transport)
    code, answer = run("anna", server.port, "review", "submit", bundle, "--offer", "pill")
    assert code == 0
    digest = answer["items"][0]["review_id"]
    code, refused = run("anna", server.port, "review", "approve", digest)
    assert (code, "another person" in refused["error"]) == (2, True)
    assert decide(server) == "NOT_APPROVED"
    code, refused = run("dora", server.port, "review", "approve", digest)
    assert (code, "lacks the role" in refused["error"]) == (2, True)
    assert run("ben", server.port, "review", "approve", digest)[0] == 0
    becomes(server, "CHOSEN")


@pytest.mark.slow
def test_expiry_is_honoured_to_the_second(serve: Serve, bundle: Path, tmp_path: Path) -> None:
    """With an approval of three seconds, decisions before its end show the offer and none at or after it, by the decisions' own clock."""
    edit(bundle, "valid_for: 1d}", "valid_for: 3s}")
    server = serve(bundle=bundle, operators=write(tmp_path))
    _, submitted = run("anna", server.port, "review", "submit", bundle, "--offer", "toy")
    for _ in range(10):
        code, answer = run("ben", server.port, "review", "approve", submitted["items"][0]["review_id"])
        assert code == 0
        until = answer["item"]["until_ms"]
        while (reason := decide(server, "toy")) != "CHOSEN" and time.time() * 1000 < until:
            time.sleep(0.02)
        if reason == "CHOSEN":
            break  # else the machine was so busy that three seconds were over before a worker had heard of it
    while time.time() * 1000 < until + 300:
        decide(server, "toy")
    assert decide(server, "toy") == "NOT_APPROVED"
    assert server.end() == 0
    rows = [
        (int(row["decided_at_ms"]), dict(zip(row["candidate_offer_id"], row["candidate_reason"], strict=True))["toy"])
        for row in read_log(tmp_path / "log", "decision")
    ]
    served = [at for at, reason in rows if reason == Reason.CHOSEN.name]
    refused = [at for at, reason in rows if reason == Reason.NOT_APPROVED.name and at > min(served)]
    assert served
    assert refused
    assert max(served) < until <= min(refused)


@pytest.mark.slow
def test_two_approvers_are_two_people_and_every_act_is_audited(serve: Serve, bundle: Path, tmp_path: Path) -> None:
    """The loan needs two of compliance: one person twice is one; rejection, withdrawal and broken glass act; the chain has it all."""
    with EmbeddedValkey() as valkey:
        server = serve(bundle=bundle, redis=valkey.url, operators=write(tmp_path))
        _, answer = run("dora", server.port, "review", "submit", bundle, "--reason", "autumn")
        assert len(answer["items"]) == 4
        loan = review_of("ben", server, "offer/loan")["review_id"]
        for _ in range(2):
            code, answer = run("ben", server.port, "review", "approve", loan)
            assert (code, answer["item"]["state"]) == (0, "PENDING")
        code, answer = run("cleo", server.port, "review", "approve", loan)
        assert (code, answer["item"]["state"]) == (0, "APPROVED")
        code, answer = run("ben", server.port, "review", "reject", loan, "--reason", "no")
        assert (code, answer["item"]["state"]) == (0, "REJECTED")
        pill = review_of("ben", server, "offer/pill")["review_id"]
        assert run("ben", server.port, "review", "break-glass", pill, "--hours", "2")[0] == 2
        assert run("ben", server.port, "review", "break-glass", pill, "--hours", "2", "--reason", "flood relief")[0] == 0
        becomes(server, "CHOSEN")
        assert review_of("anna", server, "offer/pill")["follow_up_open"]
        assert run("anna", server.port, "review", "withdraw", pill, "--reason", "not needed")[0] == 0
        becomes(server, "NOT_APPROVED")
        assert not review_of("anna", server, "offer/pill")["follow_up_open"]
        assert run("anna", server.port, "stop", "offer", "pill", "--reason", "x")[0] == 0
        assert server.end() == 0
    assert not verify_audit([tmp_path / "log" / "audit"]).findings
    acts = [(Act(row.act).name, row.actor, row.subject) for _, row in read_audit(tmp_path / "log" / "audit")]
    assert acts.count(("SUBMIT", "dora", "offer/loan")) == 1
    for act in (
        ("APPROVE", "cleo", "offer/loan"),
        ("REJECT", "ben", "offer/loan"),
        ("BREAK_GLASS", "ben", "offer/pill"),
        ("WITHDRAW", "anna", "offer/pill"),
        ("KILL", "anna", "offer/pill"),
    ):
        assert act in acts
