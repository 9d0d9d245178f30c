"""ConsentService: what a person has agreed to, set and read one purpose at a time, effective for the next decision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from liftgate.adapters.grpc_errors import CallObserver, Report
from liftgate.adapters.grpc_requests import PERSON_ID_BYTES, fits, malformed
from liftgate.adapters.grpc_service import Call, Handler, answering, deadline_of, unimplemented
from liftgate.adapters.operators import Operators
from liftgate.bundle.mistake import one_of
from liftgate.domain.consent import STATUSES
from liftgate.domain.consent_history import digest, hashed, read
from liftgate.domain.consent_record import BASES, TEXTS, TIMES, ConsentRecord, OlderConsent, UnreadableConsent, records
from liftgate.domain.errors import CallerError, FieldViolation, NotNow, Refused, StoreUnavailable
from liftgate.pipeline.audit import Audit
from liftgate.pipeline.consent_store import Author, ConsentStore, set_consent
from liftgate.pipeline.erasure import ErasureStore
from liftgate.pipeline.live import Live
from liftgate.pipeline.naming import Naming
from liftgate.pipeline.ports import Clock
from liftgate.v1 import consent_service_pb2 as pb

BACKEND = Author("system:backend")
"""Who changes consent where no operator is asked for."""
PURPOSE_BYTES = 128
_M = TypeVar("_M", bound=Message)
_STATUSES: Mapping[str, Any] = {name: getattr(pb, f"CONSENT_STATUS_{name.upper()}") for name in sorted(STATUSES)}
_BASES: Mapping[str, Any] = {name: getattr(pb, f"LAWFUL_BASIS_{name.upper()}") for name in BASES}
_STATUS_NAMES, _BASIS_NAMES = ({number: name for name, number in table.items()} for table in (_STATUSES, _BASES))

_AWAY = "the store of people is away, so it is not known what was changed; try again, the same call twice is one change"
_UNREADABLE = "what is stored of the person's consent cannot be read, so every purpose counts as no"
_UNREADABLE_ONE = "what is stored of this purpose cannot be read, so it counts as no"
_OLDER = "the person withdrew this consent after the grant was given, so the withdrawal stands; a new grant has a later given_at_ms"
_ERASED = "the person was erased after this was said; what they say from now on has a later time"
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
        erasures: ErasureStore | None = None,
        erase: Handler | None = None,
        naming: Naming | None = None,
    ) -> None:
        """`role`: callers must be operators who have it; None: whoever can call Decide can call this.

        `erasures` knows who was erased, None: nobody was; `erase` answers Erase, None: it answers UNIMPLEMENTED;
        `naming` gives what stands for people, None: `pseudonym` does.
        """
        self._live, self._store, self._audit = live, store, audit
        self._pseudonym, self._clock = pseudonym, clock
        self._operators, self._role = operators, role
        self._observer, self._report = observer, report
        self._default_deadline_s = default_deadline_ms / 1000
        self._erasures, self._naming = erasures, naming
        self._erase = erase or unimplemented("this server keeps nobody")

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        return {
            name: answering(name, method, self._observer, self._report)
            for name, method in (("Set", self.set), ("Get", self.get), ("History", self.history), ("Erase", self._erase))
        }

    async def set(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded SetRequest. Raises what the table of errors names."""
        author = self._author(call)
        left_s = self._left(call)
        request = _read(pb.SetRequest, raw)
        record = self._record(request)
        try:
            await self._come_back(request.person_id, record, left_s)
            await set_consent(
                self._store,
                self._audit,
                await self._name(request.person_id),
                author,
                request.person_id,
                record,
                self._clock.now_ms(),
                replace_unreadable=request.replace_unreadable,
                profile_purpose=self._profile_purpose(),
                left_s=left_s,
            )
        except UnreadableConsent as error:
            raise Refused((_UNREADABLE_ONE if error.purpose else _UNREADABLE) + _REPLACE) from None
        except OlderConsent:
            raise Refused(_OLDER) from None
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
        consents = [pb.Consent(purpose=purpose) if record is None else message_of(record) for purpose, record in sorted(found.items())]
        return pb.GetResponse(consents=consents).SerializeToString()

    async def history(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded HistoryRequest. Raises what the table of errors names."""
        self._author(call)
        left_s = self._left(call)
        request = _read(pb.HistoryRequest, raw)
        violations = _person(request.person_id)
        if violations:
            raise CallerError(tuple(violations))
        try:
            entries = await self._store.history(request.person_id, left_s())
            document = await self._store.get(request.person_id, left_s())
        except StoreUnavailable:
            raise NotNow("the store of people is away; try again") from None
        return pb.HistoryResponse(entries=map(_entry, entries), digest_now=digest(document)).SerializeToString()

    def _profile_purpose(self) -> str:
        bundle = self._live().bundle
        return bundle.purposes[bundle.profile_purpose] if bundle.profile_purpose >= 0 else ""

    async def _name(self, person_id: str) -> bytes:
        return self._pseudonym(person_id) if self._naming is None else (await self._naming.named([person_id]))[0].pseudonym

    async def _come_back(self, person_id: str, record: ConsentRecord, left_s: Callable[[], float]) -> None:
        """Let an erased person come back by what was said after the erasure, and by nothing older. Raises Refused, StoreUnavailable."""
        if self._erasures is None:
            return
        (erased_at,) = await self._erasures.erased_at([person_id], left_s())
        if erased_at is None:
            return
        said_at = max(record.given_at_ms or 0, record.withdrawn_at_ms or 0) or self._clock.now_ms()
        if said_at <= erased_at:
            raise Refused(_ERASED)
        await self._erasures.lift(person_id, left_s())

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
        if sent.purpose not in (purposes := self._live().bundle.purposes):
            words = f"wants the name of a purpose of the bundle ({one_of(purposes, 20)})"
            violations.append(FieldViolation("consent.purpose", words))
        if sent.basis and sent.basis not in _BASIS_NAMES:
            violations.append(FieldViolation("consent.basis", "is none that this version knows"))
        record = record_of(sent) or ConsentRecord(
            purpose=sent.purpose, status="", **{name: getattr(sent, name) for name in (*TEXTS, *TIMES)}
        )
        if record.status == "withdrawn" and record.withdrawn_at_ms is None:
            record = replace(record, withdrawn_at_ms=now_ms)
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


def _entry(raw: bytes) -> pb.HistoryEntry:
    """Return an entry of a history as it travels; one that cannot be read carries its bytes alone, and no hash that fits."""
    told = read(raw)
    if told is None:
        return pb.HistoryEntry(hashed=raw.decode("utf-8", "replace"))
    known = {name: told["consent"][name] for name in ("purpose", "status", "basis", *TEXTS, *TIMES) if name in told["consent"]}
    return pb.HistoryEntry(
        sequence=told["sequence"],
        at_ms=told["at_ms"],
        actor=told["actor"],
        consent=message_of(ConsentRecord(**known)),
        digest_before=told["digest_before"],
        digest_after=told["digest_after"],
        previous_hash=told["previous_hash"],
        hash=told["hash"],
        hashed=hashed(told).decode(),
    )


def message_of(record: ConsentRecord) -> pb.Consent:
    """Return a record as it travels. Times that no calendar has, which pipelines may have written, are cut to what fits."""
    fields: dict[str, Any] = {name: getattr(record, name) for name in TEXTS}
    fields |= {name: int(min(max(getattr(record, name) or 0, 0), 2**53)) for name in TIMES}
    return pb.Consent(purpose=record.purpose, status=_STATUSES.get(record.status), basis=_BASES.get(record.basis), **fields)


def record_of(message: pb.Consent) -> ConsentRecord | None:
    """Return what travelled as a record; None: it has no status that this version knows."""
    status = _STATUS_NAMES.get(message.status)
    if status is None:
        return None
    found: dict[str, Any] = {name: getattr(message, name) for name in TEXTS}
    found |= {name: getattr(message, name) or None for name in TIMES}
    return ConsentRecord(purpose=message.purpose, status=status, basis=_BASIS_NAMES.get(message.basis, ""), **found)
