"""ConsentService over both transports: what is set is what the next decision goes by, and every change is audited before it holds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from liftgate.adapters.grpc_consent import ConsentService
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.operators import Operators, token_hash
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.system import SystemClock
from liftgate.adapters.transports import Transport
from liftgate.app.cli.consent_history import told
from liftgate.bundle.load import load_bundle
from liftgate.domain.consent_history import KEPT, entry
from liftgate.domain.consent_record import ConsentRecord
from liftgate.pipeline.audit import Act
from liftgate.pipeline.consent_store import ATTEMPTS
from liftgate.pipeline.live import Live
from liftgate.v1.consent_service_pb2 import (
    CONSENT_STATUS_DENIED,
    CONSENT_STATUS_GRANTED,
    CONSENT_STATUS_UNSPECIFIED,
    CONSENT_STATUS_WITHDRAWN,
    LAWFUL_BASIS_CONSENT,
    Consent,
    GetRequest,
    GetResponse,
    HistoryRequest,
    HistoryResponse,
    SetRequest,
)
from liftgate.v1.decision_pb2 import Context, DecideResponse
from tests.e2e.front import DECIDE, Front, front, request
from tests.fakes.audit import FakeAudit
from tests.fakes.consent import FakeConsentStore

SET, GET, HISTORY = (f"/liftgate.v1.ConsentService/{name}" for name in ("Set", "Get", "History"))
PERSON = "ada@example.com"
MINUTE = 60_000


def in_force() -> Live:
    """Return the bundle of the cases on consent, ready to serve."""
    bundle = load_bundle(Path(__file__).parents[1] / "cases" / "bundles" / "consent")
    return Live(bundle, OnnxModels.load(bundle))


@pytest.fixture
async def served(transport: Transport, tmp_path: Path) -> AsyncIterator[Front]:
    """A server with nothing wrong."""
    live = in_force()
    async with front(transport, tmp_path, in_force=lambda: live) as serving:
        yield serving


def change(status: Any = CONSENT_STATUS_GRANTED, purpose: str = "personalization", person: str = PERSON, **fields: Any) -> SetRequest:
    """Return a request that sets one purpose."""
    return SetRequest(person_id=person, consent=Consent(purpose=purpose, status=status, **fields))


async def stored(served: Front, person: str = PERSON) -> list[Consent]:
    """Return what Get says."""
    return list(GetResponse.FromString(await served.call(GET, GetRequest(person_id=person))).consents)


async def offered(served: Front) -> list[str]:
    """Return what the next decision shows."""
    raw = await served.call(DECIDE, request(PERSON, placement_id="home", context=Context(channel="web")))
    return [slot.offer_id for slot in DecideResponse.FromString(raw).slots]


async def test_the_next_decision_goes_by_what_was_set(served: Front) -> None:
    """A grant opens, a withdrawal closes, a new grant opens again: each with the very next decision, for a person never heard of before."""
    assert await offered(served) == ["plain"]
    for status, shown in ((CONSENT_STATUS_GRANTED, "personal"), (CONSENT_STATUS_WITHDRAWN, "plain"), (CONSENT_STATUS_GRANTED, "personal")):
        await served.call(SET, change(status))
        assert await offered(served) == [shown]


async def test_what_was_set_is_read_back_whole(served: Front) -> None:
    """Every field comes back; other purposes stay as they were; nothing on record is an empty list."""
    assert await stored(served) == []
    now = SystemClock().now_ms()
    full = Consent(
        purpose="personalization",
        status=CONSENT_STATUS_GRANTED,
        given_at_ms=now - MINUTE,
        expires_at_ms=now + MINUTE,
        policy_version="2026-05",
        withdrawn_at_ms=now - 2 * MINUTE,
        basis=LAWFUL_BASIS_CONSENT,
        jurisdiction="EU",
        source="checkout",
        mechanism="double-opt-in",
        notice_version="n-7",
    )
    await served.call(SET, SetRequest(person_id=PERSON, consent=full))
    await served.call(SET, change(CONSENT_STATUS_DENIED, "marketing_email"))
    email, personalization = await stored(served)
    assert personalization == full
    assert (email.purpose, email.status, email.given_at_ms) == ("marketing_email", CONSENT_STATUS_DENIED, 0)
    assert await offered(served) == ["personal"]


async def test_a_withdrawal_without_a_time_gets_the_clocks(served: Front) -> None:
    """Status WITHDRAWN is stored with the moment at which the service heard of it."""
    before = SystemClock().now_ms()
    await served.call(SET, change(CONSENT_STATUS_WITHDRAWN))
    (record,) = await stored(served)
    assert before <= record.withdrawn_at_ms <= SystemClock().now_ms()


NOW = SystemClock().now_ms()
"""When the tests were collected: a run of minutes later."""
WRONG: list[tuple[SetRequest, list[str]]] = [
    (SetRequest(), ["person_id", "consent"]),
    (change(person=""), ["person_id"]),
    (change(person="x" * 257), ["person_id"]),
    (change(purpose=""), ["consent.purpose"]),
    (change(purpose="no-such-purpose"), ["consent.purpose"]),
    (change(CONSENT_STATUS_UNSPECIFIED), ["consent.status"]),
    (change(99), ["consent.status"]),
    (change(basis=99), ["consent.basis"]),
    (change(given_at_ms=-1), ["consent.given_at_ms"]),
    (change(given_at_ms=NOW + 24 * 60 * MINUTE), ["consent.given_at_ms"]),
    (change(given_at_ms=NOW, expires_at_ms=NOW), ["consent.expires_at_ms"]),
    (change(expires_at_ms=2**62), ["consent.expires_at_ms"]),
    (change(given_at_ms=NOW - 2, withdrawn_at_ms=NOW - 1), ["consent.withdrawn_at_ms"]),
    (change(withdrawn_at_ms=-5), ["consent.withdrawn_at_ms"]),
    (change(jurisdiction="E" * 65), ["consent.jurisdiction"]),
    (change(source="s" * 129), ["consent.source"]),
    (change(mechanism="a\nb"), ["consent.mechanism"]),
    (change(notice_version="é" * 33), ["consent.notice_version"]),
    (change(policy_version="p" * 65), ["consent.policy_version"]),
    (change(99, "nope", person="", source="s" * 129), ["person_id", "consent.purpose", "consent.status", "consent.source"]),
]


@pytest.mark.parametrize(("wrong", "paths"), WRONG, ids=[f"{i}: {', '.join(paths)}" for i, (_, paths) in enumerate(WRONG)])
async def test_mistakes_are_named_and_nothing_is_stored(served: Front, wrong: SetRequest, paths: list[str]) -> None:
    """Every mistake is INVALID_ARGUMENT with its field; nothing is stored and nothing is audited."""
    failure = await served.failure(SET, wrong)
    assert (failure.code, failure.paths) == ("INVALID_ARGUMENT", paths)
    assert served.consents.documents == {}
    assert served.audit.acts == []


async def test_malformed_bodies(served: Front) -> None:
    """Bytes that are no message are the caller's mistake, and Get wants a person."""
    for path in (SET, GET, HISTORY):
        assert (await served.failure(path, b"\xff\xff")).code == "INVALID_ARGUMENT"
    assert (await served.failure(GET, GetRequest())).paths == ["person_id"]


