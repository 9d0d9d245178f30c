"""What measuring a large log costs: `liftgate measure lift --log` over a made-up log, its time and its peak memory.

    python -m tests.bench.log_scale [--decisions 1e6 1e7] [--engine spark] [--keep DIR] [--what quality lift ope simulate ...]

Half as many people as decisions, one in ten held out; columns and their types are those of `record.proto`. The command runs in a
process of its own, and its peak is that process's alone (with Spark: and its virtual machine's). `simulate` is measured from the table
that the replay writes on; the replay itself reads a segment at a time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.log_made import REPLAYED, write_log, write_replayed

_ALARM = 4
_WINDOW = ("--window", "7d")
_METRICS = ("--metric", "purchase", "--metric", "purchase_value")
_SIMULATE = """
import json, sys
from pathlib import Path
from liftgate.measure.attribution import Rule
from liftgate.measure.plain import plain
from liftgate.measure.simulate import value_bundle
log = Path(sys.argv[1])
print(json.dumps(plain(value_bundle(log / sys.argv[2], log, None, Rule("purchase", 7 * 86_400_000)))))
"""
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "lift": (*_WINDOW, *_METRICS),
    "quality": _WINDOW,
    "srm": (),
    "funnel": _WINDOW,
    "sequential": (*_WINDOW, "--metric", "purchase", "--n-star", "100000"),
    "ope": _WINDOW,
    "calibration": _WINDOW,
    "drift": _WINDOW,
    "uplift": (*_WINDOW, "--outcome", "purchase", "--replicates", "50"),
    "simulate": (),
}
"""What can be asked, and its options."""


def measured(directory: Path, engine: str, what: str = "lift") -> dict[str, Any]:
    """Run the command in a process of its own. Returns seconds, cpu_seconds, peak_mb, and its answer."""
    words = ["measure", what, "--log", str(directory), *QUESTIONS[what]]
    command = [sys.executable, "-m", "liftgate.app.cli.main", *words, "--engine", engine, "--json"]
    if what == "simulate":
        command = [sys.executable, "-c", _SIMULATE, str(directory), REPLAYED]
    started = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(_peak(pid) for pid in _family(process.pid)))
        time.sleep(0.05)
    seconds = time.monotonic() - started
    out = process.communicate()[0]
    if process.returncode not in (0, _ALARM):
        raise RuntimeError(f"measure {what} ended with {process.returncode}: {out[:500]!r}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_mb": round(peak / 1e6), "answer": json.loads(out)}


def _family(pid: int) -> Iterator[int]:
    """Yield a process and those below it (Linux)."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                yield from _family(int(child))
        except OSError:
            continue


def _peak(pid: int) -> int:
    """Return what a process has held at its most, bytes; the kernel keeps it, so that no peak is missed between two looks."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        return 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one log cost to measure."""

    decisions: int
    events: int
    seconds: float
    cpu_s: float
    peak_mb: int
    """Resident, of the command's process at its most."""
    estimate: float | None


def measure(sizes: Sequence[int] = (1_000_000, 10_000_000), engine: str = "duckdb") -> list[Cost]:
    """Make a log of each size, a fifth as many events as decisions, and measure it. Takes about 250 MB of disk, and leaves none of it."""
    found = []
    for decisions in sizes:
        with tempfile.TemporaryDirectory(prefix="liftgate-scale-") as aside:
            write_log(Path(aside), decisions, decisions // 5)
            found.append(_cost(measured(Path(aside), engine), decisions, decisions // 5))
    return found


def table(costs: Sequence[Cost]) -> Table:
    """Return the figures as a table; the goal is that memory does not grow with the log."""
    made = Table(
        title="`liftgate measure lift --log`, two outcomes, window 7 days; the log is made first and not counted.", title_justify="left"
    )
    for head in ("decisions", "events", "time, s", "CPU, s", "peak memory, MB", "of the smallest log's (goal <= 1.25)"):
        made.add_column(head, justify="right")
    for one in costs:
        counts, spent = (f"{one.decisions:,}", f"{one.events:,}"), (f"{one.seconds:.1f}", f"{one.cpu_s:.1f}")
        made.add_row(*counts, *spent, f"{one.peak_mb:,}", f"{one.peak_mb / costs[0].peak_mb:.2f}")
    return made


def _cost(found: Mapping[str, Any], decisions: int, events: int) -> Cost:
    answer = found["answer"]
    estimate = answer["results"][0]["estimate"] if "results" in answer else answer["estimate"]
    return Cost(decisions, events, found["seconds"], found["cpu_seconds"], found["peak_mb"], estimate)


def main() -> None:
    """Make logs, measure them, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=float, nargs="*", default=[1e6, 1e7])
    parser.add_argument("--engine", default="duckdb")
    parser.add_argument("--what", nargs="*", choices=QUESTIONS, help="ask these of one log of each size; absent: lift")
    parser.add_argument("--keep", type=Path, help="make one log here, or take the one that is there")
    given = parser.parse_args()
    sizes = [int(one) for one in given.decisions]
    if given.keep:
        _make(given.keep, sizes[0])
        costs = [_said(given.keep, given.engine, what, sizes[0]) for what in given.what or ["lift"]]
    elif given.what:
        costs = []
        for decisions in sizes:
            with tempfile.TemporaryDirectory(prefix="liftgate-scale-") as aside:
                _make(Path(aside), decisions)
                costs += [_said(Path(aside), given.engine, what, decisions) for what in given.what]
    else:
        costs = [_print(given.engine, "lift", one) for one in measure(sizes, given.engine)]
    if len(costs) > 1 and not given.what:
        Console(width=140).print(table(costs))


def _make(directory: Path, decisions: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if not any(directory.iterdir()):
        write_log(directory, decisions, decisions // 5)
        write_replayed(directory, decisions)


def _said(directory: Path, engine: str, what: str, decisions: int) -> Cost:
    return _print(engine, what, _cost(measured(directory, engine, what), decisions, decisions // 5))


def _print(engine: str, what: str, one: Cost) -> Cost:
    spent = f"{one.seconds} s | {one.cpu_s} s | {one.peak_mb:,} MB"
    print(f"| {engine} | {what} | {one.decisions:,} | {one.events:,} | {spent} | {one.estimate} |", flush=True)
    return one


if __name__ == "__main__":
    main()
