"""Decisions as the bytes that callers get.

A message may be written as a concatenation of its parts, so what is constant for a bundle or an offer is serialised once. With an
explanation, and to hold the fast way to the contract in tests, the generated code writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from math import isfinite
from operator import attrgetter
from struct import Struct

import numpy as np

from liftgate.adapters.explanation_live import LiveExplanations
from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.offer import Offer
from liftgate.record.wire import tag, varint, varint_of
from liftgate.v1 import decision_pb2, offer_pb2

_DOUBLE, _DOUBLES = Struct("<cd"), Struct("<cdcd")
_DECISION_ID, _SLOTS = b"\x0a", b"\x22"
_PROPENSITY, _SELECTION_PROBABILITY = b"\x19", b"\x29"
_VALID_UNTIL = tag("valid_until_ms", 0, decision_pb2.DecideResponse)
_ID_AHEAD = (b"", *[_DECISION_ID + bytes((size,)) for size in range(1, 128)])
_KNOWN = 4096
"""Kinds of answers remembered for a bundle; one more, and all are forgotten."""
_NO_NUMBERS, _BY_HAND = -1, -2
_Alike = tuple[bytes, bytes, int]
"""What stands before the end of validity, the slot but for its numbers, and whose numbers they are: an offer, _NO_NUMBERS, or _BY_HAND."""
_KIND, _ROW, _ID = attrgetter("kind"), attrgetter("row"), attrgetter("decision_id")
_VALID_UNTIL_MS, _EXPLAIN, _DRY_RUN = attrgetter("valid_until_ms"), attrgetter("explain"), attrgetter("dry_run")
_SOME = 6
"""From so many on they are written a column at a time."""
_NUMBERS = np.dtype([("ahead of chance", "S1"), ("chance", "<f8"), ("ahead of propensity", "S1"), ("propensity", "<f8")])
"""As `_DOUBLES`."""


class GrpcAnswers:
    """Writes `liftgate.v1.DecideResponse`. Implements ports.Answers; safe to share on one event loop."""

    def __init__(self) -> None:
        self._bundle: Bundle | None = None
        self._slot_parts: dict[int, tuple[bytes, bytes]] = {}
        self._known: dict[int, _Alike] = {}
        self._explanations = LiveExplanations()

    def _slot_part(self, bundle: Bundle, k: int) -> tuple[bytes, bytes]:
        """Return what is constant in the slot of an offer, and that behind its tag and the length with two more doubles.

        From memory; the bundle is the one that it is of.
        """
        part = self._slot_parts.get(k)
        if part is None:
            offer = bundle.offers[k]
            slot = offer_pb2.Slot(offer_id=offer.offer_id, payload_json=offer.payload_json, value=offer.value).SerializeToString()
            part = self._slot_parts[k] = slot, _SLOTS + varint(len(slot) + _DOUBLES.size) + slot
        return part

    def _go_by(self, bundle: Bundle) -> None:
        """Forget what was remembered of another bundle."""
        if bundle is not self._bundle:
            self._bundle, self._slot_parts, self._known = bundle, {}, {}

    def encode_all(self, batch: Batch, bundle: Bundle, decisions: Sequence[Decision]) -> list[bytes]:
        """Return the encoded answer to each. Pure.

        All but id, end of validity and two numbers is found by what many decisions have in common; other answers are written one by one.
        """
        self._go_by(bundle)
        requests, known = batch.requests, self._known
        found = list(map(known.get, map(_KIND, decisions)))
        if None in found:
            for place, parts in enumerate(found):
                if parts is None:
                    found[place] = known.get(decisions[place].kind) or self._learn(bundle, decisions[place], batch)
        if len(decisions) >= _SOME and not any(map(_EXPLAIN, requests)) and not any(map(_DRY_RUN, requests)) and batch.requested is None:
            answers = _together(batch, decisions, found)  # type: ignore[arg-type]  # none is None by now
            if answers is not None:
                return answers
        return [self._answer(batch, bundle, one, parts) for one, parts in zip(decisions, found, strict=True)]  # type: ignore[arg-type]

    def _learn(self, bundle: Bundle, decision: Decision, batch: Batch) -> _Alike:
        """Return what a decision's answer has in common with those of its kind, and remember it."""
        version = batch.consent_version[decision.row]
        small = _small_part(decision.arm, decision.branch, decision.reason, decision.degraded, version, bundle.digest)
        offered = decision.offered
        found: _Alike
        if len(offered) > 1 or decision.refused or decision.default_slots or decision.chances is not None:
            found = small, b"", _BY_HAND
        elif not offered:
            found = small, b"", _NO_NUMBERS
        elif decision.default_served:
            slot = _default_part(bundle.offers[offered[0]])
            found = small, _SLOTS + varint(len(slot)) + slot, _NO_NUMBERS
        else:
            found = small, self._slot_part(bundle, offered[0])[1], offered[0]
        if decision.kind:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[decision.kind] = found
        return found

    def _answer(self, batch: Batch, bundle: Bundle, decision: Decision, parts: _Alike) -> bytes:
        """Return the encoded answer to one, found by its parts where that will do."""
        small, slots, offer = parts
        request, row = batch.requests[decision.row], decision.row
        if offer == _BY_HAND or request.explain or decision.review_id:
            return self.encode(batch, bundle, decision)
        numbers = b""
        if offer >= 0:
            propensity = batch.propensity.item(row, offer)
            if not isfinite(propensity):
                return self.encode(batch, bundle, decision)
            numbers = _DOUBLES.pack(_SELECTION_PROBABILITY, batch.probability.item(0, row, offer), _PROPENSITY, propensity)
        decision_id = b"" if request.dry_run else decision.decision_id.encode()
        return b"".join((_ID_AHEAD[len(decision_id)], decision_id, small, _valid_part(decision.valid_until_ms), slots, numbers))

    def encode(self, batch: Batch, bundle: Bundle, decision: Decision) -> bytes:
        """Return the encoded answer, with the explanation where the request asks for one. Pure."""
        self._go_by(bundle)
        row = decision.row
        request = batch.requests[row]
        decision_id = b"" if request.dry_run else decision.decision_id.encode()
        parts = [
            _DECISION_ID + bytes((len(decision_id),)) + decision_id if decision_id else b"",
            _small_part(decision.arm, decision.branch, decision.reason, decision.degraded, batch.consent_version[row], bundle.digest),
            _valid_part(decision.valid_until_ms),
        ]
        for s, k in enumerate(decision.offered):
            if decision.default_served or s in decision.default_slots:
                slot = _default_part(bundle.offers[k])
            else:
                propensity = batch.propensity.item(row, k)
                chance = batch.probability.item(s, row, k) if decision.chances is None else decision.chances[s]
                bare, whole = self._slot_part(bundle, k)
                if isfinite(propensity):
                    parts += (whole, _DOUBLES.pack(_SELECTION_PROBABILITY, chance, _PROPENSITY, propensity))
                    continue
                slot = bare + _DOUBLE.pack(_SELECTION_PROBABILITY, chance)
            parts += (_SLOTS, varint(len(slot)), slot)
        if decision.review_id:
            parts.append(decision_pb2.DecideResponse(review_id=decision.review_id).SerializeToString())
        if decision.refused:
            refused = [
                decision_pb2.RefusedOffer(offer_id=bundle.offers[k].offer_id, reason=int(reason))  # type: ignore[arg-type]
                for k, reason in decision.refused
            ]
            parts.append(decision_pb2.DecideResponse(baseline_refused=refused).SerializeToString())
        if request.explain:
            explanation = self._explanations.explain(batch, bundle, decision)
            parts.append(decision_pb2.DecideResponse(explanation=explanation).SerializeToString(deterministic=True))
        return b"".join(parts)


