"""grpc.health.v1: NOT_SERVING until told otherwise, and watchers hear of every change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from liftgate.adapters.grpc_errors import refuse
from liftgate.adapters.grpc_requests import malformed

SERVICE = "grpc.health.v1.Health"
_Status = health_pb2.HealthCheckResponse


class Health:
    """One status for the whole server (service name empty) and for each of its services. One event loop.

    The reference servicer starts as SERVING and its watchers hold up a drain to the end of its grace; this one does neither.
    """

    def __init__(self, services: tuple[str, ...]) -> None:
        self._services = frozenset(services) | {""}
        self._serving = False
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def serving(self) -> bool:
        """What checks are told."""
        return self._serving

    def set_serving(self, serving: bool) -> None:
        """Change the status; watchers are told."""
        if serving != self._serving and not self._closed:
            self._serving = serving
            self._announce()

    def close(self) -> None:
        """NOT_SERVING for good, and watchers' calls end, so that they hold up no drain."""
        self._serving = False
        self._closed = True
        self._announce()

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the methods by name, over raw bytes."""
        return {
            "Check": grpc.unary_unary_rpc_method_handler(self.check),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
        }

    async def check(self, raw: bytes, call: Any) -> bytes:
        """Answer one encoded HealthCheckRequest; NOT_FOUND for a service that is not here."""
        service = await _service(raw, call)
        if service not in self._services:
            await call.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return self._status()

    async def watch(self, raw: bytes, call: Any) -> AsyncIterator[bytes]:
        """Answer the status now and at every change."""
        service = await _service(raw, call)
        if service not in self._services:
            yield _Status(status=_Status.SERVICE_UNKNOWN).SerializeToString()
            while not self._closed:
                await self._changed.wait()
            return
        while True:
            changed = self._changed
            yield self._status()
            if self._closed:
                return
            await changed.wait()

    def _status(self) -> bytes:
        return bytes(_Status(status=_Status.SERVING if self._serving else _Status.NOT_SERVING).SerializeToString())

    def _announce(self) -> None:
        # Each change has its own event: who waits wakes once, who comes later waits for the next.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _service(raw: bytes, call: Any) -> str:
    try:
        return str(health_pb2.HealthCheckRequest.FromString(raw).service)
    except DecodeError:
        await refuse(call, malformed("grpc.health.v1.HealthCheckRequest"))
