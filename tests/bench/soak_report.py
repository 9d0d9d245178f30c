"""What a soak showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from .goals import Goal
from .report import Part, goal_rows
from .scheduled import quotable
from .tables import Rows

PAUSE_MS = 20.0
_SETTLED = 0.2
"""Share of a run after which memory is looked at."""
_AFTER_MS = 4_000.0
"""A reload may still be felt for that long: what it replaced is freed bit by bit."""
_SHOWN = 12


def parts(facts: Mapping[str, Any], long: Mapping[str, Any], reloads: Mapping[str, Any]) -> list[Part]:
    """Return the goals, then what is behind them."""
    pauses = found_pauses(long)
    ours = [one for one in pauses if not one["machine_ms"]]
    growth = slope_mb(long)
    pairs = worst_of_windows(reloads)
    added = added_ms(pairs)
    why = quotable(long["load"])
    rows = [
        Goal(
            f"longest pause in {facts['minutes']:g} minutes at half load, ms",
            PAUSE_MS,
            None,
            at_most=True,
            measured=max(long["load"]["worst_by_window_ms"], default=0.0),
            why=why,
        ),
        Goal(
            "... leaving out those in which the machine stood still", PAUSE_MS, None, at_most=True, measured=_longest(long, pauses), why=why
        ),
        Goal(
            "what reloading 500 offers under load adds to the worst call, median, ms",
            10.0,
            None,
            at_most=True,
            measured=added,
            why="" if pairs else "no reload with a quiet stretch beside it",
        ),
        Goal(f"memory: growth over 10^6 decisions, % of {_level(long):.0f} MB", 2.0, None, at_most=True, measured=growth, why=""),
    ]
    return [
        f"`make soak`, {facts['at']}, {facts['machine']['processor']}, Linux {facts['machine']['kernel']}.",
        goal_rows(rows, "Goals of a soak."),
        _words(long, len(pauses), len(ours)),
        _table(pauses),
        _words(reloads, len(found_pauses(reloads)), sum(not one["machine_ms"] for one in found_pauses(reloads))),
        _reload_words(reloads, pairs),
        _memory(long),
    ]


def found_pauses(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return stretches of windows with a call above 20 ms: when, the slowest call, what went on, how long the machine stood still."""
    load, found, run = part["load"], [], list[int]()
    worst, window = load["worst_by_window_ms"], part["window_ms"]
    for i, ms in enumerate([*worst, 0.0]):
        if ms > PAUSE_MS:
            run.append(i)
        elif run:
            begins, ends = load["began_ms"] + run[0] * window, load["began_ms"] + (run[-1] + 1) * window
            slowest = max(worst[j] for j in run)
            during = sorted({what for what, a, b in part["doings"] if a < ends + slowest and b > begins - slowest})
            stood = [late for at, late in part["machine_late"] if begins - slowest < at < ends + slowest]
            # The machine is to blame when it stood still for at least half of what is above the limit.
            machine = max(stood, default=0.0)
            found.append(
                {"at_s": run[0] * window / 1e3, "ms": slowest, "during": during, "machine_ms": machine if 2 * machine >= slowest else 0.0}
            )
            run = []
    return found