@pytest.mark.parametrize("raw", [b"{not json", b'{"v":2,"purposes":{}}', b'{"v":1,"purposes":{"personalization":"yes"}}'])
async def test_what_cannot_be_read_is_not_overwritten_unasked(served: Front, raw: bytes) -> None:
    """An unreadable document or record is FAILED_PRECONDITION and stays, unless the call asks to replace it."""
    served.gate.consent[PERSON] = raw
    failure = await served.failure(SET, change())
    assert failure.code == "FAILED_PRECONDITION"
    assert "replace_unreadable" in failure.message
    assert served.gate.consent[PERSON] == raw
    assert served.audit.acts == []
    asked = change()
    asked.replace_unreadable = True
    await served.call(SET, asked)
    assert await offered(served) == ["personal"]


async def test_another_purposes_unreadable_record_is_left_alone(served: Front) -> None:
    """Setting one purpose neither needs nor touches another's record that cannot be read; Get shows it without a status."""
    served.gate.consent[PERSON] = b'{"v":1,"purposes":{"marketing_sms":{"status":"sure"}}}'
    await served.call(SET, change())
    assert orjson.loads(served.gate.consent[PERSON])["purposes"]["marketing_sms"] == {"status": "sure"}
    assert [(record.purpose, record.status) for record in await stored(served)] == [
        ("marketing_sms", CONSENT_STATUS_UNSPECIFIED),
        ("personalization", CONSENT_STATUS_GRANTED),
    ]