def _together(batch: Batch, decisions: Sequence[Decision], parts: Sequence[_Alike]) -> list[bytes] | None:
    """Return the encoded answers, a column at a time; None: some are to be written by hand. No request is a dry run or wants more said."""
    small, slots, whose = zip(*parts, strict=True)
    rows, offers = np.array(list(map(_ROW, decisions))), np.array(whose)
    if offers.min() == _BY_HAND:
        return None
    # Rows without numbers read those of the last offer, which go nowhere.
    table = np.empty(len(rows), dtype=_NUMBERS)
    table["ahead of chance"], table["chance"] = _SELECTION_PROBABILITY, batch.probability[0, rows, offers]
    table["ahead of propensity"], table["propensity"] = _PROPENSITY, batch.propensity[rows, offers]
    if not np.isfinite(table["propensity"][offers >= 0]).all():
        return None
    raw, size = table.tobytes(), _NUMBERS.itemsize
    numbers = [raw[at : at + size] if offer >= 0 else b"" for at, offer in zip(range(0, len(raw), size), whose, strict=True)]
    ids = list(map(str.encode, map(_ID, decisions)))
    ahead = map(_ID_AHEAD.__getitem__, map(len, ids))
    valid = map(_valid_part, map(_VALID_UNTIL_MS, decisions))
    return list(map(b"".join, zip(ahead, ids, small, valid, slots, numbers, strict=True)))


@lru_cache(maxsize=4096)
def _small_part(arm: int, branch: int, reason: int, degraded: bool, consent_version: str, digest: str) -> bytes:
    return decision_pb2.DecideResponse(
        arm=arm,  # type: ignore[arg-type]
        branch=branch,  # type: ignore[arg-type]
        reason=reason,  # type: ignore[arg-type]
        degraded=degraded,
        consent_version=consent_version,
        bundle_digest=digest,
    ).SerializeToString()


@lru_cache(maxsize=64)
def _valid_part(valid_until_ms: int) -> bytes:
    # Remembered for the other rows of a batch.
    return _VALID_UNTIL + varint_of(valid_until_ms) if valid_until_ms else b""


def _default_part(offer: Offer) -> bytes:
    slot = offer_pb2.Slot(offer_id=offer.offer_id, payload_json=offer.payload_json, selection_probability=1.0, is_default=True)
    return slot.SerializeToString()


def batch_response(answers: list[bytes]) -> bytes:
    """Return one encoded `DecideBatchResponse` of encoded answers: field 1, repeated, each behind its length."""
    return b"".join(chain.from_iterable(zip(map(_answer_ahead, map(len, answers)), answers, strict=True)))


@lru_cache(maxsize=4096)
def _answer_ahead(size: int) -> bytes:
    return b"\x0a" + varint(size)
