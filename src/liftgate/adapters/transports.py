"""The two doors: pygrpc-native for plaintext, grpcio for TLS, the same handlers behind both."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

from liftgate.adapters.direct_calls import DirectMethod
from liftgate.adapters.grpc_health import SERVICE as HEALTH_SERVICE
from liftgate.adapters.grpc_health import Health
from liftgate.adapters.grpc_service import Handler
from liftgate.v1 import (
    admin_service_pb2,
    consent_service_pb2,
    control_service_pb2,
    decision_service_pb2,
    event_service_pb2,
    review_service_pb2,
)

Transport = Literal["auto", "native", "grpcio"]

MAX_REQUEST_BYTES = 4 * 1024 * 1024
GATHER_TURNS = {"native": 3, "grpcio": 8}
"""Turns of the event loop that a busy service waits for another request. grpcio accepts one call at a time: without it batches of two
follow one another, each at the fixed cost of a whole batch. The native transport hands over many at once: few turns are enough."""
_MAX_METADATA_BYTES = 16 * 1024

_METHODS = {
    service.full_name: tuple(method.name for method in service.methods)
    for module in (
        decision_service_pb2,
        event_service_pb2,
        consent_service_pb2,
        admin_service_pb2,
        control_service_pb2,
        review_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
}
"""Every service of the contract, with its methods."""
_STREAMED = frozenset(
    method.full_name
    for module in (event_service_pb2,)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if method.client_streaming
)
"""Methods whose requests come as a stream. The native transport hands them to a grpcio server behind it."""


_FALLBACK_SOCKET = "/pygrpc-native-12345678/fallback.sock"
_LONGEST_SOCKET_PATH = 103  # bytes, of the strictest system


@contextmanager
def _room_for_a_socket() -> Iterator[None]:
    """Where the temporary folder's path leaves no room for a socket's, the native server's own socket goes to /tmp."""
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual + _FALLBACK_SOCKET)) <= _LONGEST_SOCKET_PATH:
        yield
        return
    tempfile.tempdir = "/tmp"  # noqa: S108  # mkdtemp makes it, for this user alone
    try:
        yield
    finally:
        tempfile.tempdir = usual


@dataclass(frozen=True, slots=True)
class Tls:
    """A server's certificate chain and private key, PEM."""

    certificate: bytes
    key: bytes


def resolve(transport: Transport, tls: Tls | None) -> Literal["native", "grpcio"]:
    """Return which door `transport` means. Raises ValueError when it has no TLS and is asked for it."""
    if transport == "auto":
        return "grpcio" if tls else "native"
    if transport == "native" and tls:
        raise ValueError("the native transport has no TLS: choose grpcio or auto, or leave the certificate away")
    return transport


class GrpcServer:
    """One listening server. Make it, `start` it and `stop` it on one event loop.

    `services` maps names of services of the contract to their handlers; a service or a method that is left out answers UNIMPLEMENTED.
    """

    def __init__(
        self,
        services: Mapping[str, Mapping[str, Handler]],
        *,
        transport: Transport = "auto",
        tls: Tls | None = None,
        reuse_port: bool = False,
        reflect: bool = False,
        max_request_bytes: int = MAX_REQUEST_BYTES,
        direct: Mapping[str, Mapping[str, DirectMethod]] | None = None,
    ) -> None:
        """`direct`: methods of `services` that the native transport calls without a task for each.

        `reuse_port`: other processes may listen on the same port; without it a taken port fails. Raises ValueError on unknown names."""
        self.transport = resolve(transport, tls)
        self._tls = tls
        hottest = {f"/{service}/{name}": method for service, methods in (direct or {}).items() for name, method in methods.items()}
        self._server = _make(self.transport, reuse_port, max_request_bytes, hottest)
        self.health = Health(tuple(services))
        for service, handlers in services.items():
            unknown = set(handlers) - set(_METHODS.get(service, ()))
            if unknown or service not in _METHODS:
                raise ValueError(f"{service} is no service of the contract, or has no method {', '.join(sorted(unknown))}")
            self._add(service, {name: _method(f"{service}.{name}", handler) for name, handler in handlers.items()})
        self._add(HEALTH_SERVICE, self.health.handlers())
        if reflect:
            reflection.enable_server_reflection((*services, HEALTH_SERVICE, reflection.SERVICE_NAME), self._server)

    def _add(self, service: str, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        # Registered for the native server, which hands generic ones to a slower one behind it; generic for grpcio of any version.
        if self.transport == "grpcio":
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self._server.add_registered_method_handlers(service, handlers)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, and return the port; 0 takes a free one. Health says NOT_SERVING. Raises OSError when the port cannot be had."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._tls is None:
                bound = self._server.add_insecure_port(address)
            else:
                credentials = grpc.ssl_server_credentials(((self._tls.key, self._tls.certificate),))
                bound = self._server.add_secure_port(address, credentials)
        except RuntimeError:
            raise OSError(f"cannot listen on {address}: is it taken, or not an address of this machine?") from None
        with _room_for_a_socket():
            await self._server.start()
        return int(bound)

    async def stop(self, grace_s: float) -> None:
        """NOT_SERVING at once, refuse new calls, let those in flight finish for `grace_s` seconds, then cancel them."""
        self.health.close()
        await self._server.stop(grace_s)

    async def wait_for_termination(self) -> None:
        """Return when the server has stopped."""
        await self._server.wait_for_termination()


def _method(name: str, handler: Handler) -> grpc.RpcMethodHandler[Any, Any]:
    # No (de)serialisers: bytes go through as they are.
    if name in _STREAMED:
        return grpc.stream_unary_rpc_method_handler(handler)
    return grpc.unary_unary_rpc_method_handler(handler)


def _make(
    transport: Literal["native", "grpcio"], reuse_port: bool, max_request_bytes: int, direct: Mapping[str, DirectMethod]
) -> grpc.aio.Server:
    options = [
        ("grpc.max_receive_message_length", max_request_bytes),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.so_reuseport", int(reuse_port)),
    ]
    if transport == "native":
        from liftgate.adapters.native_server import NativeServer  # absent on Windows, where grpcio serves

        # One thread for sockets: a worker is one core, and a second one costs a tenth more CPU a decision in switching.
        return NativeServer(direct, options, io_threads=1)
    return grpc.aio.server(options=options)