def worst_of_windows(part: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return the worst call of each reload, and of a stretch of the same length before it that no other reload is felt in; ms."""
    load, window = part["load"], part["window_ms"]
    worst, began = load["worst_by_window_ms"], load["began_ms"]
    reloads = [(a, b + _AFTER_MS) for what, a, b in part["doings"] if what == "reload"]

    def most(a: float, b: float) -> float | None:
        first, last = int((a - began) // window), int((b - began) // window)
        return max(worst[first : last + 1]) if 0 <= first <= last < len(worst) else None

    found, free = [], began
    for a, b in reloads:
        begins = a - (b - a) - window
        during, before = most(a, b), most(begins, a - window)
        if begins >= free and during is not None and before is not None:
            found.append((during, before))
        free = b
    return found


def added_ms(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return what a reload adds to the worst call: the median of its pairs, so that a pause of the machine in one of them says nothing."""
    return median(during - before for during, before in pairs) if pairs else None


def slope_mb(part: Mapping[str, Any]) -> float | None:
    """Return how much memory grew over 10^6 decisions, % of its level, by least squares over the part that is settled.

    Memory of processes that stay: no pages of files, which the system takes back as it likes, and no loaders.
    """
    seen = part["memory"][int(len(part["memory"]) * _SETTLED) :]
    if len(seen) < 5:
        return None
    decisions = np.array([at for at, *_ in seen]) / 1e3 * part["load"]["rate"]
    return float(np.polyfit(decisions - decisions[0], [mb for _, mb, *_ in seen], 1)[0] * 1e6 / _level(part) * 100)


def _level(part: Mapping[str, Any]) -> float:
    return float(median(mb for _, mb, *_ in part["memory"])) if part["memory"] else float("nan")


def _longest(part: Mapping[str, Any], pauses: Sequence[Mapping[str, Any]]) -> float:
    """Return the slowest call outside of what the machine is to blame for."""
    ours = [one["ms"] for one in pauses if not one["machine_ms"]]
    return max([*ours, *(ms for ms in part["load"]["worst_by_window_ms"] if ms <= PAUSE_MS)], default=0.0)


def _words(part: Mapping[str, Any], pauses: int, ours: int) -> str:
    load, done = part["load"], Counter(what for what, _, _ in part["doings"])
    ms, saturation, own = load["latency_ms"], part["saturation_per_s"], load["lateness_ms"].get("p99", float("nan"))
    late = [one for _, one in part["machine_late"]]
    meanwhile = ", ".join(f"{n} x {what}" for what, n in sorted(done.items()))
    return (
        f"{part['offers']} offers: {load['samples']:,} decisions at {load['rate']:,.0f}/s of {saturation:,.0f} at saturation, "
        "Poisson. "
        f"p50 {ms['p50']:.2f}, p99 {ms['p99']:.2f}, p99.9 {ms['p99.9']:.2f}, max {ms['max']:.1f} ms; {load['over_20_ms']:,} calls above "
        f"20 ms in {pauses} pauses, {ours} of them not the machine's. Meanwhile: {meanwhile}. "
        f"The machine stood still {len(late):,} times for 2 ms or more, at most {max(late, default=0.0):.0f} ms; others used "
        f"{load['others_cores']:.2f} cores. Generator late itself by p99 {own:.3f} ms; "
        f"failed: {load['failed'] or 'none'}; fallbacks {load['degraded_share']:.3%}." + "".join(f" {one}." for one in part["problems"][:5])
    )


def _table(pauses: Sequence[Mapping[str, Any]]) -> Rows:
    slowest = sorted(pauses, key=lambda one: -one["ms"])[:_SHOWN]
    rows = [
        [
            f"{one['at_s']:.1f}",
            f"{one['ms']:.1f}",
            ", ".join(one["during"]) or "nothing",
            f"{one['machine_ms']:.0f}" if one["machine_ms"] else "",
        ]
        for one in sorted(slowest, key=lambda one: float(one["at_s"]))
    ]
    return Rows(f"The longest of {len(pauses)} pauses.", ["at, s", "slowest call, ms", "meanwhile", "machine stood still, ms"], rows)


def _reload_words(part: Mapping[str, Any], pairs: Sequence[tuple[float, float]]) -> str:
    took = [b - a for what, a, b in part["doings"] if what == "reload"]
    if not pairs:
        return "No reload with a quiet stretch beside it."
    during, before = zip(*pairs, strict=True)
    return (
        f"{len(took)} reloads of {part['offers']} offers, {median(took) / 1e3:.1f} s each (median), {len(pairs)} with a stretch of that "
        f"length before them: the slowest call during one {median(during):.1f} ms (median; most {max(during):.1f}), in the stretch before "
        f"{median(before):.1f} ms (median; most {max(before):.1f})."
    )


def _memory(part: Mapping[str, Any]) -> str:
    if not part["memory"]:
        return "Memory was not looked at."
    _, seen, files, loading = zip(*part["memory"], strict=True)
    tenth = max(1, len(seen) // 10)
    growth = slope_mb(part)
    return (
        f"Memory of processes that stay, without pages of files: {median(seen[:tenth]):.1f} MB at first, {median(seen[-tenth:]):.1f} MB "
        f"at last, least {min(seen):.1f}, most {max(seen):.1f}"
        + ("." if growth is None else f"; {growth:+.2f} % over 10^6 decisions once settled.")
        + f" Pages of files that they have resident: {median(files[:tenth]):.1f} MB at first, {median(files[-tenth:]):.1f} MB at last. "
        f"Beside them loaders: at most {max(loading):.1f} MB, in {sum(map(bool, loading))} of {len(seen)} looks."
    )
