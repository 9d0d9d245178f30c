"""Cases through the walk of the server: a real Live, real models, stores in memory, one case after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from liftgate.app.cases.expect import problems
from liftgate.app.cases.reading import Planned
from liftgate.app.cases.world import GivenModels, NobodyFits, controls_of, person_id_of, ports_of
from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.decide import decide
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Models
from liftgate.pipeline.walk import Walk

_DRAWS = 2_000
"""Request ids tried until the draw falls where the case wants it."""


@dataclass(slots=True)
class Ran:
    """One case that was run."""

    planned: Planned
    problems: list[str] = field(default_factory=list)
    """What was expected and what came instead, a sentence each; empty: the case passed."""
    walk: Walk | None = None
    """None: it could not be walked."""
    took_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Everything that the case wants came."""
        return not self.problems


def run(cases: Sequence[Planned], bundle: Bundle, models: Models, advance: Callable[[], None] = lambda: None) -> list[Ran]:
    """Run every case, each in a world of its own; `advance` is called after each."""
    live = Live(bundle, models)

    async def everyone() -> list[Ran]:
        done = []
        for planned in cases:
            start = perf_counter()
            ran = await _one(planned, live)
            ran.took_s = perf_counter() - start
            done.append(ran)
            advance()
        return done

    return asyncio.run(everyone())


async def _one(planned: Planned, live: Live) -> Ran:
    case = planned.case
    if case.slots > live.bundle.placements[live.bundle.placement_index[planned.placement]].slots:
        return Ran(planned, [f"{planned.placement} has fewer than {case.slots} slots: the service would refuse the request"])
    try:
        person_id = person_id_of(planned, live)
    except NobodyFits as err:
        return Ran(planned, [str(err)])
    if case.propensity or case.models == "down":
        live = Live(live.bundle, GivenModels(live.bundle, live.models, case.propensity, case.models == "down"))
    wants_to_explore = case.draw == "explore"
    for attempt in range(_DRAWS):
        walk = await _walk(planned, live, person_id, f"case-{attempt}")
        nothing = not walk.decisions[0].chosen
        # A policy that is blind to worth only explores: a case that says nothing of the draw takes any.
        any_draw = "draw" not in case.model_fields_set and live.variants.policies.each[int(walk.batch.variant[0])].blind
        if nothing or any_draw or bool(walk.batch.explored[0]) == wants_to_explore:
            if nothing and wants_to_explore:
                return Ran(planned, ["wants a draw that explores, and there is nothing to choose from"], walk)
            return Ran(planned, problems(planned, walk), walk)
    return Ran(planned, [f"no draw of {_DRAWS:,} would {case.draw}: look at the placement's epsilon"])


async def _walk(planned: Planned, live: Live, person_id: str, request_id: str) -> Walk:
    context = planned.context
    request = DecideRequest(
        request_id=request_id,
        person_id=person_id,
        placement_id=planned.placement,
        slot_count=planned.case.slots,
        context=Context(
            context.channel, context.device, context.locale, context.time_zone, context.attributes, jurisdiction=context.jurisdiction
        ),
        account_id=planned.person.account or "",
        session_id=planned.person.session or "",
        visitor_id=planned.person.visitor or "",
        gpc=context.gpc,
        candidates=None if planned.case.candidates is None else tuple(planned.case.candidates),
        baseline_offers=tuple(planned.case.baseline),
        deferred=planned.case.deferred,
    )
    batch = Batch([request], np.array([planned.now_ms], dtype=np.int64))
    batch.controls = controls_of(planned, live.bundle)
    walk = Walk(batch, live, ports_of(planned, live, person_id))
    await decide(walk)
    return walk
