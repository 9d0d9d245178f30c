"""Fallback: what is answered when a stage cannot run. The guarded default, or nothing; never an error, never unguarded."""

from __future__ import annotations

import numpy as np

from liftgate.domain.batch import Batch
from liftgate.domain.profile import ProfileState, unavailable
from liftgate.domain.reason import InputState, Reason
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.consent import enrol
from liftgate.pipeline.encode import encode
from liftgate.pipeline.live import Live
from liftgate.pipeline.record import record
from liftgate.pipeline.select import select
from liftgate.pipeline.targeting import target
from liftgate.pipeline.walk import Ports, Walk


def answer_unrecorded(walk: Walk) -> None:
    """Answer the rows that the log refused with the guarded default: the policy `serve_default`, counted as lost.

    Their claims gave another answer: they are amended.
    """
    rows = walk.unsettled
    walk.live.caps.deny_unreserved_defaults(walk.batch, rows)
    select(walk)
    encode(walk)
    walk.unsettled = []
    for row in rows:
        walk.results[row] = walk.responses[row]


async def answer_failed(request: DecideRequest, live: Live, ports: Ports, now_ms: int) -> Walk:
    """Answer one request whose walk raised: nothing is known about the person, nothing is offered, and it is recorded.

    The default is not served, since its guardrails may be what failed.
    """
    batch = Batch([request], np.array([now_ms], dtype=np.int64))
    walk = Walk(batch, live, ports)
    bundle, k, s = live.bundle, len(live.bundle.offers), request.slot_count
    batch.placement = np.array([bundle.placement_index[request.placement_id]], dtype=np.intp)
    batch.layer_arm = live.layers.assign(batch.requests, batch.placement, batch.now_ms)
    batch.layer_held_out = live.layers.universal(batch.layer_arm)
    batch.held_out = np.any(batch.layer_held_out, axis=1)
    batch.withheld = live.layers.withheld(batch.layer_arm, len(bundle.offers))
    batch.profile_state = unavailable(bundle.schema, 1).state
    batch.profile_state[:] = ProfileState.UNAVAILABLE
    batch.inputs = np.full((1, len(bundle.schema.inputs)), np.nan)
    batch.input_age_s = batch.inputs.copy()
    batch.input_state = np.full(batch.inputs.shape, InputState.MASKED, dtype=np.uint8)
    batch.consent = np.full((1, len(bundle.purposes)), Reason.CONSENT_UNAVAILABLE, dtype=np.uint8)
    batch.consent_until_ms = np.full((1, len(bundle.purposes)), np.inf)
    if bundle.consent.experiment_purpose >= 0:
        enrol(batch, bundle.consent.experiment_purpose)
    target(batch, bundle)
    live.variants.place(batch)
    batch.masked = np.ones(1, dtype=np.bool_)
    batch.consent_version = [""]
    batch.cap_room = np.zeros((1, len(bundle.caps)), dtype=np.int64)
    batch.allowed = np.zeros((1, k), dtype=np.bool_)
    batch.reason = np.where(bundle.candidates[batch.placement], Reason.STAGE_FAILED, Reason.UNSPECIFIED).astype(np.uint8)
    batch.default_allowed = np.zeros(1, dtype=np.bool_)
    batch.propensity = np.full((1, k), np.nan)
    batch.scored = np.zeros(1, dtype=np.bool_)
    batch.model_failed = np.zeros(1, dtype=np.bool_)
    batch.model_stopped = np.zeros(1, dtype=np.bool_)
    batch.probability = np.zeros((s, 1, k))
    walk.name(())
    walk.forced = [Reason.STAGE_FAILED]
    select(walk)
    encode(walk)
    walk.unsettled = []
    if await record(walk):
        answer_unrecorded(walk)
    return walk
