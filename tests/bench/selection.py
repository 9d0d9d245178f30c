"""CPU time of selecting for one batch, by policy: `python -m tests.bench.selection`."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import numpy as np

from liftgate.domain.policy import GroupPolicy, Policy
from liftgate.selection.policy import Policies, Worth
from liftgate.selection.slate import fill

PEOPLE = 32
SHAPES = ((20, 1), (500, 1), (20, 3), (500, 3))
"""Offers and slots."""


def policies(offers: int) -> dict[str, Policies]:
    """Return what is measured."""
    floor = 0.1 / offers
    weights = tuple(np.linspace(1.0, 3.0, offers).tolist())
    each = {
        "greedy": Policy("greedy"),
        "epsilon_greedy": Policy("epsilon_greedy", epsilon=0.1),
        "uniform": Policy("uniform"),
        "fixed": Policy("fixed", weights=weights),
        "softmax": Policy("softmax", temperature=0.05, floor=floor),
        "thompson": Policy("thompson", floor=floor, evidence=200),
        "random_propensity": Policy("random_propensity"),
    }
    found = {name: Policies([policy], (), offers) for name, policy in each.items()}
    half = GroupPolicy("half", tuple(range(offers // 2)), each["softmax"])
    found["two levels"] = Policies([each["epsilon_greedy"]], [half], offers)
    found["all seven, mixed"] = Policies(list(each.values()), (), offers)
    return found


def cpu_us(work: Callable[[], object]) -> float:
    """Return the least CPU time of one call in seven rounds, microseconds."""
    work()
    times = 1
    while True:
        start = process_time()
        for _ in range(times):
            work()
        if process_time() - start > 0.02:
            break
        times *= 2
    rounds = []
    for _ in range(7):
        start = process_time()
        for _ in range(times):
            work()
        rounds.append((process_time() - start) / times)
    return min(rounds) * 1e6


def main() -> None:
    """Print one line a policy: microseconds a decision, for each shape."""
    g = np.random.default_rng(0)
    print(f"{PEOPLE} people a batch; microseconds of CPU a decision, vectors, draws and marginals")
    print(f"{'':18}" + "".join(f"{offers:>6} x {slots}" for offers, slots in SHAPES))
    table: dict[str, list[float]] = {}
    for offers, slots in SHAPES:
        propensity = g.beta(2, 40, (PEOPLE, offers)).clip(0.001, 0.9)
        certain = np.tile(np.exp(0.3 * g.normal(size=offers)), (PEOPLE, 1))
        worth, allowed = Worth(certain * propensity, certain, propensity), g.random((PEOPLE, offers)) < 0.9
        draws, counts = g.random((PEOPLE, slots)), np.full(PEOPLE, slots, dtype=np.intp)
        for name, some in policies(offers).items():
            of = np.arange(PEOPLE, dtype=np.intp) % len(some.each)
            found = cpu_us(lambda w=worth, a=allowed, p=some, o=of, c=counts, d=draws: fill(w, a, p, o, c, d))  # type: ignore[misc]
            table.setdefault(name, []).append(found / PEOPLE)
    for name, numbers in table.items():
        print(f"{name:18}" + "".join(f"{number:10.1f}" for number in numbers))


if __name__ == "__main__":
    main()
