"""Decisions as the bytes that callers get."""

from __future__ import annotations

from math import isfinite

from liftgate.adapters.explanation import explain
from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.v1 import decision_pb2


class GrpcAnswers:
    """Writes `liftgate.v1.DecideResponse`. Implements ports.Answers; stateless, so safe to share."""

    def encode(self, batch: Batch, bundle: Bundle, decision: Decision) -> bytes:
        """Return the encoded answer, with the explanation where the request asks for one. Pure."""
        row = decision.row
        request = batch.requests[row]
        message = decision_pb2.DecideResponse(
            decision_id="" if request.dry_run else decision.decision_id,
            arm=decision.arm,  # type: ignore[arg-type]
            branch=decision.branch,  # type: ignore[arg-type]
            reason=decision.reason,  # type: ignore[arg-type]
            bundle_digest=bundle.digest,
            valid_until_ms=decision.valid_until_ms,
            degraded=decision.degraded,
            consent_version=batch.consent_version[row],
        )
        if decision.default_served:
            for k in decision.offered:
                offer = bundle.offers[k]
                message.slots.add(offer_id=offer.offer_id, payload_json=offer.payload_json, selection_probability=1.0, is_default=True)
        else:
            for s, k in enumerate(decision.offered):
                offer = bundle.offers[k]
                slot = message.slots.add(
                    offer_id=offer.offer_id,
                    payload_json=offer.payload_json,
                    value=offer.value,
                    selection_probability=batch.probability.item(s, row, k),
                )
                propensity = batch.propensity.item(row, k)
                if isfinite(propensity):
                    slot.propensity = propensity
        if request.explain:
            message.explanation.CopyFrom(explain(batch, bundle, decision))
        return message.SerializeToString(deterministic=True)


def batch_response(answers: list[bytes]) -> bytes:
    """Return one encoded `DecideBatchResponse` of encoded answers: field 1, repeated, each behind its length."""
    parts: list[bytes] = []
    for answer in answers:
        parts.append(b"\x0a" + _varint(len(answer)))
        parts.append(answer)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
