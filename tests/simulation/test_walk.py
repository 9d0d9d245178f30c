"""What must hold over many walks of the real pipeline on a real Valkey."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np

from liftgate.domain.bucketing import SPACE
from liftgate.domain.layer import HOLDOUT, first_and_rest
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Charge, Claim
from liftgate.v1.record_pb2 import DecisionRecord
from tests.pipeline.conftest import valkey, valkey_url  # noqa: F401  # the fixtures
from tests.pipeline.workbench import NOW_MS, Bench, workbench


async def _decide(bench: Bench, live: Live, people: list[str], placement: str, day: int = 0) -> list[DecisionRecord]:
    """Decide once for everyone and return the records in the order of the people."""
    before = len(bench.records)
    bench.hands.ms = NOW_MS + day * 86_400_000
    requests = [DecideRequest(f"{placement}-{day}-{person}", person, placement, idempotent=False) for person in people]
    await asyncio.gather(*(bench.batcher.submit(request, live) for request in requests))
    rows = {row.request_id: row for row in bench.records[before:]}
    return [rows[request.request_id] for request in requests]


async def test_weights_have_mean_one_when_caps_fill_up_meanwhile(valkey_url: str, tmp_path: Path) -> None:  # noqa: F811
    """Importance weights of a uniform target over the logged set average 1 within 3 s.e., though half the reservations come too late."""
    async with workbench(valkey_url, tmp_path) as bench:
        bundle = bench.live.bundle
        (cap,) = bundle.offer_caps[bundle.offer_index["rare"]]
        people = [f"weight-{i}" for i in range(1_500)]
        until = NOW_MS + 3_600_000.0
        charge = Charge(bundle.caps[cap].cap_id, 99, until, until)
        weights: list[float] = []
        late = 0
        for start in range(0, len(people), 50):
            some = people[start : start + 50]
            bench.faults.rivals = [Claim(person, False, "", b"rival...", b"rivalid.", (charge,), NOW_MS, b"", b"") for person in some[::2]]
            for row in await _decide(bench, bench.live, some, "contested"):
                if row.would_offer:
                    continue
                vector = np.array(row.slots[0].probability)
                chosen = list(row.candidate_reason).index(Reason.CHOSEN)  # type: ignore[arg-type]
                weights.append(float(1 / (vector > 0).sum() / vector[chosen]))
                late += row.reservation_attempts > 1
        assert late > 400
        sample = np.array(weights)
        assert abs(sample.mean() - 1) < 3 * sample.std() / np.sqrt(len(sample))


async def test_flipping_the_arm_never_changes_what_would_be_offered(valkey_url: str, tmp_path: Path) -> None:  # noqa: F811
    """The same people, once all treated and once all held out, over three days with caps: would_offer equals what was offered."""
    async with workbench(valkey_url, tmp_path) as bench:
        bundle = bench.live.bundle

        def with_share(share: float) -> Live:
            (universal,) = (layer for layer in bundle.layers if layer.name == "universal")
            layer = replace(universal, share=share, arms=first_and_rest(HOLDOUT, round(share * SPACE)))
            return Live(replace(bundle, layers=(layer,)), bench.live.models)

        treated, held_out = with_share(0.0), with_share(1.0)
        people = [f"flip-{i}" for i in range(200)]
        capped = 0
        for day in range(3):
            for placement in ("capped", "contested"):
                shown = await _decide(bench, treated, people, placement, day)
                kept = await _decide(bench, held_out, people, placement, day)
                for one, other in zip(shown, kept, strict=True):
                    assert list(one.offered) == list(other.would_offer)
                    assert not other.offered
                    assert list(one.candidate_reason) == list(other.candidate_reason)
                    assert [list(slot.probability) for slot in one.slots] == [list(slot.probability) for slot in other.slots]
                    capped += Reason.FREQUENCY_CAP in list(one.candidate_reason)  # type: ignore[comparison-overlap]
        assert capped > 200
