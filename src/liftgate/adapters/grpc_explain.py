"""`Explain`: an earlier decision from this server's own log, rationed so that it cannot hold up decisions.

One search runs at a time, in a thread of its own that gives way after every few hundred microseconds; a few may wait, the others are told
to try again. It reads segments only: Parquet needs pyarrow, which a server does not load.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from liftgate.adapters.explanation_from_log import LogExplanations
from liftgate.adapters.operators import Operators
from liftgate.domain.errors import CallerError, Expired, FieldViolation, NotFound, NotSetUp, Overloaded
from liftgate.record.find import is_decision_id
from liftgate.v1.decision_pb2 import Explanation
from liftgate.v1.decision_service_pb2 import ExplainRequest, ExplainResponse

WAITING = 8
"""Calls that may wait for the one that runs."""
BUDGET_S = 5.0
"""Longest search; a call's own deadline may be shorter."""
MOST_BYTES = 3 * 2**20
"""Of an answer: clients refuse more than 4 MiB unless told otherwise."""
_GIVE_WAY_S = 0.0002
_WRONG_ID = "wants 32 hexadecimal digits, a to f in lower case, as Decide answered them"
_ELSEWHERE = "look with `liftgate explain DECISION_ID --log DIR`, which reads Parquet too, where its log is kept"
_NOT_SET_UP = (
    "explanations show what is known of a person, so this server gives none by id: start it with --operators FILE (LIFTGATE_OPERATORS), "
    "or with --explain-by-id where whoever can call may see that; `liftgate explain DECISION_ID --log DIR` needs neither"
)

Allow = Callable[[Iterable[tuple[str, str | bytes]]], object]
"""Told a call's metadata; raises NotSetUp, NotAuthenticated or NotPermitted."""


def may_explain(operators: Operators, anyone: bool) -> Allow:
    """Return who may ask: with operators any of them, else anyone who can call where `anyone` is set, else nobody."""

    def allow(metadata: Iterable[tuple[str, str | bytes]]) -> None:
        if operators.set_up:
            operators.authorise(metadata)
        elif not anyone:
            raise NotSetUp(_NOT_SET_UP)

    return allow


class _TimeOver(Exception):
    """The search took too long, or nobody waits for it any more."""


class ExplainService:
    """The method `Explain` of `liftgate.v1.DecisionService`. One event loop."""

    def __init__(self, log: Path, allow: Allow, *, waiting: int = WAITING, budget_s: float = BUDGET_S) -> None:
        """`log`: the directory of this server's decision log."""
        self._explanations = LogExplanations(log, parquet=False)
        self._allow = allow
        self._room = waiting + 1
        self._budget_s = budget_s
        self._thread: ThreadPoolExecutor | None = None

    async def explain(self, raw: bytes, call: Any) -> bytes:
        """Answer one encoded ExplainRequest. Raises what the table of errors names."""
        self._allow(call.invocation_metadata() or ())
        decision_id = _decision_id(raw)
        remaining = call.time_remaining()
        if remaining is not None and remaining <= 0:
            raise Expired
        until = time.monotonic() + self._budget_s
        late = remaining is not None and remaining < self._budget_s
        if late and remaining is not None:
            until = time.monotonic() + remaining
        if not self._room:
            raise Overloaded
        self._room -= 1
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "liftgate-explain")
        given_up: list[bool] = []

        def give_way() -> None:
            if given_up or time.monotonic() > until:
                raise _TimeOver
            time.sleep(_GIVE_WAY_S)

        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, self._encoded, decision_id, give_way)
        except _TimeOver:
            if late:
                raise Expired from None
            raise NotFound(f"the decision was not found within {self._budget_s:g} s; {_ELSEWHERE}") from None
        finally:
            given_up.append(True)
            self._room += 1
        if answer is None:
            raise NotFound(f"this server's log does not have the decision; {_ELSEWHERE}")
        return answer

    def _encoded(self, decision_id: str, give_way: Callable[[], None]) -> bytes | None:
        give_way()
        explanation = self._explanations.explain(decision_id, give_way)
        return None if explanation is None else ExplainResponse(explanation=bounded(explanation)).SerializeToString(deterministic=True)


def bounded(explanation: Explanation, most_bytes: int = MOST_BYTES) -> Explanation:
    """Return an explanation that fits an answer: where it does not, rules are left out, those of allowed offers first, and it says so."""
    for allowed_only in (True, False):
        if explanation.ByteSize() <= most_bytes:
            return explanation
        for entry in explanation.candidates:
            if not allowed_only or entry.HasField("selection_probability"):
                del entry.rules[:]
        kind = "allowed offers" if allowed_only else "offers"
        explanation.caveats.append(f"The rules of {kind} are left out for their number; `liftgate explain` shows them.")
    return explanation


def _decision_id(raw: bytes) -> str:
    try:
        decision_id = ExplainRequest.FromString(raw).decision_id
    except DecodeError:
        raise CallerError((FieldViolation("", "the message is not an ExplainRequest"),)) from None
    if not is_decision_id(decision_id):
        raise CallerError((FieldViolation("decision_id", _WRONG_ID),))
    return decision_id
