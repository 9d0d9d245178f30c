"""What was planned of each layer before it started: N* and the rest of its rule, from the bundles kept beside the log, and hypotheses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from liftgate.measure.plain import plain
from liftgate.report.ladder import Layer

if TYPE_CHECKING:
    from liftgate.report.facts import Gathering

N_STAR = 20_000
"""N* where nobody froze another: a constant, so that no look at the data chose it."""
_MOST_BUNDLES = 5


@dataclass(frozen=True, slots=True)
class Planned:
    """A layer's plan."""

    n_star: int
    source: str
    """Who froze N*: option, bundle, hypothesis, or nobody."""
    plan: tuple[str, int] | None = None
    """Where its rule stands: an answer of `layers show`, and the place in its `layers`."""
    hypothesis: str | None = None
    """The hypothesis that it tests."""
    other_n_star: int | None = None
    """What the hypothesis says where that is another N*."""

    def chosen(self, n_star: int | None) -> Planned:
        """Return the plan with an N* that was given."""
        return self if n_star is None else replace(self, n_star=n_star, source="option")

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "n_star": self.n_star,
            "n_star_from": self.source,
            "plan": None if self.plan is None else list(self.plan),
            "hypothesis": self.hypothesis,
            "hypothesis_n_star": self.other_n_star,
        }


def plans_of(gathering: Gathering, layers: Sequence[Layer]) -> dict[str, Planned]:
    """Return the plan of each layer by name, the newest bundle that has it first; keeps what bundles say as answers `plan...`."""
    found: dict[str, tuple[str, int]] = {}
    wanted = {one.name for one in layers}
    versions = sorted(gathering.answers["quality"].get("versions") or (), key=lambda one: -float(one["last_ms"]))
    for number, version in enumerate(versions[:_MOST_BUNDLES]):
        if gathering.wanted.plan is None or not wanted - found.keys():
            break
        shown = gathering.wanted.plan(version["bundle_digest"], int(version["last_ms"]))
        if shown is None:
            continue
        name = "plan" if not number else f"plan {version['bundle_digest'][:12]}"
        there = {row["layer"]: i for i, row in enumerate(shown[1]["layers"])}
        if number and not (wanted - found.keys()) & there.keys():
            continue
        gathering.commands[name], gathering.answers[name] = shown[0], {"refusal": None} | dict(plain(shown[1]))
        found |= {layer: (name, i) for layer, i in there.items() if layer in wanted and layer not in found}
    return {one.name: _plan(gathering, one.name, found.get(one.name)) for one in layers}


def _plan(gathering: Gathering, layer: str, place: tuple[str, int] | None) -> Planned:
    row = {} if place is None else gathering.answers[place[0]]["layers"][place[1]]
    backlog = gathering.wanted.beside.get("hypotheses", {}).get("hypotheses") or ()
    mine = next((one for one in backlog if one["experiment_id"] == layer or one["id"] == row.get("hypothesis")), None)
    guessed = None if mine is None else mine["n_star"]
    n_star, source = (row["n_star"], "bundle") if row.get("n_star") else (guessed, "hypothesis") if guessed else (N_STAR, "nobody")
    other = guessed if guessed and guessed != n_star else None
    return Planned(n_star, source, place, row.get("hypothesis") or (mine["id"] if mine else None), other)
