"""Explain over both transports: from the log alone, only for who may ask, and never at the decisions' cost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pytest

from liftgate.adapters.bundle_archive import keep
from liftgate.adapters.explanation_from_log import LogExplanations
from liftgate.adapters.grpc_explain import MOST_BYTES, WAITING, ExplainService, bounded, may_explain
from liftgate.adapters.operators import Operators, new_token, token_hash
from liftgate.bundle.load import load_bundle
from liftgate.domain.errors import NotPermitted
from liftgate.pipeline.live import Live
from liftgate.v1.decision_pb2 import CandidateExplanation, DecideRequest, DecideResponse, Explanation, RuleExplanation
from liftgate.v1.decision_service_pb2 import ExplainRequest, ExplainResponse
from tests.adapters.shop import NoModels
from tests.e2e.front import DECIDE, EXPLAIN, Front, front

SMALL = Path(__file__).parents[1] / "cases" / "bundles" / "small"
Door = Literal["native", "grpcio"]
NOWHERE = "019b76c0f3a17c0e8d4f5a6b7c8d9e0f"


def anyone(metadata: Iterable[tuple[str, str | bytes]]) -> None:
    """Whoever can call may ask."""


async def decide(serving: Front, request_id: str = "r-1", **more: Any) -> DecideResponse:
    """Return an answer of the shop."""
    request = DecideRequest(request_id=request_id, person_id="person-1", placement_id="home.hero", slot_count=1, **more)
    return DecideResponse.FromString(await serving.call(DECIDE, request))


async def test_a_decision_is_explained_by_its_id(transport: Door, tmp_path: Path) -> None:
    """The explanation is that of the decision: its offers, its probabilities, its bundle, and the one that went out with the answer."""
    bundle = load_bundle(SMALL)
    keep(bundle, tmp_path)
    live = Live(bundle, NoModels())
    async with front(transport, tmp_path, in_force=lambda: live, explain=ExplainService(tmp_path, anyone).explain) as serving:
        answers = [await decide(serving, f"r-{i}", explain=True) for i in range(5)]
        for answer in answers:
            raw = await serving.call(EXPLAIN, ExplainRequest(decision_id=answer.decision_id))
            found = ExplainResponse.FromString(raw).explanation
            assert found.decision_id == answer.decision_id
            assert list(found.offered) == [slot.offer_id for slot in answer.slots]
            assert any(entry.rules for entry in found.candidates)
            assert found.slots[0].selection_probability == answer.slots[0].selection_probability
            assert found.summary == answer.explanation.summary
            told = [
                [(one.offer_id, one.reason, one.rule, one.slot_probabilities) for one in part.candidates]
                for part in (found, answer.explanation)
            ]
            assert told[0] == told[1]
            assert not found.caveats
            # What identifies a person, or the request, is in the record and not here.
            (record,) = [one for one in serving.decisions.decisions if one.decision_id == answer.decision_id]
            for secret in (b"person-1", record.person_pseudonym, record.request_id.encode()):
                assert secret not in raw


@pytest.mark.parametrize("bad", ["", "not-an-id", NOWHERE.upper(), NOWHERE + "0", "../../etc/passwd"])
async def test_a_malformed_id_is_the_callers_mistake(transport: Door, tmp_path: Path, bad: str) -> None:
    """INVALID_ARGUMENT names the field and does not repeat what was sent."""
    async with front(transport, tmp_path, explain=ExplainService(tmp_path, anyone).explain) as serving:
        failure = await serving.failure(EXPLAIN, ExplainRequest(decision_id=bad))
        assert (failure.code, failure.paths) == ("INVALID_ARGUMENT", ["decision_id"])
        assert not bad or bad not in failure.message
        assert (await serving.failure(EXPLAIN, b"\xff\xff")).code == "INVALID_ARGUMENT"


async def test_an_unknown_id_says_where_else_to_look(transport: Door, tmp_path: Path) -> None:
    """NOT_FOUND names the command that reads any log."""
    async with front(transport, tmp_path, explain=ExplainService(tmp_path, anyone).explain) as serving:
        await decide(serving)
        failure = await serving.failure(EXPLAIN, ExplainRequest(decision_id=NOWHERE))
        assert failure.code == "NOT_FOUND"
        assert "liftgate explain DECISION_ID --log DIR" in failure.message
        assert not serving.watcher.crashes


async def test_only_operators_may_ask(transport: Door, tmp_path: Path) -> None:
    """With operators a token of one of them is needed; without, a setting; with neither nobody is told anything."""
    token = new_token()
    path = tmp_path / "operators.yaml"
    path.write_text(f'operators:\n  ada: {{roles: [reviewer], token_sha256: "{token_hash(token)}"}}\n')
    log = tmp_path / "log"
    async with front(transport, log, explain=ExplainService(log, may_explain(Operators(path), True)).explain) as serving:
        request = ExplainRequest(decision_id=(await decide(serving)).decision_id)
        assert (await serving.failure(EXPLAIN, request)).code == "UNAUTHENTICATED"
        wrong = (("authorization", f"Bearer {new_token()}"),)
        assert (await serving.failure(EXPLAIN, request, metadata=wrong)).code == "UNAUTHENTICATED"
        right = (("authorization", f"Bearer {token}"),)
        assert ExplainResponse.FromString(await serving.call(EXPLAIN, request, metadata=right)).explanation.summary
    async with front(transport, log, explain=ExplainService(log, may_explain(Operators(None), False)).explain) as serving:
        failure = await serving.failure(EXPLAIN, request)
        assert (failure.code, "--operators" in failure.message, "--explain-by-id" in failure.message) == ("FAILED_PRECONDITION", True, True)
    async with front(transport, log, explain=ExplainService(log, may_explain(Operators(None), True)).explain) as serving:
        assert ExplainResponse.FromString(await serving.call(EXPLAIN, request)).explanation.summary


async def test_whoever_may_not_ask_learns_nothing_from_the_id(tmp_path: Path) -> None:
    """Leave is asked before anything is looked at: a malformed id and an unknown one are refused alike."""

    def nobody(metadata: Iterable[tuple[str, str | bytes]]) -> None:
        raise NotPermitted("no")

    async with front("native", tmp_path, explain=ExplainService(tmp_path, nobody).explain) as serving:
        for body in (b"\xff", ExplainRequest(decision_id="x"), ExplainRequest(decision_id=NOWHERE)):
            assert (await serving.failure(EXPLAIN, body)).code == "PERMISSION_DENIED"


class Held(LogExplanations):
    """A search that takes as long as the test wants."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.runs = 0

    def explain(self, decision_id: str, pause: Any = lambda: None) -> Explanation | None:
        self.runs += 1
        self.begun.release()
        while not self.go_on.is_set():
            pause()
        return Explanation(decision_id=decision_id)