async def test_get_of_an_unreadable_document(served: Front) -> None:
    """What cannot be read at all is said, not shown as nothing."""
    served.gate.consent[PERSON] = b"{not json"
    assert (await served.failure(GET, GetRequest(person_id=PERSON))).code == "FAILED_PRECONDITION"


async def test_every_change_is_audited_before_it_holds(served: Front) -> None:
    """The audit chain has a change, with a pseudonym and digests, while the old document still stands; the person's id is nowhere."""
    seen: list[Any] = []
    served.audit.on_append = lambda act: seen.append(served.gate.consent.get(PERSON))
    await served.call(SET, change())
    granted = served.gate.consent[PERSON]
    await served.call(SET, change(CONSENT_STATUS_DENIED))
    assert seen == [None, granted]
    first, second = served.audit.acts
    assert (first.act, first.actor, first.role, first.reason) == (Act.CONSENT_CHANGE, "system:backend", "", "personalization: granted")
    assert first.subject == f"person:{Pseudonyms('test', b'k' * 32)(PERSON).hex()}"
    assert (first.digest_before, first.digest_after) == ("", second.digest_before)
    assert second.digest_after not in ("", second.digest_before)
    assert PERSON not in repr(served.audit.acts)


async def test_the_same_again_is_no_change(served: Front) -> None:
    """A retry of a Set stores nothing, and the chain has it once."""
    for _ in range(3):
        await served.call(SET, change(given_at_ms=NOW - 5))
    assert len(served.audit.acts) == 1


async def test_without_the_audit_chain_nothing_changes(served: Front) -> None:
    """When the chain cannot be written the call is UNAVAILABLE and what stood goes on standing."""
    await served.call(SET, change())
    served.audit.down = True
    assert (await served.failure(SET, change(CONSENT_STATUS_DENIED))).code == "UNAVAILABLE"
    assert await offered(served) == ["personal"]


async def test_a_change_that_came_first_is_kept(served: Front) -> None:
    """Somebody else's change between reading and writing is kept, and both hold."""

    def rival() -> None:
        served.consents.before_swap = lambda: None
        served.gate.consent[PERSON] = b'{"v":1,"purposes":{"marketing_email":{"status":"denied"}}}'

    served.consents.before_swap = rival
    await served.call(SET, change())
    assert [record.purpose for record in await stored(served)] == ["marketing_email", "personalization"]
    assert len(served.audit.acts) == 2, "each attempt was audited before it was made"


async def test_attempts_against_others_end(served: Front) -> None:
    """When others always come first the call gives up, says to try again, and has changed nothing."""
    count = iter(range(1000))

    def rival() -> None:
        served.gate.consent[PERSON] = b'{"v":1,"n":%d,"purposes":{}}' % next(count)

    served.consents.before_swap = rival
    failure = await served.failure(SET, change())
    assert (failure.code, failure.retry_s is not None) == ("UNAVAILABLE", True)
    assert next(count) == ATTEMPTS
    assert await stored(served) == []


async def test_a_store_that_is_away(served: Front) -> None:
    """With the store away both calls are UNAVAILABLE and say to try again."""
    served.consents.down = True
    for path, body in ((SET, change()), (GET, GetRequest(person_id=PERSON))):
        failure = await served.failure(path, body)
        assert (failure.code, failure.retry_s is not None) == ("UNAVAILABLE", True)
        assert PERSON not in failure.message


