"""The client for threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import grpc

from liftgate.client import wire
from liftgate.client.answer import Decision, Recorded
from liftgate.client.failure import Failure, ServiceUnavailable
from liftgate.client.request import AttributeValue, Event, Request
from liftgate.client.retry import RetryPolicy
from liftgate.v1 import decision_pb2, decision_service_pb2, event_service_pb2


class Client:
    """Asks a Liftgate service. One connection, many calls at a time; safe to share between threads, not over a fork.

    `timeout_ms` is the budget of a whole call, retries included. `default_offer` is shown while the service is away: an
    offer (or its id) for every placement, or a mapping from placement to offer; None shows nothing.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout_ms: float = 200.0,
        default_offer: wire.Defaults = None,
        credentials: grpc.ChannelCredentials | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        """`target` is `host:port`; `credentials` ask for TLS."""
        if credentials is None:
            self._channel = grpc.insecure_channel(target, options=wire.OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, credentials, options=wire.OPTIONS)
        self._timeout_s = timeout_ms / 1000.0
        self._defaults = default_offer
        self._retry = retry or RetryPolicy()
        self._decide = self._method(wire.DECIDE, decision_pb2.DecideResponse.FromString)
        self._decide_batch = self._method(wire.DECIDE_BATCH, decision_service_pb2.DecideBatchResponse.FromString)
        self._record = self._method(wire.RECORD, event_service_pb2.RecordResponse.FromString)
        self._record_stream = self._channel.stream_unary(
            wire.RECORD_STREAM,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=event_service_pb2.RecordStreamResponse.FromString,
        )

    def _method(self, path: str, parse: Callable[[bytes], Any]) -> Any:
        return self._channel.unary_unary(path, request_serializer=lambda message: message.SerializeToString(), response_deserializer=parse)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        self._channel.close()

    def decide(
        self,
        person_id: str,
        placement_id: str,
        *,
        slot_count: int = 0,
        channel: str = "",
        device: str = "",
        locale: str = "",
        time_zone: str = "",
        attributes: Mapping[str, AttributeValue] | None = None,
        global_privacy_control: bool = False,
        candidates: Sequence[str] | None = None,
        explain: bool = False,
        dry_run: bool = False,
        account_id: str = "",
        jurisdiction: str = "",
        baseline_offers: Sequence[str] = (),
        deferred: bool = False,
        session_id: str = "",
        visitor_id: str = "",
        request_id: str | None = None,
        timeout_ms: float | None = None,
        traceparent: str | None = None,
    ) -> Decision:
        """Return the decision for one person in one placement, or the default when the service is away.

        Raises RequestRefused when the request itself is wrong.
        """
        fresh: Any = {} if request_id is None else {"request_id": request_id}
        request = Request(
            person_id,
            placement_id,
            slot_count,
            channel,
            device,
            locale,
            time_zone,
            attributes or {},
            global_privacy_control,
            candidates,
            explain,
            dry_run,
            account_id=account_id,
            jurisdiction=jurisdiction,
            baseline_offers=baseline_offers,
            deferred=deferred,
            session_id=session_id,
            visitor_id=visitor_id,
            **fresh,
        )
        answer = self._call(self._decide, wire.request_message(request), request.request_id, timeout_ms, traceparent)
        if isinstance(answer, Failure):
            return wire.default_decision(request, self._defaults, answer.code.name, answer.message)
        return wire.decision_of(request, answer)

    def decide_batch(
        self, requests: Sequence[Request], *, timeout_ms: float | None = None, traceparent: str | None = None
    ) -> list[Decision]:
        """Return one decision for each of up to 1,000 requests, in order; all defaults when the service is away.

        Raises RequestRefused when any of the requests is wrong.
        """
        key = requests[0].request_id if requests else ""
        answer = self._call(self._decide_batch, wire.batch_message(requests), key, timeout_ms, traceparent)
        if isinstance(answer, Failure):
            return [wire.default_decision(request, self._defaults, answer.code.name, answer.message) for request in requests]
        return [wire.decision_of(request, one) for request, one in zip(requests, answer.responses, strict=True)]

    def record(self, events: Sequence[Event], *, timeout_ms: float | None = None) -> Recorded:
        """Return what became of up to 1,000 events once they are in the event log.

        Raises ServiceUnavailable when that is not known: send the same events again, nothing is counted twice. Raises
        RequestRefused when the batch as a whole is wrong.
        """
        key = events[0].event_id if events else ""
        answer = self._call(self._record, wire.record_message(events), key, timeout_ms, None)
        if isinstance(answer, Failure):
            raise ServiceUnavailable(answer.code.name)
        return wire.recorded_of(answer)

    def record_stream(self, events: Iterable[Event], *, timeout_ms: float = 3_600_000.0) -> Recorded:
        """Return what became of any number of events once all of them are in the event log: one call, batches one after another.

        Positions count from the first event. Nothing is retried. Raises ServiceUnavailable when the stream broke or `timeout_ms` passed:
        send all of it again, what was stored before changes nothing. Raises RequestRefused when a batch as a whole is wrong, and whatever
        `events` itself raises.
        """
        messages = wire.StreamMessages(events)
        try:
            answer = self._record_stream(iter(messages), timeout=timeout_ms / 1000.0)
        except grpc.RpcError as error:
            if messages.fault is not None:
                raise messages.fault from None
            failure = Failure.read(error.code(), error.details(), error.trailing_metadata())
            failure.raise_if_refused()
            raise ServiceUnavailable(failure.code.name) from None
        return wire.recorded_of(answer)

    def _call(self, method: Any, message: Any, key: str, timeout_ms: float | None, traceparent: str | None) -> Any:
        """Return the answer, or the Failure of the last attempt. Raises RequestRefused."""
        deadline = time.monotonic() + (self._timeout_s if timeout_ms is None else timeout_ms / 1000.0)
        metadata = None if traceparent is None else (("traceparent", traceparent),)
        attempt = 1
        while True:
            try:
                return method(message, timeout=max(deadline - time.monotonic(), 0.0), metadata=metadata)
            except grpc.RpcError as error:
                failure = Failure.read(error.code(), error.details(), error.trailing_metadata())
            failure.raise_if_refused()
            pause = self._retry.pause_s(attempt, failure, deadline - time.monotonic(), wire.jitter(key, attempt))
            if pause is None:
                return failure
            time.sleep(pause)
            attempt += 1
