"""What measuring a large log costs: `liftgate measure lift --log` over a made-up log, its time and its peak memory.

    python -m tests.bench.log_scale [--decisions 1e6 1e7] [--engine spark] [--keep DIR]

Half as many people as decisions, one in ten held out; columns and their types are those of `record.proto`. The command runs in a
process of its own, and its peak is that process's alone (with Spark: and its virtual machine's).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from liftgate.measure import decision_table, experiment, quality
from liftgate.record.columnar import absent, schema
from liftgate.record.frame import Stream

START_MS = 1_767_225_600_000
DAY_MS = 86_400_000
CHUNK = 500_000
"""Rows of one file."""
OFFER = "winter-sale"


def write_log(directory: Path, decisions: int, events: int, seed: int = 1) -> None:
    """Write a log of sealed segments: decisions over 7 days, outcomes over 14."""
    rng, people = np.random.default_rng(seed), max(1, decisions // 2)
    made: tuple[tuple[Stream, int, tuple[str, ...], Callable[..., Mapping[str, Any]]], ...] = (
        (Stream.DECISION, decisions, (*experiment.DECISION_COLUMNS, *quality.DECISION_COLUMNS, *decision_table.DECISION_COLUMNS), _decided),
        (Stream.EVENT, events, (*experiment.EVENT_COLUMNS, *quality.EVENT_COLUMNS, *decision_table.EVENT_COLUMNS), _happened),
    )
    for writer, (stream, total, columns, make) in enumerate(made, start=1):
        full = schema(stream)
        wanted = pa.schema([full.field(name) for name in dict.fromkeys((*columns, "writer_id", "sequence"))])
        for first in range(0, total, CHUNK):
            numbers = np.arange(first, min(first + CHUNK, total))
            found = make(rng, numbers, rng.integers(0, people, len(numbers)).astype(np.uint64), wanted)
            found = {"writer_id": _one(f"{writer:032x}", len(numbers)), "sequence": pa.array(numbers), **found}
            arrays = [found[f.name].cast(f.type) if f.name in found else absent(f, len(numbers)).cast(f.type) for f in wanted]
            name = f"{stream.label}-{START_MS}-{writer:032x}-{first // CHUNK:06d}.parquet"
            pq.write_table(pa.Table.from_arrays(arrays, schema=wanted), directory / name, compression="zstd", row_group_size=100_000)


def _decided(rng: np.random.Generator, numbers: Any, people: Any, wanted: Any) -> Mapping[str, Any]:
    n, held = len(numbers), people % np.uint64(10) == 0
    kind = wanted.field("assignments").type
    there = {"layer": _one("universal", n), "arm": pa.array(np.where(held, "holdout", "treatment"))}
    parts = [(there[f.name] if f.name in there else pa.nulls(n)).cast(f.type) for f in kind.value_type]
    return {
        "decision_id": _ids(numbers),
        "decided_at_ms": pa.array(START_MS + rng.integers(0, 7 * DAY_MS, n)),
        "person_pseudonym": _pseudonyms(people),
        "pseudonym_key_id": _one("k1", n),
        "placement_id": _one("home", n),
        "bundle_digest": _one("d" * 64, n),
        "arm": pa.array(np.where(held, "HOLDOUT", "TREATMENT")).dictionary_encode(),
        "assignments": pa.ListArray.from_arrays(
            np.arange(n + 1, dtype=np.int32), pa.StructArray.from_arrays(parts, fields=list(kind.value_type))
        ),
        "branch": _one("EXPLOIT", n).dictionary_encode(),
        "fallback_reason": _one("UNSPECIFIED", n).dictionary_encode(),
        "offered": _some(~held),
        "would_offer": _some(held),
    }


def _happened(rng: np.random.Generator, numbers: Any, people: Any, wanted: Any) -> Mapping[str, Any]:
    n = len(numbers)
    at = pa.array(START_MS + rng.integers(0, 14 * DAY_MS, n))
    return {
        "event_id": _ids(numbers),
        "kind": pa.array(np.where(rng.random(n) < 0.3, "PURCHASE", "EXPOSURE")).dictionary_encode(),
        "person_pseudonym": _pseudonyms(people),
        "occurred_at_ms": at,
        "received_at_ms": at,
        "value": pa.array(rng.random(n) * 50),
    }


def _one(value: str, n: int) -> Any:
    return pa.array([value]).take(pa.array(np.zeros(n, dtype=np.int32)))


def _ids(numbers: Any) -> Any:
    """Return 32 hexadecimal digits a number, made of bytes, column by column."""
    places = (np.asarray(numbers, dtype=np.uint64)[:, None] >> np.arange(60, -4, -4, dtype=np.uint64)) & np.uint64(15)
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)[places.astype(np.intp)]
    text = np.concatenate([np.full((len(digits), 16), ord("0"), dtype=np.uint8), digits], axis=1)
    offsets = np.arange(0, 32 * len(text) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(text), pa.py_buffer(offsets.tobytes()), pa.py_buffer(np.ascontiguousarray(text).tobytes()))


def _some(there: Any) -> Any:
    """Return a list a row: of one offer, or of none."""
    offsets = np.concatenate([[0], np.cumsum(there)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, _one(OFFER, int(offsets[-1])))


def _pseudonyms(people: Any) -> Any:
    """Return 16 bytes a person."""
    both = np.stack([people * np.uint64(0x9E37_79B9_7F4A_7C15), people], axis=1)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(people), [None, pa.py_buffer(both.tobytes())]).cast(pa.binary())


def measured(directory: Path, engine: str) -> dict[str, Any]:
    """Run the command in a process of its own. Returns seconds, cpu_seconds, peak_mb, and its answer."""
    words = ["measure", "lift", "--log", str(directory), "--window", "7d", "--metric", "purchase", "--metric", "purchase_value"]
    command = [sys.executable, "-m", "liftgate.app.cli.main", *words, "--engine", engine, "--json"]
    started = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(_peak(pid) for pid in _family(process.pid)))
        time.sleep(0.05)
    seconds = time.monotonic() - started
    out = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"measure lift ended with {process.returncode}: {out[:500]!r}")
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
    estimate: float


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
    estimate = found["answer"]["results"][0]["estimate"]
    return Cost(decisions, events, found["seconds"], found["cpu_seconds"], found["peak_mb"], estimate)


def main() -> None:
    """Make logs, measure them, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=float, nargs="*", default=[1e6, 1e7])
    parser.add_argument("--engine", default="duckdb")
    parser.add_argument("--keep", type=Path, help="make one log here, or take the one that is there")
    given = parser.parse_args()
    sizes = [int(one) for one in given.decisions]
    if given.keep:
        if not given.keep.is_dir() or not any(given.keep.iterdir()):
            given.keep.mkdir(parents=True, exist_ok=True)
            write_log(given.keep, sizes[0], sizes[0] // 5)
        costs = [_cost(measured(given.keep, given.engine), sizes[0], sizes[0] // 5)]
    else:
        costs = measure(sizes, given.engine)
    for one in costs:
        spent = f"{one.seconds} s | {one.cpu_s} s | {one.peak_mb:,} MB"
        print(f"| {given.engine} | {one.decisions:,} | {one.events:,} | {spent} | {one.estimate:.6g} |")
    if len(costs) > 1:
        Console(width=140).print(table(costs))


if __name__ == "__main__":
    main()
