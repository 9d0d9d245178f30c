"""One run of the demo from beginning to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, time_ns

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.client import Decision
from liftgate.demo import evidence, server, store
from liftgate.demo.evidence import Evidence
from liftgate.demo.people import People, people
from liftgate.demo.shop import BUNDLE, MODELS
from liftgate.demo.traffic import Answers, Traffic
from liftgate.demo.truth import Truth
from liftgate.demo.visits import Visit, visits

Advance = Callable[[int], None]
Step = Callable[[str, int], Advance]
"""Announces a step in words and how many things it will do; returns what to tell of progress."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run can be told."""

    people: int
    decisions: int
    seed: int
    log: Path
    """Directory of the log; nothing else may be in it."""
    said: Path
    """File for what the server says."""


@dataclass(slots=True)
class Outcome:
    """Everything that a run has shown."""

    options: Options
    bundle: Bundle
    stored: int = 0
    """People in the store."""
    load_s: float = 0.0
    start_s: float = 0.0
    drain_s: float = 0.0
    total_s: float = 0.0
    answers: Answers = field(default_factory=Answers)
    explained: tuple[Visit, Decision] | None = None
    evidence: Evidence = field(default_factory=Evidence)
    planted: tuple[float, float] = (float("nan"), float("nan"))
    """True mean P(buy) of everyone under what was chosen for them, and untouched."""
    command: list[str] = field(default_factory=list)
    """How the server was started."""

    @property
    def missing(self) -> int:
        """Acknowledged decisions that are not in the log."""
        return self.evidence.missing(decision.decision_id for decision in self.answers.decisions.values())

    @property
    def wrong(self) -> bool:
        """A promise did not hold: a call was not answered, or the log is not whole."""
        return bool(self.missing or self.answers.unanswered) or not self.evidence.verdict.clean


def run(options: Options, step: Step) -> Outcome:
    """Build the shop, serve it, send everyone by, stop, and read the log. Raises ServerFailed."""
    began = perf_counter()
    shoppers = people(options.people, options.seed)
    truth = Truth(shoppers, options.seed)
    calls = visits(shoppers, options.decisions, options.seed)
    outcome = Outcome(options, load_bundle(BUNDLE, MODELS))
    with EmbeddedValkey() as valkey:
        clock = perf_counter()
        outcome.stored = load(
            valkey.url, shoppers, outcome.bundle, step("Loading people into an embedded Valkey", int(shoppers.known.sum()))
        )
        outcome.load_s = perf_counter() - clock
        service = server.start(valkey.url, options.log, options.said)
        outcome.start_s, outcome.command = service.started_s, list(service.command)
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_drive(outcome, service.target, truth, shoppers, calls, step("Deciding over gRPC", len(calls))))
            outcome.drain_s = service.stop()
        finally:
            service.kill()
    outcome.evidence = evidence.read(options.log)
    outcome.planted = outcome.evidence.planted(truth, {visit.request_id: visit.person for visit in calls})
    outcome.total_s = perf_counter() - began
    return outcome


def load(url: str, shoppers: People, bundle: Bundle, advance: Advance) -> int:
    """Store the people; return how many there are in the store."""
    return asyncio.run(store.load(url, shoppers, bundle.schema, time_ns() // 1_000_000, advance))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _drive(outcome: Outcome, target: str, truth: Truth, shoppers: People, calls: list[Visit], advance: Advance) -> None:
    traffic = Traffic(target, truth, shoppers, advance)
    try:
        await traffic.drive(calls)
        outcome.answers = traffic.answers
        visit = worth_explaining(calls, traffic.answers)
        if visit is not None:
            outcome.explained = visit, await traffic.explain(visit)
    finally:
        await traffic.close()


def worth_explaining(calls: list[Visit], answers: Answers) -> Visit | None:
    """Return the first visit to the basket that got an offer by the policy's own choice, else the first that got any answer."""
    answered = [visit for visit in calls if visit.request_id in answers.decisions]
    for visit in answered:
        decision = answers.decisions[visit.request_id]
        if visit.placement == "cart.banner" and (decision.branch, decision.reason) == ("EXPLOIT", "OFFERED"):
            return visit
    return answered[0] if answered else None
