"""A caller's bytes as a validated request: everything that is wrong is found at once, nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from math import isfinite

from google.protobuf.message import DecodeError

from liftgate.adapters.request_rest import Rests, entries
from liftgate.bundle.compiled import Bundle
from liftgate.domain.errors import CallerError, FieldViolation
from liftgate.domain.input import Input, InputType
from liftgate.domain.request import AttributeValue, Context, DecideRequest
from liftgate.pipeline.ports import Ids
from liftgate.v1 import decision_pb2, decision_service_pb2

PERSON_ID_BYTES = 256
ACCOUNT_ID_BYTES = 256
UNIT_ID_BYTES = 256
"""Of a session or visitor."""
REQUEST_ID_BYTES = 128
CONTEXT_TEXT_BYTES = 64
ATTRIBUTE_NAME_BYTES = 64
ATTRIBUTE_TEXT_BYTES = 256
ATTRIBUTES = 64
CANDIDATES = 500
BATCH_REQUESTS = 1000

_WHOLE = 2**53
"""Whole numbers travel as float64 columns, exact up to here."""
_SHORT = CONTEXT_TEXT_BYTES // 4
"""Characters that fit whatever they are: UTF-8 takes at most four bytes each."""
_PREFIX = "context."
_WANTED = {
    InputType.INT: ("a whole number (int_value)", ("int_value",)),
    InputType.FLOAT: ("a number (double_value or int_value)", ("double_value", "int_value")),
    InputType.BOOL: ("true or false (bool_value)", ("bool_value",)),
    InputType.STRING: ("text (string_value)", ("string_value",)),
    InputType.TIMESTAMP: ("milliseconds since the Unix epoch (int_value)", ("int_value",)),
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_CALLERS_FIELDS = ("channel", "device", "locale", "time_zone")
"""Context inputs that have fields of their own and so are no attributes."""
_TEXTS = (*_CALLERS_FIELDS, "jurisdiction")


def fits(text: str, limit: int) -> bool:
    """Return whether the text is 1 to `limit` bytes of UTF-8."""
    return 0 < len(text) <= limit and (text.isascii() or len(text.encode()) <= limit)


def traceparent(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[bytes, bytes, bool]:
    """Return (trace id 16 bytes, parent span id 8 bytes, sampled) of a W3C traceparent; empty where there is no valid one."""
    for key, value in metadata:
        if key == "traceparent" and isinstance(value, str):
            found = _TRACEPARENT.fullmatch(value)
            if found is None:
                break
            version, trace, span, flags, rest = found.groups()
            if version == "ff" or (version == "00" and rest) or not trace.strip("0") or not span.strip("0"):
                break
            return bytes.fromhex(trace), bytes.fromhex(span), bool(int(flags, 16) & 1)
    return b"", b"", False


class RequestReader:
    """Reads requests against the bundle in force. Not thread-safe; one per event loop."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._bundle: Bundle | None = None
        self._attributes: dict[str, Input] = {}
        self._rests = Rests(ids.decision_id)

    def decide(self, raw: bytes, bundle: Bundle, metadata: Iterable[tuple[str, str | bytes]] = ()) -> DecideRequest:
        """Return the request of one `liftgate.v1.DecideRequest`. Raises CallerError with every mistake in it."""
        violations: list[FieldViolation] = []
        try:
            request = self._request(raw, bundle, "", violations)
        except DecodeError:
            raise malformed("liftgate.v1.DecideRequest") from None
        if violations:
            raise CallerError(tuple(violations))
        if metadata:
            request.trace_id, request.span_id, request.sampled = traceparent(metadata)
        return request

    def decide_batch(self, raw: bytes, bundle: Bundle, metadata: Iterable[tuple[str, str | bytes]] = ()) -> list[DecideRequest]:
        """Return the requests of one `liftgate.v1.DecideBatchRequest`. Raises CallerError; its paths name the index."""
        violations: list[FieldViolation] = []
        try:
            raws = entries(raw)
            if raws is None:
                raws = [one.SerializeToString() for one in decision_service_pb2.DecideBatchRequest.FromString(raw).requests]
            if not 0 < len(raws) <= BATCH_REQUESTS:
                raise CallerError((FieldViolation("requests", f"wants 1 to {BATCH_REQUESTS} requests, not {len(raws)}"),))
            if bundle is not self._bundle:
                self._prepare(bundle)
            known = self._rests.request
            requests = [known(one) or self._parse(one, bundle, f"requests[{i}].", violations) for i, one in enumerate(raws)]
        except DecodeError:
            raise malformed("liftgate.v1.DecideBatchRequest") from None
        if violations:
            raise CallerError(tuple(violations))
        trace = traceparent(metadata)
        if trace[0]:
            for request in requests:
                request.trace_id, request.span_id, request.sampled = trace
        return requests

    def _request(self, raw: bytes, bundle: Bundle, at: str, violations: list[FieldViolation]) -> DecideRequest:
        """Return the request of an encoded message, worth using only where `violations` did not grow. Raises DecodeError."""
        if bundle is not self._bundle:
            self._prepare(bundle)
        known = self._rests.request(raw)
        if known is not None:
            return known
        return self._parse(raw, bundle, at, violations)

    def _parse(self, raw: bytes, bundle: Bundle, at: str, violations: list[FieldViolation]) -> DecideRequest:
        message = decision_pb2.DecideRequest.FromString(raw)
        request = self._read(message, raw, bundle, at, violations)
        if not violations and len(message.context.attributes) < 2 and (rest := self._rests.rest(raw)):
            self._rests.learn(rest, request)
        return request

    def _read(
        self, message: decision_pb2.DecideRequest, raw: bytes, bundle: Bundle, at: str, violations: list[FieldViolation]
    ) -> DecideRequest:
        request_id, person_id, placement_id = message.request_id, message.person_id, message.placement_id
        idempotent = bool(request_id)
        if not idempotent:
            request_id = self._ids.decision_id()
        elif not fits(request_id, REQUEST_ID_BYTES) or not request_id.isprintable():
            violations.append(FieldViolation(f"{at}request_id", f"wants 1 to {REQUEST_ID_BYTES} bytes of printable text"))
        if not fits(person_id, PERSON_ID_BYTES):
            violations.append(FieldViolation(f"{at}person_id", f"wants 1 to {PERSON_ID_BYTES} bytes, not {len(person_id.encode())}"))
        account_id = message.account_id
        if account_id and not fits(account_id, ACCOUNT_ID_BYTES):
            violations.append(FieldViolation(f"{at}account_id", f"wants at most {ACCOUNT_ID_BYTES} bytes, not {len(account_id.encode())}"))
        session_id, visitor_id = message.session_id, message.visitor_id
        for name, unit_id in (("session_id", session_id), ("visitor_id", visitor_id)) if session_id or visitor_id else ():
            if unit_id and not fits(unit_id, UNIT_ID_BYTES):
                violations.append(FieldViolation(f"{at}{name}", f"wants at most {UNIT_ID_BYTES} bytes, not {len(unit_id.encode())}"))
        slot_count = message.slot_count
        place = bundle.placement_index.get(placement_id)
        if place is None:
            what = "no such placement in the bundle" if placement_id else "wants the name of a placement in the bundle"
            violations.append(FieldViolation(f"{at}placement_id", what))
        else:
            slots = bundle.placements[place].slots
            if slot_count > slots:
                violations.append(FieldViolation(f"{at}slot_count", f"wants 1 to {slots}, the slots of this placement, or 0 for all"))
            slot_count = slot_count or slots
        return DecideRequest(
            request_id,
            person_id,
            placement_id,
            slot_count,
            self._context(message.context, at, violations) if message.HasField("context") else Context(),
            message.HasField("consent_signals") and message.consent_signals.global_privacy_control,
            _candidates(message.candidates.offer_ids, bundle, place, at, violations) if message.HasField("candidates") else None,
            message.explain,
            message.dry_run,
            account_id,
            idempotent,
            _fingerprint(message, raw) if idempotent else b"\0" * 8,
            session_id=session_id,
            visitor_id=visitor_id,
            baseline_offers=_baseline(message.baseline_offers, bundle, place, slot_count, at, violations)
            if message.baseline_offers
            else (),
            deferred=message.deferred,
        )

    def _prepare(self, bundle: Bundle) -> None:
        self._attributes = {
            column.name.removeprefix(_PREFIX): column
            for column in bundle.schema.context
            if column.name.removeprefix(_PREFIX) not in _CALLERS_FIELDS
        }
        self._rests.clear()
        self._bundle = bundle

    def _context(self, message: decision_pb2.Context, at: str, violations: list[FieldViolation]) -> Context:
        channel, device, locale, time_zone = message.channel, message.device, message.locale, message.time_zone
        jurisdiction = message.jurisdiction
        if max(len(channel), len(device), len(locale), len(time_zone), len(jurisdiction)) > _SHORT:
            for name, text in zip(_TEXTS, (channel, device, locale, time_zone, jurisdiction), strict=True):
                if text and not fits(text, CONTEXT_TEXT_BYTES):
                    violations.append(FieldViolation(f"{at}context.{name}", f"wants at most {CONTEXT_TEXT_BYTES} bytes"))
        sent = message.attributes
        count = len(sent)
        if not count:
            return Context(channel, device, locale, time_zone, jurisdiction=jurisdiction)
        if count > ATTRIBUTES:
            violations.append(FieldViolation(f"{at}context.attributes", f"wants at most {ATTRIBUTES} attributes, not {count}"))
            return Context()
        attributes: dict[str, AttributeValue] = {}
        for name in sent:  # faster than items() on a protobuf map
            value = sent[name]
            kind = value.WhichOneof("kind")
            if not fits(name, ATTRIBUTE_NAME_BYTES):
                what = f"wants names of 1 to {ATTRIBUTE_NAME_BYTES} bytes"
                violations.append(FieldViolation(f"{at}context.attributes", what))
            elif kind is not None:
                number_or_text = getattr(value, kind)
                column = self._attributes.get(name)
                wrong = _wrong(kind, number_or_text, column)
                if wrong:
                    violations.append(FieldViolation(_path(at, name), wrong))
                elif column is not None:
                    attributes[name] = number_or_text
        return Context(channel, device, locale, time_zone, attributes, jurisdiction)


