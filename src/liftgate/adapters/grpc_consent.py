"""ConsentService: what a person has agreed to, set and read one purpose at a time, effective for the next decision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from liftgate.adapters.grpc_errors import CallObserver, Report
from liftgate.adapters.grpc_requests import PERSON_ID_BYTES, fits, malformed
from liftgate.adapters.grpc_service import Call, Handler, answering, deadline_of, unimplemented
from liftgate.adapters.operators import Operators
from liftgate.domain.consent_record import BASES, TEXTS, ConsentRecord, UnreadableConsent, records
from liftgate.domain.errors import CallerError, FieldViolation, NotNow, Refused, StoreUnavailable
from liftgate.pipeline.audit import Audit
from liftgate.pipeline.consent_store import Author, ConsentStore, set_consent
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Clock
from liftgate.v1 import consent_service_pb2 as pb

BACKEND = Author("system:backend")
"""Who changes consent where no operator is asked for."""
PURPOSE_BYTES = 128
_M = TypeVar("_M", bound=Message)
_STATUSES: Mapping[int, str] = {number: name.removeprefix("CONSENT_STATUS_").lower() for name, number in pb.ConsentStatus.items() if number}
_BASES: Mapping[int, str] = dict(enumerate(BASES, 1))
_NUMBERS = {name: number for table in (_STATUSES, _BASES) for number, name in table.items()}
_TIMES = ("given_at_ms", "expires_at_ms", "withdrawn_at_ms")

_AWAY = "the store of people is away, so it is not known what was changed; try again, the same call twice is one change"
_UNREADABLE = "what is stored of the person's consent cannot be read, so every purpose counts as no"
_UNREADABLE_ONE = "what is stored of this purpose cannot be read, so it counts as no"
_REPLACE = "; to overwrite it, call again with replace_unreadable"


class ConsentService:
    """`liftgate.v1.ConsentService`. One event loop."""

    def __init__(
        self,
        live: Callable[[], Live],
        store: ConsentStore,
        audit: Audit,
        pseudonym: Callable[[str], bytes],
        clock: Clock,
        operators: Operators,
        observer: CallObserver,
        *,
        role: str | None = None,
        default_deadline_ms: float = 1000.0,
        report: Report | None = None,
    ) -> None:
        """`role`: callers must be operators who have it; None: whoever can call Decide can call this."""
        self._live, self._store, self._audit = live, store, audit
        self._pseudonym, self._clock = pseudonym, clock
        self._operators, self._role = operators, role
        self._observer, self._report = observer, report
        self._default_deadline_s = default_deadline_ms / 1000

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        erase = unimplemented(
            "erasure comes with the signals work and is not built yet; until then delete the person's keys in Redis (docs/redis.md)"
        )
        return {
            name: answering(name, method, self._observer, self._report)
            for name, method in (("Set", self.set), ("Get", self.get), ("Erase", erase))
        }

    async def set(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded SetRequest. Raises what the table of errors names."""
        author = self._author(call)
        left_s = self._left(call)
        request = _read(pb.SetRequest, raw)
        record = self._record(request)
        try:
            await set_consent(
                self._store,
                self._audit,
                self._pseudonym,
                author,
                request.person_id,
                record,
                replace_unreadable=request.replace_unreadable,
                left_s=left_s,
            )
        except UnreadableConsent as error:
            raise Refused((_UNREADABLE_ONE if error.purpose else _UNREADABLE) + _REPLACE) from None
        except StoreUnavailable:
            raise NotNow(_AWAY) from None
        return pb.SetResponse().SerializeToString()

    async def get(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded GetRequest. Raises what the table of errors names."""
        self._author(call)
        left_s = self._left(call)
        request = _read(pb.GetRequest, raw)
        violations = _person(request.person_id)
        if violations:
            raise CallerError(tuple(violations))
        try:
            found = records(await self._store.get(request.person_id, left_s()))
        except StoreUnavailable:
            raise NotNow("the store of people is away; try again") from None
        if found is None:
            raise Refused(_UNREADABLE)
        return pb.GetResponse(consents=[_message(purpose, found[purpose]) for purpose in sorted(found)]).SerializeToString()

    def _author(self, call: Call) -> Author:
        if self._role is None:
            return BACKEND
        return Author(self._operators.authorise(call.invocation_metadata(), self._role).name, self._role)

    def _left(self, call: Call) -> Callable[[], float]:
        loop = asyncio.get_running_loop()
        deadline = deadline_of(call, self._default_deadline_s)
        return lambda: deadline - loop.time()

    def _record(self, request: pb.SetRequest) -> ConsentRecord:
        """Return the record to store. Raises CallerError with every mistake."""
        now_ms, sent = self._clock.now_ms(), request.consent
        violations = _person(request.person_id)
        if not request.HasField("consent"):
            raise CallerError((*violations, FieldViolation("consent", "wants the consent to store")))
        if sent.purpose not in self._live().bundle.purposes:
            violations.append(FieldViolation("consent.purpose", "wants the name of a purpose of the bundle"))
        if sent.basis and sent.basis not in _BASES:
            violations.append(FieldViolation("consent.basis", "is none that this version knows"))
        times: dict[str, Any] = {name: getattr(sent, name) or None for name in _TIMES}
        if sent.status == pb.CONSENT_STATUS_WITHDRAWN and times["withdrawn_at_ms"] is None:
            times["withdrawn_at_ms"] = now_ms
        record = ConsentRecord(
            purpose=sent.purpose,
            status=_STATUSES.get(sent.status, ""),
            basis=_BASES.get(sent.basis, ""),
            **{name: getattr(sent, name) for name in TEXTS},
            **times,
        )
        violations += [FieldViolation(f"consent.{name}", what) for name, what in record.mistakes(now_ms)]
        if violations:
            raise CallerError(tuple(violations))
        return record


def _read(kind: type[_M], raw: bytes) -> _M:
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise malformed(f"liftgate.v1.{kind.DESCRIPTOR.name}") from None


def _person(person_id: str) -> list[FieldViolation]:
    return [] if fits(person_id, PERSON_ID_BYTES) else [FieldViolation("person_id", f"wants 1 to {PERSON_ID_BYTES} bytes")]


def _message(purpose: str, record: ConsentRecord | None) -> pb.Consent:
    if record is None:
        return pb.Consent(purpose=purpose)
    message = pb.Consent(purpose=purpose, **{name: getattr(record, name) for name in TEXTS})
    message.status, message.basis = _NUMBERS[record.status], _NUMBERS.get(record.basis, 0)  # type: ignore[assignment]
    for name in _TIMES:
        at = getattr(record, name)
        # Pipelines may have written fractions, or what no calendar has.
        setattr(message, name, 0 if at is None else int(min(max(at, 0), 2**53)))
    return message
