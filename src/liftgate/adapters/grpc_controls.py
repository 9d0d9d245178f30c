"""ControlService: the kill switch behind the wire."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from liftgate.adapters.grpc_errors import CallObserver, Report
from liftgate.adapters.grpc_requests import malformed
from liftgate.adapters.grpc_service import Call, Handler, answering, deadline_of
from liftgate.adapters.operators import OPERATOR, Operators
from liftgate.domain.control import Controls
from liftgate.pipeline.control_desk import ControlDesk
from liftgate.pipeline.controls import ControlPanel
from liftgate.pipeline.desk import Desk
from liftgate.v1 import control_service_pb2 as wire

_DEADLINE_S = 5.0
_KINDS = {
    wire.CONTROL_KIND_OFFER: "offer",
    wire.CONTROL_KIND_GROUP: "group",
    wire.CONTROL_KIND_MODEL: "model",
    wire.CONTROL_KIND_ALL: "all",
}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}


class ControlService:
    """`liftgate.v1.ControlService`. One event loop."""

    def __init__(
        self,
        controls: ControlDesk,
        desk: Desk,
        panel: ControlPanel,
        operators: Operators,
        observer: CallObserver,
        report: Report | None = None,
    ) -> None:
        self._controls = controls
        self._desk = desk
        self._panel = panel
        self._operators = operators
        self._observer = observer
        self._report = report

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        methods = {"Stop": self.stop, "Start": self.start, "List": self.list}
        return {name: answering(name, method, self._observer, self._report) for name, method in methods.items()}

    async def stop(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded StopRequest."""
        deadline_of(call, _DEADLINE_S)
        who = self._operators.authorise(call.invocation_metadata())
        try:
            asked = wire.StopRequest.FromString(raw)
        except DecodeError:
            raise malformed("liftgate.v1.StopRequest") from None
        version = await self._controls.stop(who, _KINDS.get(asked.kind, ""), asked.name, asked.reason, asked.unknown_name)
        return wire.StopResponse(controls_version=version).SerializeToString()

    async def start(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded StartRequest."""
        deadline_of(call, _DEADLINE_S)
        who = self._operators.authorise(call.invocation_metadata(), OPERATOR)
        try:
            asked = wire.StartRequest.FromString(raw)
        except DecodeError:
            raise malformed("liftgate.v1.StartRequest") from None
        review_id = await self._controls.start(who, _KINDS.get(asked.kind, ""), asked.name, asked.reason)
        return wire.StartResponse(review_id=review_id).SerializeToString()

    async def list(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded ControlServiceListRequest."""
        deadline_of(call, _DEADLINE_S)
        self._operators.authorise(call.invocation_metadata())
        controls = await self._desk.read()
        answer = wire.ControlServiceListResponse(controls_version=controls.version, known=self._panel.controls.known)
        for stop in controls.stops:
            answer.stopped.add(
                kind=_NUMBERS.get(stop.kind, wire.CONTROL_KIND_UNSPECIFIED),
                name=stop.name,
                reason=stop.reason,
                by=stop.by,
                at_ms=stop.at_ms,
                start_review_id=_asked(controls, stop.subject, stop.at_ms, self._desk.clock.now_ms()),
            )
        return answer.SerializeToString()


def _asked(controls: Controls, subject: str, stopped_at_ms: int, now_ms: int) -> str:
    """Return the id of the latest open request to start something again; empty: there is none."""
    waiting = [
        (item.acts[0].at_ms, item.digest)
        for item in controls.items.values()
        if item.kind == "start" and item.subject == subject and item.acts and item.acts[0].at_ms >= stopped_at_ms
        if item.state(now_ms) == "pending"
    ]
    return max(waiting)[1] if waiting else ""
