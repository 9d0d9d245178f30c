"""The callers: every visit as one Decide over gRPC, what was seen and bought as events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter

from liftgate.client import AsyncClient, Decision, Event
from liftgate.demo.people import People, person_id
from liftgate.demo.truth import Truth
from liftgate.demo.visits import Visit

CONNECTIONS = 4
IN_FLIGHT = 64
ALONE = 500
"""Visits that are asked one at a time first, to see what a single call takes on an idle server."""
_TIMEOUT_MS = 5_000.0
_EVENTS_A_CALL = 500


@dataclass(slots=True)
class Answers:
    """What came back."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    """By request_id."""
    alone_s: list[float] = field(default_factory=list)
    """Seconds each of the calls took that were made one at a time, ascending."""
    busy_s: list[float] = field(default_factory=list)
    """Seconds each call took with `IN_FLIGHT` others under way, ascending."""
    busy_wall_s: float = 0.0
    """Seconds that all of `busy_s` took together."""
    exposures: int = 0
    """Exposures that the service has acknowledged."""
    purchases: int = 0
    """Purchases that the service has acknowledged."""
    unanswered: int = 0
    """Calls that the service did not answer."""


class Traffic:
    """One run of visits against a service."""

    def __init__(self, target: str, truth: Truth, people: People, advance: Callable[[int], None]) -> None:
        self._clients = [AsyncClient(target, timeout_ms=_TIMEOUT_MS) for _ in range(CONNECTIONS)]
        self._truth = truth
        self._people = people
        self._advance = advance
        self._seen: dict[int, list[str]] = {}
        self._exposures: list[Event] = []
        self.answers = Answers()

    async def drive(self, visits: Sequence[Visit]) -> None:
        """Make every call, report what was seen on the way and what was bought at the end."""
        for visit in visits[:ALONE]:
            self.answers.alone_s.append(await self._visit(self._clients[0], visit))
        waiting = iter(visits[ALONE:])
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for client, _ in zip(cycle(self._clients), range(IN_FLIGHT), strict=False):
                group.create_task(self._caller(client, waiting))
        self.answers.busy_wall_s = perf_counter() - began
        self.answers.exposures += await self._report(self._exposures)
        bought = [i for i in sorted({visit.person for visit in visits}) if self._truth.buys(i, self._seen.get(i, ()))]
        purchases = [
            Event("purchase", person_id(i), value=round(float(self._people.traits["avg_basket"][i]), 2), event_id=f"order-{number}")
            for number, i in enumerate(bought)
        ]
        await self._report(purchases)
        self.answers.purchases = len(purchases)
        self.answers.alone_s.sort()
        self.answers.busy_s.sort()

    async def explain(self, visit: Visit) -> Decision:
        """Ask for a visit's decision in words, as a dry run: nothing is recorded and no cap is charged."""
        return await self._ask(self._clients[0], visit, explain=True)

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            await client.close()

    async def _caller(self, client: AsyncClient, waiting: object) -> None:
        for visit in waiting:  # type: ignore[attr-defined]
            self.answers.busy_s.append(await self._visit(client, visit))

    async def _visit(self, client: AsyncClient, visit: Visit) -> float:
        began = perf_counter()
        decision = await self._ask(client, visit)
        took = perf_counter() - began
        self._advance(1)
        if not decision.decision_id:
            self.answers.unanswered += 1
            return took
        self.answers.decisions[visit.request_id] = decision
        if decision.offers and self._truth.sees(visit.request_id):
            await self._saw(client, visit, decision)
        return took

    async def _ask(self, client: AsyncClient, visit: Visit, explain: bool = False) -> Decision:
        context = visit.context
        return await client.decide(
            visit.person_id,
            visit.placement,
            channel=context.channel,
            device=context.device,
            locale=context.locale,
            time_zone=context.time_zone,
            attributes=context.attributes,
            global_privacy_control=visit.gpc,
            explain=explain,
            dry_run=explain,
            request_id=f"{visit.request_id}-why" if explain else visit.request_id,
        )

    async def _saw(self, client: AsyncClient, visit: Visit, decision: Decision) -> None:
        for offer in decision.offers:
            self._seen.setdefault(visit.person, []).append(offer.offer_id)
            event_id = f"{visit.request_id}-seen-{offer.offer_id}"
            self._exposures.append(Event("exposure", visit.person_id, decision.decision_id, offer.offer_id, event_id=event_id))
        if len(self._exposures) >= _EVENTS_A_CALL:
            batch, self._exposures = self._exposures, []
            self.answers.exposures += await self._record(client, batch)

    async def _report(self, events: Sequence[Event]) -> int:
        starts = range(0, len(events), _EVENTS_A_CALL)
        return sum([await self._record(self._clients[0], events[start : start + _EVENTS_A_CALL]) for start in starts])

    async def _record(self, client: AsyncClient, events: Sequence[Event]) -> int:
        """Send events and return how many count. Raises RuntimeError when one of them is not taken: the simulator would be wrong.

        Exposures of people whose consent cannot be read are revoked: whether the decision needed it is not known.
        """
        taken = await client.record(events)
        if taken.accepted + taken.revoked != len(events):
            raise RuntimeError(f"{len(events) - taken.accepted} of {len(events)} events were not taken: {taken.rejections[:1]}")
        return taken.accepted
