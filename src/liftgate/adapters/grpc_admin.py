"""AdminService: status, reload and publish, for operators only."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from liftgate.adapters.fleet import Outcome, Reported, WorkerState, agree
from liftgate.adapters.grpc_errors import CallObserver, Report
from liftgate.adapters.grpc_requests import malformed
from liftgate.adapters.grpc_service import Call, Handler, answering, deadline_of
from liftgate.adapters.operators import ADMIN, Operators
from liftgate.adapters.redis_published import Published
from liftgate.bundle.field_types import NAME_PATTERN
from liftgate.domain.contact_detail import NAMES_SOMEBODY, names_somebody
from liftgate.domain.errors import CallerError, FieldViolation, NotNow, StoreUnavailable
from liftgate.pipeline.audit import Act, Audit, AuditAct
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Clock
from liftgate.v1 import admin_service_pb2 as pb
from liftgate.v1.record_pb2 import ModelPin

REASON_BYTES = 1024
_M = TypeVar("_M", bound=Message)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RESULTS = {
    "swapped": pb.RELOAD_RESULT_SWAPPED,
    "unchanged": pb.RELOAD_RESULT_UNCHANGED,
    "refused": pb.RELOAD_RESULT_REFUSED,
    "unknown": pb.RELOAD_RESULT_UNKNOWN,
}
Reload = Callable[[str, str, str], Awaitable[Sequence[Outcome]]]
"""Reloads every worker of this server for (actor, role, reason), and returns what each said, this one first."""


class Fleet(Protocol):
    """`redis_fleet.RedisFleet`, as far as a status needs it."""

    async def read(self) -> Sequence[Reported]:
        """See `RedisFleet.read`."""
        ...


class Announcements(Protocol):
    """`redis_published.RedisPublished`, as far as publishing needs it."""

    async def announce(self, digest: str, published: Published) -> None:
        """See `RedisPublished.announce`."""
        ...


class AdminService:
    """`liftgate.v1.AdminService`. One event loop."""

    def __init__(
        self,
        live: Callable[[], Live],
        state: Callable[[], WorkerState],
        reload: Reload,
        fleet: Fleet,
        announcements: Announcements,
        operators: Operators,
        audit: Audit,
        clock: Clock,
        observer: CallObserver,
        *,
        report: Report | None = None,
    ) -> None:
        self._live, self._state, self._reload = live, state, reload
        self._fleet, self._announcements = fleet, announcements
        self._operators, self._audit, self._clock = operators, audit, clock
        self._observer, self._report = observer, report

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        methods = {"GetStatus": self.get_status, "Reload": self.reload, "Publish": self.publish}
        return {name: answering(name, method, self._observer, self._report) for name, method in methods.items()}

    async def get_status(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded GetStatusRequest. Raises what `Operators.authorise` raises, CallerError, Expired."""
        self._operators.authorise(call.invocation_metadata())
        deadline_of(call, default_s=5.0)
        _read(pb.GetStatusRequest, raw)
        state = self._state()
        answer = pb.GetStatusResponse(bundle_digest=state.digest, version=state.version, worker=worker_status(state, 0))
        answer.models.extend(ModelPin(model=model.name, version=model.version, sha256=model.sha256) for model in self._live().bundle.models)
        with suppress(StoreUnavailable):
            # What this worker knows of itself is newer than its last report.
            fleet = [Reported(state, 0) if one.state.worker_id == state.worker_id else one for one in await self._fleet.read()]
            answer.fleet.extend(worker_status(one.state, one.silent_ms) for one in fleet)
            answer.fleet_agrees = agree(fleet)
        return answer.SerializeToString()

    async def reload(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded ReloadRequest. Raises what `Operators.authorise` raises, CallerError, Expired."""
        operator = self._operators.authorise(call.invocation_metadata(), ADMIN)
        deadline_of(call, default_s=60.0)
        request = _read(pb.ReloadRequest, raw)
        _check(_too_long("reason", request.reason, REASON_BYTES), _naming("reason", request.reason))
        outcomes = await self._reload(operator.name, ADMIN, request.reason)
        answer = pb.ReloadResponse(bundle_digest=self._state().digest, workers=[reload_outcome(one) for one in outcomes])
        return answer.SerializeToString()

    async def publish(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded PublishRequest. Raises what `Operators.authorise` raises, CallerError, LogUnavailable, Expired."""
        operator = self._operators.authorise(call.invocation_metadata(), ADMIN)
        deadline_of(call, default_s=5.0)
        request = _read(pb.PublishRequest, raw)
        _check(
            None if re.fullmatch(NAME_PATTERN[1:-1], request.bundle) else FieldViolation("bundle", "wants the bundle's name"),
            None if _DIGEST.fullmatch(request.bundle_digest) else FieldViolation("bundle_digest", "wants 64 lower-case hexadecimal digits"),
            None
            if not request.previous_digest or _DIGEST.fullmatch(request.previous_digest)
            else FieldViolation("previous_digest", "wants 64 lower-case hexadecimal digits, or nothing"),
            None if request.reason.strip() else FieldViolation("reason", "wants a few words on why"),
            _too_long("reason", request.reason, REASON_BYTES),
            _naming("reason", request.reason),
        )
        at_ms = self._clock.now_ms()
        subject, before, after = f"bundle:{request.bundle}", request.previous_digest, request.bundle_digest
        await self._audit.append(AuditAct(Act.PUBLISH, operator.name, ADMIN, subject, before, after, request.reason))
        published = Published(operator.name, at_ms, request.reason, request.bundle, request.previous_digest)
        try:
            await self._announcements.announce(request.bundle_digest, published)
        except StoreUnavailable:
            raise NotNow("Redis does not answer, so nobody could be told who the author is, and nothing may go live; try again") from None
        return pb.PublishResponse(author=operator.name, at_ms=at_ms).SerializeToString()


def worker_status(state: WorkerState, silent_ms: int) -> pb.WorkerStatus:
    """Return a worker's state as the contract has it."""
    return pb.WorkerStatus(
        worker_id=state.worker_id,
        host=state.host,
        pid=state.pid,
        port=state.port,
        transport=state.transport,
        version=state.version,
        bundle=state.bundle,
        bundle_digest=state.digest,
        since_ms=state.since_ms,
        last_reload=None if state.last_reload is None else reload_outcome(state.last_reload),
        silent_ms=silent_ms,
    )


def reload_outcome(outcome: Outcome) -> pb.ReloadOutcome:
    """Return an outcome as the contract has it."""
    return pb.ReloadOutcome(
        worker_id=outcome.worker_id,
        result=_RESULTS[outcome.result],
        at_ms=outcome.at_ms,
        digest_before=outcome.digest_before,
        bundle_digest=outcome.digest,
        mistakes=[pb.BundleMistake(file=m.file, line=m.line, field=m.field, problem=m.problem, mend=m.mend) for m in outcome.mistakes],
        cause=outcome.cause,
        actor=outcome.actor,
    )


def _read(kind: type[_M], raw: bytes) -> _M:
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise malformed(kind.DESCRIPTOR.full_name) from None


def _too_long(field: str, text: str, most: int) -> FieldViolation | None:
    return FieldViolation(field, f"wants at most {most} bytes") if len(text.encode()) > most else None


def _naming(field: str, text: str) -> FieldViolation | None:
    return FieldViolation(field, NAMES_SOMEBODY) if names_somebody(text) else None


def _check(*violations: FieldViolation | None) -> None:
    found = tuple(violation for violation in violations if violation is not None)
    if found:
        raise CallerError(found)
