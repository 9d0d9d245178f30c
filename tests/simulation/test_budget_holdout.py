"""A budget and a holdout: treated and held-out people are reached alike, because both are judged by the same counter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np

from liftgate.domain.bucketing import SPACE
from liftgate.domain.layer import HOLDOUT, first_and_rest
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.live import Live
from tests.pipeline.cap_state import use_up
from tests.pipeline.conftest import valkey, valkey_url  # noqa: F401  # the fixtures
from tests.pipeline.workbench import BUNDLES, workbench

PEOPLE, BUDGET, SHARE = 1_500, 500, 0.3


async def test_a_budget_reaches_both_arms_alike(valkey_url: str, tmp_path: Path) -> None:  # noqa: F811
    """Treated people are offered what a budget pays for as often as held-out people would be, who spend none of it.

    With a budget of their own they would be reached more often: the control.
    """
    async with workbench(valkey_url, tmp_path, BUNDLES / "caps") as bench:
        await use_up(bench, "nobody", ())
        (layer,) = bench.live.bundle.layers
        caps = tuple(replace(cap, limit=BUDGET) if cap.name.startswith("budget") else cap for cap in bench.live.bundle.caps)
        bundle = replace(
            bench.live.bundle, caps=caps, layers=(replace(layer, share=SHARE, arms=first_and_rest(HOLDOUT, round(SHARE * SPACE))),)
        )
        live = Live(bundle, bench.live.models)
        people = [f"budget-{i}" for i in np.random.default_rng(5).permutation(PEOPLE)]
        for start in range(0, PEOPLE, 50):
            await asyncio.gather(
                *(
                    bench.batcher.submit(
                        DecideRequest(f"b-{person}", person, "budget", context=Context(channel="web"), idempotent=False), live
                    )
                    for person in people[start : start + 50]
                )
            )
        rows = bench.records
        reached = {
            held: [("budget" in [*row.offered, *row.would_offer]) for row in rows if bool(row.arm == 2) == held] for held in (False, True)
        }
    treated, held_out = (np.array(reached[held], dtype=float) for held in (False, True))
    assert treated.sum() == BUDGET
    error = np.sqrt(treated.var() / len(treated) + held_out.var() / len(held_out))
    assert abs(treated.mean() - held_out.mean()) < 4 * error
    # The control: everyone of this group finds room in a budget of its own.
    alone = min(BUDGET, len(held_out)) / len(held_out)
    assert abs(treated.mean() - alone) > 4 * error
