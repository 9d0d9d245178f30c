"""Privileged calls to a running service, for the command line: an operator's token, one channel, plain words for what goes wrong."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from liftgate.adapters.fleet import Outcome, Reported, WorkerState
from liftgate.bundle.mistake import Mistake
from liftgate.v1 import admin_service_pb2 as pb

_R = TypeVar("_R")
_SERVICE = "/liftgate.v1.AdminService/"
_RESULTS: dict[int, Any] = {
    pb.RELOAD_RESULT_SWAPPED: "swapped",
    pb.RELOAD_RESULT_UNCHANGED: "unchanged",
    pb.RELOAD_RESULT_REFUSED: "refused",
}


class CallFailed(Exception):
    """The service did not do it. The message says why in plain words; `code` is the gRPC status name."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


class WouldLeak(Exception):
    """The token would go over the network in the clear; the message says what to do."""


class Privileged:
    """One channel to a service, and the token of whoever calls. Use it as a context."""

    def __init__(self, target: str, token: str, *, tls_ca: bytes | None = None, plaintext: bool = False, timeout_s: float = 60.0) -> None:
        """`tls_ca` asks for TLS: the CA's certificates, PEM. Raises WouldLeak without TLS to another machine unless `plaintext`."""
        if tls_ca is None and not plaintext and not is_local(target):
            raise WouldLeak(
                f"the token would go to {target} in the clear: give --tls-ca FILE, or --plaintext if nobody else can read on the way"
            )
        options = (("grpc.enable_retries", 0),)
        if tls_ca is None:
            self._channel = grpc.insecure_channel(target, options=options)
        else:
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(tls_ca), options=options)
        self._target, self._timeout_s = target, timeout_s
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, path: str, request: Message, parse: Callable[[bytes], _R]) -> _R:
        """Make one call. Raises CallFailed."""
        method = self._channel.unary_unary(path, response_deserializer=parse)
        try:
            answer: _R = method(request.SerializeToString(), timeout=self._timeout_s, metadata=self._metadata)
            return answer
        except grpc.RpcError as error:
            raise self._failed(error) from None

    def _failed(self, error: Any) -> CallFailed:
        code, words = error.code(), error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE and "refused" in words.lower():
            words = f"nothing listens on {self._target}; is `liftgate serve` running there?"
        elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
            words = f"no answer from {self._target} within {self._timeout_s:g} s"
        more = (f"  {violation}" for violation in _violations(error) if violation not in words)
        return CallFailed(code.name, "\n".join([words, *more]))


def is_local(target: str) -> bool:
    """Say whether a target is this machine: loopback or a Unix socket."""
    if target.startswith("unix:"):
        return True
    host = target.rpartition(":")[0].strip("[]") or target
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _violations(error: Any) -> list[str]:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for packed in status_pb2.Status.FromString(value).details:
                if packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                    found = error_details_pb2.BadRequest.FromString(packed.value).field_violations
                    return [f"{one.field}: {one.description}" for one in found]
    return []


@dataclass(frozen=True, slots=True)
class Status:
    """What a service says of itself."""

    worker: WorkerState
    models: tuple[tuple[str, int, str], ...]
    """Name, version, SHA-256."""
    fleet: tuple[Reported, ...]
    """Empty: Redis did not answer."""


class AdminClient(Privileged):
    """`liftgate.v1.AdminService`."""

    def status(self) -> Status:
        """Return what the worker that answers runs, and its fleet. Raises CallFailed."""
        said = self.call(_SERVICE + "GetStatus", pb.GetStatusRequest(), pb.GetStatusResponse.FromString)
        models = tuple((model.model, model.version, model.sha256) for model in said.models)
        return Status(_state(said.worker), models, tuple(Reported(_state(one), one.silent_ms) for one in said.fleet))

    def reload(self, reason: str) -> Sequence[Outcome]:
        """Reload every worker of the server, and return what each said. Raises CallFailed."""
        said = self.call(_SERVICE + "Reload", pb.ReloadRequest(reason=reason), pb.ReloadResponse.FromString)
        return [_outcome(one) for one in said.workers]

    def publish(self, bundle: str, digest: str, previous_digest: str, reason: str) -> tuple[str, int]:
        """Announce a bundle; return its author and when, milliseconds since the Unix epoch. Raises CallFailed."""
        request = pb.PublishRequest(bundle=bundle, bundle_digest=digest, previous_digest=previous_digest, reason=reason)
        said = self.call(_SERVICE + "Publish", request, pb.PublishResponse.FromString)
        return said.author, said.at_ms


def _state(said: pb.WorkerStatus) -> WorkerState:
    return WorkerState(
        worker_id=said.worker_id,
        host=said.host,
        pid=said.pid,
        port=said.port,
        transport=said.transport,
        version=said.version,
        bundle=said.bundle,
        digest=said.bundle_digest,
        since_ms=said.since_ms,
        last_reload=_outcome(said.last_reload) if said.HasField("last_reload") else None,
    )


def _outcome(said: pb.ReloadOutcome) -> Outcome:
    return Outcome(
        worker_id=said.worker_id,
        result=_RESULTS.get(said.result, "unknown"),
        at_ms=said.at_ms,
        digest_before=said.digest_before,
        digest=said.bundle_digest,
        actor=said.actor,
        mistakes=tuple(Mistake(one.file, one.line, one.field, one.problem, one.mend) for one in said.mistakes),
        cause=said.cause,
    )
