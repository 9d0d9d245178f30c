"""Policies and slates as their definitions read, one person at a time: what the columns of `selection` are held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, log, prod

from scipy import integrate, stats

from liftgate.domain.policy import Policy

Vector = dict[int, float]


@dataclass(frozen=True)
class Person:
    """One person's offers, by index: what each outcome is worth and how likely it is."""

    certain: Sequence[float]
    propensity: Sequence[float]
    groups: Mapping[str, tuple[tuple[int, ...], Policy]] = field(default_factory=dict)
    """Groups that select by themselves: their offers and policy."""

    def worth(self, k: int) -> float:
        """Expected worth."""
        return self.certain[k] * self.propensity[k]


def vector(policy: Policy, person: Person, open_: Sequence[int]) -> Vector:
    """Return the probability of each open offer under a policy, groups included."""
    if not open_:
        return {}
    inside = {} if policy.flat else {name: [k for k in members if k in open_] for name, (members, _) in person.groups.items()}
    inside = {name: members for name, members in inside.items() if members}
    alone = [k for k in open_ if not any(k in members for members in inside.values())]
    # Each group stands for itself by its best offer.
    faces = {name: max(members, key=person.worth) for name, members in inside.items()}
    weights = {k: policy.weights[k] for k in alone} if policy.weights else {}
    if policy.weights:
        weights |= {faces[name]: sum(policy.weights[k] for k in members) for name, members in inside.items()}
    outer = _flat(policy, person, [*alone, *faces.values()], weights)
    found = {k: outer[k] for k in alone}
    for name, members in inside.items():
        own = person.groups[name][1]
        within = _flat(own, person, members, {k: own.weights[k] for k in members} if own.weights else {})
        found |= {k: outer[faces[name]] * within[k] for k in members}
    return found


def _flat(policy: Policy, person: Person, open_: list[int], weights: Mapping[int, float]) -> Vector:
    n = len(open_)
    worth = {k: person.worth(k) for k in open_}
    best = max(worth.values())
    top = [k for k in open_ if worth[k] == best]
    if policy.kind in ("greedy", "epsilon_greedy"):
        base = {k: policy.epsilon / n + (1 - policy.epsilon) * (k in top) / len(top) for k in open_}
    elif policy.kind == "uniform":
        base = dict.fromkeys(open_, 1 / n)
    elif policy.kind == "softmax":
        unit = policy.temperature * (max(map(abs, worth.values())) if policy.relative else 1)
        odds = {k: exp((worth[k] - best) / unit) for k in open_}
        base = {k: odds[k] / sum(odds.values()) for k in open_}
    elif policy.kind == "fixed":
        base = {k: weights[k] / sum(weights[j] for j in open_) for k in open_}
    elif policy.kind == "random_propensity":
        base = {k: _random(person.certain, k, open_) for k in open_}
    else:
        base = best_of_posteriors({k: (worth[k], _spread(person, k, policy.evidence)) for k in open_})
    floor = min(policy.floor, 1 / n)
    return {k: floor + (1 - n * floor) * base[k] for k in open_}


def _random(certain: Sequence[float], k: int, open_: Sequence[int]) -> float:
    """P(certain x an independent uniform number is the highest), by quadrature."""

    def below(u: float) -> float:
        return prod(min(1.0, certain[k] * u / certain[j]) for j in open_ if j != k)

    kinks = sorted({certain[j] / certain[k] for j in open_ if certain[j] < certain[k]})
    edges = [0.0, *kinks, 1.0]
    return float(sum(integrate.quad(below, a, b)[0] for a, b in pairwise(edges)))


def _spread(person: Person, k: int, evidence: float) -> float:
    p = person.propensity[k]
    return float(person.certain[k] * (p * (1 - p) / (evidence + 1)) ** 0.5)


def best_of_posteriors(offers: Mapping[int, tuple[float, float]]) -> Vector:
    """P(each is the highest) of the posterior as docs/decisions/0015 states it, by adaptive quadrature."""
    normal = {
        k: (mean ** (1 / 3) * (1 - (spread / mean) ** 2 / 9), mean ** (1 / 3) * spread / mean / 3) for k, (mean, spread) in offers.items()
    }
    widest = max(width for _, width in normal.values())
    normal = {k: (centre, max(width, widest / 40)) for k, (centre, width) in normal.items()}
    found = {}
    for k, (centre, width) in normal.items():

        def density(x: float, k: int = k, centre: float = centre, width: float = width) -> float:
            logs = [stats.norm.logcdf((x - c) / w) for j, (c, w) in normal.items() if j != k]
            return exp(sum(logs, log(max(stats.norm.pdf((x - centre) / width) / width, 1e-300))))

        marks = sorted(min(max(c + z * w, centre - 9 * width), centre + 9 * width) for c, w in normal.values() for z in (-3, 0, 3))
        edges = [centre - 9 * width, *marks, centre + 9 * width]
        pieces = [(a, b) for a, b in pairwise(edges) if b - a > 1e-12]
        found[k] = sum(integrate.quad(density, a, b, epsabs=1e-9, limit=200)[0] for a, b in pieces)
    return found


@dataclass(frozen=True)
class Counter:
    """Room within one slate: how many of `members` may stand in it."""

    room: float
    members: frozenset[int]


def slates(
    chances: Callable[[tuple[int, ...]], Vector], allowed: Sequence[int], slots: int, counters: Sequence[Counter]
) -> dict[tuple[int, ...], float]:
    """Return the probability of every slate, walking the whole tree. `chances` gives the vector over what is open, in ascending order."""
    found: dict[tuple[int, ...], float] = {}

    def walk(chosen: tuple[int, ...], chance: float) -> None:
        full = [one for one in counters if sum(k in one.members for k in chosen) >= one.room]
        open_ = tuple(k for k in allowed if k not in chosen and not any(k in one.members for one in full))
        if len(chosen) == slots or not open_:
            found[chosen] = found.get(chosen, 0.0) + chance
            return
        for k, p in chances(open_).items():
            if p:
                walk((*chosen, k), chance * p)

    walk((), 1.0)
    return found
