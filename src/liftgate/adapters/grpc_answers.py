"""Decisions as the bytes that callers get.

A message may be written as a concatenation of its parts, so what is constant for a bundle or an offer is serialised once. With an
explanation, and to hold the fast way to the contract in tests, the generated code writes it.
"""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from struct import Struct

from liftgate.adapters.explanation_live import LiveExplanations
from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.offer import Offer
from liftgate.record.wire import varint
from liftgate.v1 import decision_pb2, offer_pb2

_DOUBLE, _DOUBLES = Struct("<cd"), Struct("<cdcd")
_DECISION_ID, _SLOTS = b"\x0a", b"\x22"
_PROPENSITY, _SELECTION_PROBABILITY = b"\x19", b"\x29"


class GrpcAnswers:
    """Writes `liftgate.v1.DecideResponse`. Implements ports.Answers; safe to share on one event loop."""

    def __init__(self) -> None:
        self._bundle: Bundle | None = None
        self._slot_parts: dict[int, tuple[bytes, bytes]] = {}
        self._explanations = LiveExplanations()

    def _slot_part(self, bundle: Bundle, k: int) -> tuple[bytes, bytes]:
        """Return what is constant in the slot of an offer, and that behind its tag and the length with two more doubles.

        From memory while the bundle stays the same.
        """
        if bundle is not self._bundle:
            self._bundle, self._slot_parts = bundle, {}
        part = self._slot_parts.get(k)
        if part is None:
            offer = bundle.offers[k]
            slot = offer_pb2.Slot(offer_id=offer.offer_id, payload_json=offer.payload_json, value=offer.value).SerializeToString()
            part = self._slot_parts[k] = slot, _SLOTS + varint(len(slot) + _DOUBLES.size) + slot
        return part

    def encode(self, batch: Batch, bundle: Bundle, decision: Decision) -> bytes:
        """Return the encoded answer, with the explanation where the request asks for one. Pure."""
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
    return decision_pb2.DecideResponse(valid_until_ms=valid_until_ms).SerializeToString()


def _default_part(offer: Offer) -> bytes:
    slot = offer_pb2.Slot(offer_id=offer.offer_id, payload_json=offer.payload_json, selection_probability=1.0, is_default=True)
    return slot.SerializeToString()


def batch_response(answers: list[bytes]) -> bytes:
    """Return one encoded `DecideBatchResponse` of encoded answers: field 1, repeated, each behind its length."""
    parts: list[bytes] = []
    for answer in answers:
        parts.append(b"\x0a" + varint(len(answer)))
        parts.append(answer)
    return b"".join(parts)