async def test_searches_are_rationed_and_decisions_are_not(transport: Door, tmp_path: Path) -> None:
    """One search runs, a few wait, the next is told to try again, and meanwhile decisions are made."""
    service, held = ExplainService(tmp_path, anyone), Held()
    service._explanations = held
    async with front(transport, tmp_path, explain=service.explain) as serving:
        calls = [asyncio.create_task(serving.call(EXPLAIN, ExplainRequest(decision_id=NOWHERE))) for _ in range(WAITING + 1)]
        await asyncio.to_thread(held.begun.acquire)
        async with asyncio.timeout(20):
            while serving.watcher.in_flight < WAITING + 1:
                await asyncio.sleep(0.01)
        failure = await serving.failure(EXPLAIN, ExplainRequest(decision_id=NOWHERE))
        assert (failure.code, failure.retry_s is not None, held.runs) == ("RESOURCE_EXHAUSTED", True, 1)
        assert (await decide(serving)).slots
        held.go_on.set()
        assert len(await asyncio.gather(*calls)) == WAITING + 1
        # There is room again.
        assert await serving.call(EXPLAIN, ExplainRequest(decision_id=NOWHERE))


async def test_a_search_ends_with_its_time_and_with_its_caller(transport: Door, tmp_path: Path) -> None:
    """Out of time it is NOT_FOUND here; past the caller's deadline, or cancelled, the thread stops and the next search runs."""
    service, held = ExplainService(tmp_path, anyone, budget_s=0.2), Held()
    service._explanations = held
    async with front(transport, tmp_path, explain=service.explain) as serving:
        failure = await serving.failure(EXPLAIN, ExplainRequest(decision_id=NOWHERE))
        assert (failure.code, "within 0.2 s" in failure.message) == ("NOT_FOUND", True)
        assert (await serving.failure(EXPLAIN, ExplainRequest(decision_id=NOWHERE), timeout=0.1)).code == "DEADLINE_EXCEEDED"
        service._budget_s, before = 60.0, held.runs
        call = serving.channel.unary_unary(EXPLAIN)(ExplainRequest(decision_id=NOWHERE).SerializeToString(), timeout=60)
        while held.runs == before:
            await asyncio.sleep(0.01)
        call.cancel()
        held.runs = 0
        after = asyncio.create_task(serving.call(EXPLAIN, ExplainRequest(decision_id=NOWHERE)))
        while held.runs < 1:
            await asyncio.sleep(0.01)
        held.go_on.set()
        assert await after


def test_an_answer_is_bounded() -> None:
    """An explanation that clients would refuse for its size loses the rules of allowed offers first, then all, and says so."""
    rules = [RuleExplanation(section="eligible_if", text="x" * 1000)] * 3

    def explanation(allowed: int, refused: int) -> Explanation:
        ranked = CandidateExplanation(offer_id="a", selection_probability=0.1, rules=rules)
        return Explanation(candidates=[ranked] * allowed + [CandidateExplanation(offer_id="b", rules=rules)] * refused)

    small = explanation(1, 1)
    assert bounded(explanation(1, 1)) == small
    large = bounded(explanation(2000, 500))
    assert large.ByteSize() <= MOST_BYTES
    assert [bool(entry.rules) for entry in large.candidates] == [False] * 2000 + [True] * 500
    larger = bounded(explanation(2000, 2000))
    assert larger.ByteSize() <= MOST_BYTES
    assert (any(entry.rules for entry in larger.candidates), len(larger.caveats)) == (False, 2)