def malformed(message: str) -> CallerError:
    """Return the error for bytes that are no such message."""
    return CallerError((FieldViolation("", f"the body is no {message}: broken protobuf, or text that is not UTF-8"),))


def _fingerprint(message: decision_pb2.DecideRequest, raw: bytes) -> bytes:
    """Return eight bytes over what the body says. Encoders may write a map's entries in another order on a retry."""
    if len(message.context.attributes) > 1:
        raw = message.SerializeToString(deterministic=True)
    return blake2b(raw, digest_size=8).digest()


def _path(at: str, name: str) -> str:
    """Return an attribute's path; a name that is no plain identifier is not repeated."""
    return f'{at}context.attributes["{name}"]' if _NAME.fullmatch(name) else f"{at}context.attributes"


def _wrong(kind: str, value: AttributeValue, column: Input | None) -> str:
    """Return what is wrong with an attribute; empty: nothing. Limits hold for undeclared attributes (column None) too."""
    if kind == "double_value":
        if not isfinite(value):  # type: ignore[arg-type]
            return "wants a finite number"
    elif kind == "string_value" and value and not fits(value, ATTRIBUTE_TEXT_BYTES):  # type: ignore[arg-type]
        return f"wants at most {ATTRIBUTE_TEXT_BYTES} bytes of text"
    if column is None:
        return ""
    wanted, kinds = _WANTED[column.type]
    if kind not in kinds:
        return f"is declared as {column.type.value}: wants {wanted}, not {kind}"
    if kind == "int_value" and column.type is not InputType.FLOAT and not -_WHOLE <= value <= _WHOLE:  # type: ignore[operator]
        return "wants a whole number within 2**53"
    return ""


