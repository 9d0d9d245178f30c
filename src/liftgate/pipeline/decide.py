"""The table of contents: how a decision walks, straight down."""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np

from liftgate.pipeline.encode import encode
from liftgate.pipeline.fallback import answer_unrecorded
from liftgate.pipeline.fetch import fetch
from liftgate.pipeline.record import record
from liftgate.pipeline.reserve import reserve
from liftgate.pipeline.score import score
from liftgate.pipeline.select import select
from liftgate.pipeline.stages import ASSIGN, ENCODE, ENDED, FETCH, GUARD, RECORD, RESERVE, SCORE, SELECT
from liftgate.pipeline.walk import Walk


async def decide(walk: Walk) -> None:
    """Walk a batch through every stage; `walk.results` then has what each row ends as."""
    began = walk.began
    began[ASSIGN] = perf_counter_ns()
    assign(walk)
    began[FETCH] = perf_counter_ns()
    await fetch(walk)
    began[GUARD] = perf_counter_ns()
    guard(walk)
    began[SCORE] = perf_counter_ns()
    score(walk)
    began[SELECT] = perf_counter_ns()
    select(walk)
    began[ENCODE] = perf_counter_ns()
    encode(walk)
    began[RESERVE] = perf_counter_ns()
    while await reserve(walk):
        # Who came too late selects again; all of that is the reservation's time.
        select(walk)
        encode(walk)
    began[RECORD] = perf_counter_ns()
    if await record(walk):
        answer_unrecorded(walk)
    began[ENDED] = perf_counter_ns()
    walk.batch.stage_us = np.array(walk.stage_us(ENDED))


def assign(walk: Walk) -> None:
    """Put everyone into their layers, from ids, placement, channel and time alone."""
    batch, bundle = walk.batch, walk.live.bundle
    batch.placement = np.array([bundle.placement_index[request.placement_id] for request in batch.requests], dtype=np.intp)
    batch.layer_arm = walk.live.layers.assign(batch.requests, batch.placement, batch.now_ms)
    batch.layer_held_out = walk.live.layers.universal(batch.layer_arm)
    batch.held_out = np.logical_or.reduce(batch.layer_held_out, axis=1)
    batch.withheld = walk.live.layers.withheld(batch.layer_arm, len(bundle.offers))


def guard(walk: Walk) -> None:
    """Settle which arms hold, run the guardrail chain, and leave out what the arms leave out."""
    walk.live.variants.place(walk.batch)
    walk.live.chain.evaluate(walk.batch)
    walk.live.variants.narrow(walk.batch)
