"""The services behind the wire: bytes in, bytes out, one budget a call, one table of errors.

Handlers take and give raw bytes, so that a malformed body is the caller's error and not the transport's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, Protocol

import grpc

from liftgate.adapters.direct_calls import DirectCall, DirectMethod
from liftgate.adapters.grpc_answers import batch_response
from liftgate.adapters.grpc_errors import CallObserver, Report, Unimplemented, refuse, status_of, what_failed
from liftgate.adapters.grpc_requests import RequestReader
from liftgate.domain.errors import Expired
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.batching import Caller
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Ids

Call = Any
"""A grpc.aio.ServicerContext, of either transport."""
Handler = Callable[[Any, Call], Awaitable[bytes]]
"""Takes the request's bytes; of a method whose requests come as a stream, an asynchronous iterator of them."""

_NO_DEADLINE_S = 1e9
"""Transports say None, or an astronomic number, where the caller sent no deadline."""


class Decider(Protocol):
    """Where requests go: `pipeline.batching.Batcher`."""

    async def submit(self, request: DecideRequest, live: Live, deadline: float | None = None) -> bytes:
        """Return the encoded answer; see `Batcher.submit`."""
        ...

    def enter(self, caller: Caller, request: DecideRequest, live: Live, deadline: float | None = None) -> None:
        """Give the answer to the caller; see `Batcher.enter`."""
        ...

    @property
    def crowded(self) -> bool:
        """Say whether `too_late` may refuse requests; see `Batcher.crowded`."""
        ...

    def too_late(self, deadline: float | None = None) -> bool:
        """Say whether one more request would be refused; see `Batcher.too_late`."""
        ...

    async def submit_many(self, requests: Sequence[DecideRequest], live: Live, deadline: float | None = None) -> list[bytes]:
        """Return one encoded answer each; see `Batcher.submit_many`."""
        ...


class DecisionService:
    """`liftgate.v1.DecisionService`. One event loop."""

    def __init__(
        self,
        live: Callable[[], Live],
        decider: Decider,
        ids: Ids,
        observer: CallObserver,
        *,
        default_deadline_ms: float = 1000.0,
        report: Report | None = None,
        explain: Handler | None = None,
    ) -> None:
        """`live` gives what is in force now; `default_deadline_ms` is the budget of calls that carry no deadline.

        `explain` answers Explain; None: it answers UNIMPLEMENTED.
        """
        self._live = live
        self._decider = decider
        self._reader = RequestReader(ids)
        self._observer = observer
        self._default_deadline_s = default_deadline_ms / 1000.0
        self._report = report
        self._loop: asyncio.AbstractEventLoop | None = None
        self._explain = explain or unimplemented("ask for the explanation with `explain: true` in Decide, or use `liftgate explain`")

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        return {
            "Decide": answering("Decide", self.decide, self._observer, self._report),
            "DecideBatch": answering("DecideBatch", self.decide_batch, self._observer, self._report),
            "Explain": answering("Explain", self._explain, self._observer, self._report),
        }

    async def decide(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded DecideRequest. Raises what the table of errors names."""
        deadline = deadline_of(call, self._default_deadline_s)
        live = self._live()
        request = self._reader.decide(raw, live.bundle, call.invocation_metadata())
        return await self._decider.submit(request, live, deadline)

    def direct(self) -> dict[str, DirectMethod]:
        """Return by name the methods that can take calls without a task for each."""
        return {"Decide": DirectMethod("Decide", self.take, self._observer, self._report, refuses=self.refuses)}

    def refuses(self, remaining: float | None) -> bool:
        """Say whether a call whose caller left so many seconds would be refused: asked before it is read, for refusals must be cheap."""
        if not self._decider.crowded:
            return False
        if remaining is None or remaining > _NO_DEADLINE_S:
            remaining = self._default_deadline_s
        elif remaining <= 0:
            return False
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._decider.too_late(self._loop.time() + remaining)

    def take(self, raw: bytes, call: DirectCall) -> None:
        """Begin to answer one encoded DecideRequest: `decide` without waiting. Raises what the table of errors names."""
        remaining = call.remaining
        if remaining is None or remaining > _NO_DEADLINE_S:
            remaining = self._default_deadline_s
        elif remaining <= 0:
            raise Expired
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        live = self._live()
        request = self._reader.decide(raw, live.bundle, call.metadata)
        self._decider.enter(call, request, live, self._loop.time() + remaining)

    async def decide_batch(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded DecideBatchRequest. Raises what the table of errors names."""
        deadline = deadline_of(call, self._default_deadline_s)
        live = self._live()
        requests = self._reader.decide_batch(raw, live.bundle, call.invocation_metadata())
        return batch_response(await self._decider.submit_many(requests, live, deadline))


def unimplemented(instead: str) -> Handler:
    """Return a method that answers UNIMPLEMENTED and says what to use instead."""

    async def method(raw: bytes, call: Call) -> bytes:
        raise Unimplemented(instead)

    return method


def answering(name: str, method: Handler, observer: CallObserver, report: Report | None = None) -> Handler:
    """Return the method with its errors turned into status codes, and counted."""
    ok, cancelled, late = (_number(code) for code in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED))

    async def handler(raw: Any, call: Call) -> bytes:
        started = perf_counter()
        observer.began()
        code = ok
        try:
            return await method(raw, call)
        except asyncio.CancelledError:
            remaining = call.time_remaining()
            code = cancelled if remaining is None or remaining > 0 else late
            raise
        except Exception as error:
            status = status_of(error)[0]
            code = _number(status)
            if status is grpc.StatusCode.INTERNAL and report is not None:
                report(name, what_failed(error))
            await refuse(call, error)
        finally:
            observer.answered(name, code, perf_counter() - started)

    return handler


def _number(code: grpc.StatusCode) -> int:
    return int(code.value[0])


def deadline_of(call: Call, default_s: float) -> float:
    """Return the call's deadline on the event loop's clock, seconds. Raises Expired when it has passed."""
    remaining = call.time_remaining()
    if remaining is None or remaining > _NO_DEADLINE_S:
        remaining = default_s
    elif remaining <= 0:
        raise Expired
    return float(asyncio.get_running_loop().time() + remaining)
