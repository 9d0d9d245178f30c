"""What 1,000 to a million decisions a second need, from unit costs measured in the same run: `python -m tests.bench.capacity`.

Nothing of this size is run. Costs a decision are measured at saturation with 64 in flight, memory by `liftgate doctor`, bytes of the log
before and after sealing. Everything is sized for half load, where percentiles are still short.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from liftgate.adapters.embedded_valkey import EmbeddedValkey

from . import contenders, people, shop
from .contenders import Place
from .cpu import machine
from .processes import ROOT, BenchError, cores, free_ports, load, scratch, serving
from .tables import Rows

RATES = (1_000, 10_000, 100_000, 1_000_000)
_LOAD = 0.5
"""Of saturation."""
_SHARD_GB = 25.0
"""Of people a store server, so that it can copy itself for a replica."""
_ANSWER_BYTES, _HORIZON_S = 465, 60
"""A remembered answer (docs/redis.md), and how long it is."""
_KEY_BYTES = 96
"""A person's key, by MEMORY USAGE."""
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Unit:
    """What one decision, or one person, costs."""

    decision_us: float
    store_us: float
    segment_bytes: float
    parquet_bytes: float
    person_bytes: float
    per_s: float
    """Decisions a second of one core."""


def measure(seconds: float) -> Unit:
    """Measure unit costs of the bench's shop: 20 offers, every kind of guardrail, log level write."""
    server_core, load_core = cores()
    with tempfile.TemporaryDirectory(prefix="capacity-", dir=scratch()) as name, EmbeddedValkey(tcp=True) as valkey:
        os.sched_setaffinity(valkey.pid, {load_core})
        folder, log = Path(name), Path(name) / "log"
        shop.write(folder / "20", 20)
        people.restore(valkey.port, people.image(shop.compiled(folder / "20")))
        log.mkdir()
        place = Place(*free_ports(), valkey.port, folder, log)
        with serving(contenders.NATIVE.command(place), place.port, server_core, folder / "output") as server:
            watch = ("--watch", f"server={server.pid}", "--watch", f"store={valkey.pid}")
            found = load(load_core, "closed", "--port", str(place.port), "--seconds", f"{seconds:g}", *watch)
        segments = _size(log, "decision-*.seg")
        _liftgate("log", "seal", str(log), "--json")
        parquet = _size(log, "decision-*.parquet")
        memory = _liftgate("doctor", "--bundle", str(folder / "20" / shop.BUNDLE), "--models", str(folder / "20" / shop.MODELS))["memory"]
    a_person = sum(one["measured_bytes"] for one in memory if "event" not in one["what"]) + _KEY_BYTES
    answered = found["answered"]
    return Unit(found["cpu_us"]["server"], found["cpu_us"]["store"], segments / answered, parquet / answered, a_person, found["per_s"])


def _size(folder: Path, names: str) -> int:
    total = sum(path.stat().st_size for path in folder.rglob(names))
    if not total:
        raise BenchError(f"no {names} in the log")
    return total


def _liftgate(*words: str) -> dict[str, Any]:
    command = [
        str(Path(sys.executable).with_name("liftgate")),
        *words,
        *(("--redis", "embedded", "--json") if words[0] == "doctor" else ()),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return dict(json.loads(said.stdout))
    except ValueError:
        raise BenchError(f"{' '.join(words[:2])}: {said.stdout}{said.stderr}") from None


def plan(unit: Unit, people_a_rate: float) -> list[list[str]]:
    """Return a row for each rate; `people_a_rate`: people stored for each decision a second."""
    rows = []
    for rate in RATES:
        workers = rate * unit.decision_us / 1e6 / _LOAD
        store_cores = rate * unit.store_us / 1e6 / _LOAD
        memory_gb = (rate * people_a_rate * unit.person_bytes + rate * _HORIZON_S * _ANSWER_BYTES) / 1e9
        shards = max(store_cores, memory_gb / _SHARD_GB)
        segments_gb, parquet_gb = (rate * _DAY_S * each / 1e9 for each in (unit.segment_bytes, unit.parquet_bytes))
        bound = "memory" if memory_gb / _SHARD_GB > store_cores else "CPU"
        rows.append(
            [
                f"{rate:,}",
                f"{_up(workers):,}",
                f"{_up(shards):,} ({bound})",
                f"{rate * people_a_rate / 1e6:,.0f} M",
                f"{memory_gb:,.1f}",
                f"{segments_gb:,.0f}",
                f"{parquet_gb:,.0f}",
                f"{rate * unit.segment_bytes / 1e6:,.0f}",
            ]
        )
    return rows


def _up(number: float) -> int:
    return max(1, int(-(-number // 1)))


def main() -> int:
    """Measure, compute, print, keep."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.capacity", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="of load (default: 6)")
    parser.add_argument("--people", type=float, default=1000.0, help="people stored for each decision a second (default: 1,000)")
    args = parser.parse_args()
    before, unit = os.getloadavg()[0], measure(args.seconds)
    heads = (
        *("decisions/s", "worker cores", "store servers", "people", "store GB", "segments GB/day", "Parquet GB/day"),
        "log MB/s",
    )
    title = (
        f"From {unit.decision_us:.0f} us CPU a decision, {unit.store_us:.0f} us of the store, {unit.segment_bytes:,.0f} B in a segment, "
        f"{unit.parquet_bytes:,.0f} B in Parquet, {unit.person_bytes:,.0f} B a person in the store; {_LOAD:.0%} load"
    )
    table = Rows(title, heads, plan(unit, args.people))
    Console(width=None if sys.stdout.isatty() else 150).print(table.rich())
    results = ROOT / "bench" / "results"
    results.mkdir(parents=True, exist_ok=True)
    facts = {
        "unit": asdict(unit),
        "machine": machine(),
        "load_average_before": before,
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
    (results / "capacity.json").write_text(json.dumps({**facts, "table": [list(heads), *table.rows]}, indent=1))
    (results / "capacity.md").write_text(table.markdown() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