async def test_a_role_is_asked_for_where_the_server_names_one(transport: Transport, tmp_path: Path) -> None:
    """With a role only operators who have it get through, and the chain has their name."""
    names = {"ada": ["support"], "bob": ["admin"]}
    file = tmp_path / "operators.yaml"
    file.write_text(json.dumps({"operators": {name: {"roles": roles, "token_sha256": token_hash(name)} for name, roles in names.items()}}))
    operators, live, audit = Operators(file), in_force(), FakeAudit()

    def more(watcher: Any) -> Any:
        pseudonyms, store = Pseudonyms("test", b"k" * 32), FakeConsentStore()
        service = ConsentService(lambda: live, store, audit, pseudonyms, SystemClock(), operators, watcher, role="support")
        return {"liftgate.v1.ConsentService": service.handlers()}

    async with front(transport, tmp_path / "log", in_force=lambda: live, more=more) as served:
        for metadata, code in ((None, "UNAUTHENTICATED"), ("stranger", "UNAUTHENTICATED"), ("bob", "PERMISSION_DENIED")):
            token = None if metadata is None else (("authorization", f"Bearer {metadata}"),)
            assert (await served.failure(SET, change(), metadata=token)).code == code
            assert (await served.failure(GET, GetRequest(person_id=PERSON), metadata=token)).code == code
        assert audit.acts == []
        await served.call(SET, change(), metadata=(("authorization", "Bearer ada"),))
    assert [(act.actor, act.role) for act in audit.acts] == [("ada", "support")]


async def changes(served: Front) -> HistoryResponse:
    """Return what History says."""
    return HistoryResponse.FromString(await served.call(HISTORY, HistoryRequest(person_id=PERSON)))


async def test_every_change_is_in_the_history_once(served: Front) -> None:
    """Entries tell who set what, each bound to the one before; a repeat adds none; the whole verifies."""
    assert told(await changes(served)).plain["entries"] == []
    for status in (CONSENT_STATUS_GRANTED, CONSENT_STATUS_GRANTED, CONSENT_STATUS_DENIED):
        await served.call(SET, change(status, source="checkout"))
    found = await changes(served)
    assert [(one.sequence, one.actor, one.consent.status) for one in found.entries] == [
        (0, "system:backend", CONSENT_STATUS_GRANTED),
        (1, "system:backend", CONSENT_STATUS_DENIED),
    ]
    assert found.entries[1].previous_hash == found.entries[0].hash
    assert found.entries[0].consent.source == "checkout"
    looked = told(found)
    assert (looked.whole, looked.plain["written_past"]) == (True, [])
    given = change(CONSENT_STATUS_GRANTED, given_at_ms=1_767_225_600_000)
    await served.call(SET, given)
    assert "(given 2026-01-01 00:00:00 UTC)" in told(await changes(served)).lines[-2], "times as people read them"


async def test_what_was_done_to_a_history_shows(served: Front) -> None:
    """An entry that was edited, taken out, moved or put in is found; a document written past the service is said and is no fault."""
    for number in range(4):
        await served.call(SET, change(CONSENT_STATUS_GRANTED, source=f"page-{number}"))
    whole = served.consents.entries[PERSON]
    forged = entry(whole[-1], 1, "mallory", ConsentRecord(purpose="personalization", status="granted"), None, b"{}")
    for spoiled in (
        [whole[0], whole[1].replace(b"page-1", b"page-9"), *whole[2:]],
        [whole[0], *whole[2:]],
        [whole[0], whole[2], whole[1], whole[3]],
        [whole[0], forged, *whole[1:]],
        [*whole[:2], b"{}", *whole[3:]],
        whole[1:],
    ):
        served.consents.entries[PERSON] = list(spoiled)
        looked = told(await changes(served))
        assert looked.whole is (spoiled == whole[1:]), "the oldest are dropped in the course of things"
    served.consents.entries[PERSON] = whole[:-1]
    assert told(await changes(served)).plain["written_past"], "the newest cut off"
    served.consents.entries[PERSON] = whole
    served.gate.consent[PERSON] = b'{"v":1,"purposes":{}}'
    looked = told(await changes(served))
    assert looked.whole
    assert looked.plain["written_past"] == ["since entry 3 the document was written past this service"]


async def test_the_history_is_bounded(served: Front) -> None:
    """The newest 256 changes are kept, and verify."""
    for number in range(KEPT + 3):
        await served.call(SET, change(CONSENT_STATUS_GRANTED, source=f"page-{number}"))
    found = await changes(served)
    assert [one.sequence for one in found.entries] == list(range(3, KEPT + 3))
    assert told(found).whole