def _baseline(
    offer_ids: Sequence[str], bundle: Bundle, place: int | None, slots: int, at: str, violations: list[FieldViolation]
) -> tuple[str, ...]:
    """Return the caller's own choice, each once, among the placement's offers and no more than slots are wanted."""
    if len(offer_ids) > slots:
        violations.append(FieldViolation(f"{at}baseline_offers", f"wants at most {slots} offers, one for each slot, not {len(offer_ids)}"))
        return ()
    for i, offer_id in enumerate(offer_ids):
        offer = bundle.offer_index.get(offer_id)
        if offer is None:
            violations.append(FieldViolation(f"{at}baseline_offers[{i}]", "no such offer in the bundle"))
        elif place is not None and not bundle.candidates[place, offer]:
            violations.append(FieldViolation(f"{at}baseline_offers[{i}]", "wants an offer of this placement"))
        elif offer_id in offer_ids[:i]:
            violations.append(FieldViolation(f"{at}baseline_offers[{i}]", "stands in the list already"))
    return tuple(offer_ids)


def _candidates(offer_ids: Iterable[str], bundle: Bundle, place: int | None, at: str, violations: list[FieldViolation]) -> tuple[str, ...]:
    """Return the caller's offers. One that is not the placement's is refused, not dropped: nothing may shrink a choice silently."""
    asked = tuple(offer_ids)
    if not 0 < len(asked) <= CANDIDATES:
        violations.append(FieldViolation(f"{at}candidates.offer_ids", f"wants 1 to {CANDIDATES} offers, not {len(asked)}"))
        return ()
    index = bundle.offer_index
    for i, offer_id in enumerate(asked):
        offer = index.get(offer_id)
        if offer is None:
            violations.append(FieldViolation(f"{at}candidates.offer_ids[{i}]", "no such offer in the bundle"))
        elif place is not None and not bundle.candidates[place, offer]:
            violations.append(FieldViolation(f"{at}candidates.offer_ids[{i}]", "wants an offer of this placement"))
    return asked
