"""What is to be reached, and whether it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import contenders as c
from .rounds import Measured


def apart(pause_ms: float) -> str:
    """Return a pause between calls in words."""
    return f"{pause_ms:g} ms apart" if pause_ms else "back to back"


@dataclass(frozen=True, slots=True)
class Goal:
    """One row of the goals."""

    what: str
    measured: float
    target: float
    at_most: bool

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.measured <= self.target if self.at_most else self.measured >= self.target


def base(found: Mapping[str, Measured]) -> Measured | None:
    """Return E: the cheaper of the empty stock servers, so that ratios are quoted to the harder one."""
    empties = [found[one.name] for one in (c.E_ASYNCIO, c.E_UVLOOP) if one.name in found]
    return min(empties, key=lambda one: one.cpu_us) if empties else None


def goals(found: Mapping[str, Measured]) -> list[Goal]:
    """Return every goal that the measured contenders allow to judge."""
    return list(_goals(found))


def _goals(found: Mapping[str, Measured]) -> Iterator[Goal]:
    e, native, n0 = base(found), found.get(c.NATIVE.name), found.get(c.N0.name)
    if e:
        for contender, target in ((c.NATIVE, 0.6), (c.NATIVE_100, 0.8), (c.GRPCIO, 2.0)):
            if contender.name in found:
                yield Goal(f"CPU: {contender.label} / E", found[contender.name].cpu_us / e.cpu_us, target, at_most=True)
    if native and n0:
        yield Goal("CPU: N0 / Liftgate, native, 20 offers", n0.cpu_us / native.cpu_us, 4.0, at_most=False)
    for pause_ms, took in native.idle.items() if native else ():
        yield Goal(f"idle server, single calls {apart(pause_ms)}, p50, ms", took["p50_ms"], 0.8, at_most=True)
    if native:
        yield Goal("decisions/s on one core, native, 20 offers", native.per_s, 8_000, at_most=False)
    if c.NATIVE_500.name in found and c.NATIVE_10.name in found:
        yield Goal(
            "CPU: 500 offers / 10 offers, native", found[c.NATIVE_500.name].cpu_us / found[c.NATIVE_10.name].cpu_us, 4.0, at_most=True
        )
    if native and c.FSYNC.name in found:
        yield Goal("CPU: fsync log / write log", found[c.FSYNC.name].cpu_us / native.cpu_us, 1.1, at_most=True)
    if native and c.BARE.name in found:
        yield Goal(
            "decisions/s: everything on / async log, no traces, no metrics", native.per_s / found[c.BARE.name].per_s, 0.9, at_most=False
        )
