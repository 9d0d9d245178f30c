"""The funnel: rates per assigned unit at each step, by arm and segment, where units are lost, and what keeping some is worth. Pure.

Two kinds of rate, never mixed. **Per assigned unit**: units that did the step / units assigned; the denominator is what was randomised,
so a difference between arms is causal. **Conditional**: of those who did the step before, the share that did this one; the arms'
denominators are different people, so a difference of conditional rates is not an effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from liftgate.measure.proportion import Count, wilson

RECOVERED = 0.1
"""Share of the units lost at a step that a realistic improvement keeps, where none is given."""

CAUSAL = "per assigned unit: units that did the step / all assigned units of the arm; differences between arms are causal"
CONDITIONAL = "of those who did the step before; not causal: who comes that far differs between arms"


@dataclass(frozen=True, slots=True)
class Counts:
    """Sufficient statistics of one arm (and segment): add them to pool."""

    arm: str
    segment: str | None
    n: int
    """Assigned units whose window is closed."""
    did: tuple[int, ...]
    """Units that did each step."""
    did_both: tuple[int, ...]
    """Units that did the step and the one before; the first step's equals `did[0]`."""

    def __add__(self, other: Counts) -> Counts:
        if len(self.did) != len(other.did):
            raise ValueError("funnels with different steps do not pool")
        return Counts(
            self.arm if self.arm == other.arm else "all",
            self.segment if self.segment == other.segment else None,
            self.n + other.n,
            tuple(a + b for a, b in zip(self.did, other.did, strict=True)),
            tuple(a + b for a, b in zip(self.did_both, other.did_both, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one arm. Rates are None where nobody could have done it."""

    step: str
    units: int
    rate: float | None
    """Per assigned unit, with its Wilson interval."""
    ci_low: float | None
    ci_high: float | None
    conditional_rate: float | None
    """Not causal."""
    lost: int
    """Units that did the step before and not this one: the drop-off."""
    lost_share: float | None
    """Of those who did the step before."""
    without_previous: int
    """Units that did this step and not the one before: another way there, or an event that was not logged."""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What keeping a share of those lost at one step would be worth, if they went on as those who did not leave."""

    step: str
    rank: int
    """1: worth most."""
    lost: int
    recovered_share: float
    recovered: float
    """Units."""
    extra_at_end: float
    """Units more that do the last step, out of the arm's assigned units."""
    extra_at_end_per_1000: float
    """The same for 1,000 assigned units."""
    worth: float | None
    """In the currency of the values, over this step and those after it; None: no value was given."""


def steps_of(counts: Counts, names: Sequence[str], alpha: float = 0.05) -> tuple[Step, ...]:
    """Return each step with its rates and drop-off. Raises ValueError for counts that cannot be."""
    _check(counts, names)
    steps = []
    before = counts.n
    for name, did, both in zip(names, counts.did, counts.did_both, strict=True):
        low, high = wilson(Count(did, counts.n), alpha) if counts.n else (None, None)
        kept = both / before if before else None
        rate = did / counts.n if counts.n else None
        lost_share = None if kept is None else 1 - kept
        steps.append(Step(name, did, rate, low, high, kept, before - both, lost_share, did - both))
        before = did
    return tuple(steps)


def biggest_drop(steps: Sequence[Step]) -> Step | None:
    """Return the step that loses the largest share of those who came to it, among steps that anybody came to."""
    open_to_anyone = [step for step in steps if step.lost_share is not None]
    return max(open_to_anyone, key=lambda step: step.lost_share or 0.0, default=None)


def bottlenecks(
    counts: Counts, names: Sequence[str], recovered: Mapping[str, float] | None = None, values: Mapping[str, float] | None = None
) -> tuple[Bottleneck, ...]:
    """Return the steps by what a realistic improvement is worth, the most first.

    Assumption: the share `recovered[step]` (default RECOVERED) of those lost at a step can be kept, and from there they go on as those
    who were not lost: with the conditional rates of the later steps. Conditional rates are not causal, so this says where to look, not
    what will be gained; only an experiment says that. `value`: of one unit that does the last step.

    Raises ValueError for a share outside (0, 1] or of an unknown step.
    """
    shares, worths = dict(recovered or {}), dict(values or {})
    if unknown := (set(shares) | set(worths)) - set(names):
        raise ValueError(f"`{min(unknown)}` is no step; steps: {', '.join(names)}")
    if any(not 0 < share <= 1 for share in shares.values()):
        raise ValueError("the share of lost units that can be kept lies above 0 and at most at 1")
    steps = steps_of(counts, names)
    found = []
    for index, step in enumerate(steps):
        onward, worth = 1.0, worths.get(step.step, 0.0)
        for later in steps[index + 1 :]:
            onward *= later.conditional_rate or 0.0
            worth += onward * worths.get(later.step, 0.0)
        share = shares.get(step.step, RECOVERED)
        kept = step.lost * share
        extra = kept * onward
        per_1000 = 1000 * extra / counts.n if counts.n else 0.0
        found.append((kept * worth if worths else extra, index, step, share, kept, extra, per_1000))
    found.sort(key=lambda one: (-one[0], one[1]))
    return tuple(
        Bottleneck(step.step, rank, step.lost, share, kept, extra, per_1000, key if worths else None)
        for rank, (key, _, step, share, kept, extra, per_1000) in enumerate(found, 1)
    )


def pooled(counts: Iterable[Counts]) -> Counts:
    """Return the sum of one or more. Raises ValueError for none."""
    given = list(counts)
    if not given:
        raise ValueError("there is nothing to pool")
    whole = given[0]
    for one in given[1:]:
        whole = whole + one
    return whole


def _check(counts: Counts, names: Sequence[str]) -> None:
    if not names or len(set(names)) != len(names):
        raise ValueError("a funnel has one step or more, each named once")
    if not len(names) == len(counts.did) == len(counts.did_both):
        raise ValueError(f"{len(names)} steps and counts of {len(counts.did)}")
    before = counts.n
    for did, both in zip(counts.did, counts.did_both, strict=True):
        if not 0 <= both <= min(did, before) or did > counts.n:
            raise ValueError("more units did a step than could")
        before = did
