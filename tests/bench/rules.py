"""Many rules: what 500 offers with four conditions each that no other offer has cost beside 10, at load and a decision.

`python -m tests.bench.rules`: time to read, check and compile the bundle and to make everything from it that is made once; CPU of a
decision in one process without the wire, in batches, guardrails and all. Rounds of both take turns, so that a busy machine hits both.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time

import uvloop
from rich.console import Console
from rich.table import Table

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.pipeline.live import Live

from . import people, shop, stages
from .processes import cores, scratch

FEW, MANY = 10, 500
BATCH, DECISIONS, ROUNDS = 32, 1_600, 3
GOAL = 4.0
"""Most that MANY may cost beside FEW, CPU a decision."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What was measured with so many offers."""

    offers: int
    conditions: int
    compile_ms: float
    """CPU of the load, the model's included, median of the rounds."""
    guard_us: float
    all_us: float
    """CPU a decision, medians of the rounds."""


def measure(rounds: int = ROUNDS, decisions: int = DECISIONS) -> tuple[Rules, Rules]:
    """Return what FEW and MANY offers with rules of their own cost."""
    server_core, store_core = cores()
    compiles: dict[int, list[float]] = {FEW: [], MANY: []}
    spent: dict[int, list[dict[str, float]]] = {FEW: [], MANY: []}
    conditions = {}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch()) as name, EmbeddedValkey(tcp=True) as valkey:
        os.sched_setaffinity(valkey.pid, {store_core})
        usual = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {server_core})
        try:
            for offers in (FEW, MANY):
                shop.write(Path(name) / str(offers), offers, distinct=True)
            stored = people.image(shop.compiled(Path(name) / str(FEW)))
            for _ in range(rounds):
                for offers in (FEW, MANY):
                    folder = Path(name) / str(offers)
                    start = process_time()
                    bundle = shop.compiled(folder)
                    Live(bundle, OnnxModels.load(bundle))
                    compiles[offers].append((process_time() - start) * 1000)
                    conditions[offers] = sum(
                        len(rules) for rules in (bundle.eligible_if, bundle.applicable_if, bundle.suitable_if, bundle.suppress_if)
                    )
                    people.restore(valkey.port, stored)
                    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                        spent[offers].append(runner.run(stages.measure(folder, valkey.url, BATCH, decisions // BATCH, None)))
        finally:
            os.sched_setaffinity(0, usual)
    few, many = (
        Rules(
            offers,
            conditions[offers],
            median(compiles[offers]),
            median(one["guard"] for one in spent[offers]),
            median(one["all"] for one in spent[offers]),
        )
        for offers in (FEW, MANY)
    )
    return few, many


def table(few: Rules, many: Rules) -> Table:
    """Return the figures as a table."""
    made = Table(title=f"Four conditions an offer that no other has; batches of {BATCH}, no wire.", title_justify="left")
    for head in ("offers", "conditions", "load, CPU ms", "guard, CPU us/decision", "all, CPU us/decision", f"x {FEW} offers"):
        made.add_column(head, justify="right")
    for one in (few, many):
        made.add_row(
            str(one.offers),
            f"{one.conditions:,}",
            f"{one.compile_ms:,.0f}",
            f"{one.guard_us:.1f}",
            f"{one.all_us:.1f}",
            f"{one.all_us / few.all_us:.2f} (goal <= {GOAL:g})",
        )
    return made


def main() -> None:
    """Measure and print."""
    few, many = measure()
    Console(width=120).print(table(few, many))


if __name__ == "__main__":
    main()
