"""What is to be reached, and whether it is: one row a goal, whatever could be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from . import contenders as c
from .contenders import Contender
from .rounds import Measured
from .scheduled import HALF, quotable


def apart(pause_ms: float) -> str:
    """Return a pause between calls in words."""
    return f"{pause_ms:g} ms apart" if pause_ms else "back to back"


@dataclass(frozen=True, slots=True)
class Goal:
    """One row of the goals."""

    what: str
    target: float
    stretch: float | None
    at_most: bool
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    """Of the rounds."""
    why: str = "not in this run"
    """Why there is no figure, or none that proves anything."""

    def reaches(self, target: float | None) -> bool:
        """Whether a target is reached."""
        if self.measured is None or target is None:
            return False
        return self.measured <= target if self.at_most else self.measured >= target

    @property
    def verdict(self) -> str:
        """In words."""
        if self.measured is None:
            return f"not measured: {self.why}"
        if self.why:
            return f"not proved: {self.why}"
        return "stretch met" if self.reaches(self.stretch) else "met" if self.reaches(self.target) else "MISSED"


@dataclass(slots=True)
class Findings:
    """Everything that a run measured, so far."""

    found: dict[str, Measured] = field(default_factory=dict)
    levels: list[dict[str, Any]] = field(default_factory=list)
    overload: list[dict[str, Any]] = field(default_factory=list)
    generator: dict[str, Any] | None = None
    saturation: float = 0.0
    """Decisions a second, closed loop, whole ones."""
    more: list[Goal] = field(default_factory=list)
    """Of the parts that have tables of their own."""
    failures: dict[str, str] = field(default_factory=dict)
    """Parts that broke, and why."""


def base(found: Mapping[str, Measured]) -> Measured | None:
    """Return E: the cheaper of the empty stock servers, so that ratios are quoted to the harder one."""
    empties = [found[one.name] for one in (c.E_ASYNCIO, c.E_UVLOOP) if one.name in found and found[one.name].rounds]
    return min(empties, key=lambda one: one.cpu_us) if empties else None


def goals(all_of: Findings) -> list[Goal]:
    """Return every goal, those first that design's table holds."""
    return [*_table(all_of), *all_of.more]


def _table(all_of: Findings) -> Iterator[Goal]:
    found, e = all_of.found, base(all_of.found)
    yield _ratio("CPU of a full Decide, native, 20 offers, every kind of guardrail / E", found, c.EVERY, e, 0.5, 0.3)
    yield _ratio("CPU of a full Decide, native, 20 offers, the usual guardrails / E", found, c.NATIVE, e, 0.5, 0.3)
    yield _ratio("CPU of a full Decide, native, 100 offers / E", found, c.NATIVE_100, e, 0.8, 0.5)
    yield _ratio("CPU of a full Decide, grpcio, 20 offers / E", found, c.GRPCIO, e, 2.0, 1.5)
    yield _ratio("CPU: N0 / full Decide, native, 20 offers", found, c.N0, found.get(c.NATIVE.name), 6.0, 12.0, at_most=False)
    yield _ratio("CPU: 500 offers / 10 offers, native", found, c.NATIVE_500, found.get(c.NATIVE_10.name), 4.0, 2.5)
    yield _rate("decisions/s on one core, native, 20 offers, 64 in flight", found, c.NATIVE, 8_000, 15_000)
    yield _rate("decisions/s on one core, native, 20 offers, 256 in flight", found, c.DEEP, 8_000, 15_000)
    half = next((one for one in all_of.levels if one["share"] == HALF), None)
    for name, target, stretch in (("p99", 4.0, 3.0), ("p99.9", 8.0, None)):
        what = f"open loop at half of saturation, Poisson: {name} / p50"
        if half is None or not half["latency_ms"]:
            yield Goal(what, target, stretch, at_most=True, why=all_of.failures.get("open", "not in this run"))
        else:
            ms = half["latency_ms"]
            yield Goal(what, target, stretch, at_most=True, measured=ms[name] / ms["p50"], why=quotable(half))
    idle = found[c.NATIVE.name].idle if c.NATIVE.name in found else {}
    for pause_ms in idle or (0.0,):
        what = f"idle server, one call at a time, {apart(pause_ms)}: p50, ms"
        p50 = idle[pause_ms]["p50_ms"] if idle else None
        yield Goal(what, 0.6, 0.4, at_most=True, measured=p50, why="" if idle else all_of.failures.get("idle", "not in this run"))
    on_off = "decisions/s: log, 1 % traces, metrics / async log, no traces, no metrics"
    yield _ratio(on_off, found, c.NATIVE, found.get(c.BARE.name), 0.9, 0.95, at_most=False, of="per_s")
    yield _ratio("CPU: log level fsync / write", found, c.FSYNC, found.get(c.NATIVE.name), 1.1, 1.05)
    goodput = [one["goodput_per_s"] / all_of.saturation for one in all_of.overload if all_of.saturation]
    why = "" if goodput else all_of.failures.get("overload", "not in this run")
    yield _of_rounds("goodput at 1.5 x saturation / peak", goodput, 0.7, 0.9, at_most=False, why=why)
    yield _ratio("CPU: two workers on two cores / one on one", found, c.WORKERS_2, found.get(c.WORKERS_1.name), 1.15, 1.05)
    yield _rate("DecideBatch of 256 people: decisions/s on one core", found, c.BATCH, 20_000, 40_000)
    one = all_of.generator
    what = "the generator, Poisson, one core: requests/s sent and answered"
    if one is None:
        yield Goal(what, 15_000, None, at_most=False, why=all_of.failures.get("generator", "not in this run"))
    else:
        yield Goal(what, 15_000, None, at_most=False, measured=round(one["per_s"], -2), why=quotable(one))


def _ratio(
    what: str,
    found: Mapping[str, Measured],
    above: Contender,
    below: Measured | None,
    target: float,
    stretch: float,
    *,
    at_most: bool = True,
    of: str = "cpu_us",
) -> Goal:
    """Ratios are taken within a round, from neighbours in time, and their median is quoted."""
    over = found.get(above.name)
    if over is None or below is None or not over.rounds or not below.rounds:
        why = (over.failures if over else below.failures if below else [])[-1:]
        return Goal(what, target, stretch, at_most, why=why[0].splitlines()[0] if why else "not in this run")
    return _of_rounds(what, [a / b for a, b in zip(_values(over, of), _values(below, of), strict=False)], target, stretch, at_most=at_most)


def _rate(what: str, found: Mapping[str, Measured], contender: Contender, target: float, stretch: float) -> Goal:
    one = found.get(contender.name)
    values = _values(one, "per_s") if one else []
    why = "" if values else (one.failures[-1].splitlines()[0] if one and one.failures else "not in this run")
    return _of_rounds(what, values, target, stretch, at_most=False, why=why)


def _of_rounds(what: str, values: Sequence[float], target: float, stretch: float | None, *, at_most: bool, why: str = "") -> Goal:
    if not values:
        return Goal(what, target, stretch, at_most, why=why or "not in this run")
    return Goal(what, target, stretch, at_most, float(median(values)), min(values), max(values), why)


def _values(one: Measured, of: str) -> list[float]:
    return [float(r["cpu_us"]["server"]) if of == "cpu_us" else float(r[of]) for r in one.rounds]
