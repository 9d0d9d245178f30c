"""Half load for minutes, with all that may disturb: `python -m tests.bench.soak --minutes 10 --rate-share 0.5`

Meanwhile the bundle is reloaded, segments rotate (64 MiB each), sealed ones are turned into Parquet, metrics are scraped and Python
collects its garbage. It reports the longest pause and what was going on then, beside what the machine itself stood still (`canary`),
whether memory grows, and what reloading 500 offers under load adds to the worst call.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from liftgate.adapters.embedded_valkey import EmbeddedValkey

from . import contenders as c
from . import people, shop, soak_report
from .contenders import Place
from .cpu import machine
from .processes import Running, cores, free_ports, load, scratch, serving
from .report import show
from .results import FOLDER
from .soak_chores import Chores, Watching

WINDOW_MS = 100.0


def main() -> int:
    """Run both parts, print, keep. Returns 1 when an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the first part, 20 offers")
    parser.add_argument("--rate-share", type=float, default=0.5, help="of saturation, found first")
    parser.add_argument("--reload-minutes", type=float, default=5.0, help="of the second part, 500 offers reloaded every minute")
    args = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150)
    with tempfile.TemporaryDirectory(prefix="soak-", dir=scratch()) as name, EmbeddedValkey(tcp=True) as valkey:
        os.sched_setaffinity(valkey.pid, {cores()[1]})
        store = Running(valkey.port, valkey.pid)
        long = one_part(Path(name) / "20", store, 20, args.minutes * 60, args.rate_share, reload_s=30.0)
        reloads = one_part(Path(name) / "500", store, 500, args.reload_minutes * 60, args.rate_share, reload_s=60.0)
    facts = {"at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "machine": machine(), "minutes": args.minutes}
    text = show(console, soak_report.parts(facts, long, reloads))
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / time.strftime("soak-%Y%m%d-%H%M%S.json", time.gmtime())
    path.write_text(json.dumps({**facts, "long": long, "reloads": reloads}))
    path.with_suffix(".md").write_text(text)
    return 0 if not long["load"]["failed"] and not reloads["load"]["failed"] else 1


def one_part(folder: Path, store: Running, offers: int, seconds: float, share: float, reload_s: float) -> dict[str, Any]:
    """Serve one shop, find its saturation, load it at a share of that for so long; return all that was seen."""
    server_core, load_core = cores()
    shop.write(folder / str(offers), offers)
    people.restore(store.port, people.image(shop.compiled(folder / str(offers))))
    log, output = folder / "log", folder / "output"
    log.mkdir()
    place = Place(*free_ports(), store.port, folder, log)
    with serving(c.liftgate("native", offers, budgets=True).command(place), place.port, server_core, output) as server:
        _tell(f"{offers} offers: saturation")
        saturation = float(load(load_core, "closed", "--port", str(server.port), "--seconds", "5", "--warm-up", "2")["per_s"])
        rate = saturation * share
        _tell(f"{offers} offers: {rate:,.0f}/s, half of {saturation:,.0f}, for {seconds:.0f} s")
        chores = Chores(server, place, folder / str(offers) / shop.BUNDLE, output, load_core, reload_s)
        with Watching((server_core, load_core)) as canaries, chores:
            flags = (
                "--port",
                str(server.port),
                "--rate",
                f"{rate:.1f}",
                "--seconds",
                f"{seconds:.0f}",
                "--warm-up",
                "3",
                "--connections",
                "8",
                # What these take is no other's.
                *("--watch", f"server={server.pid}", "--watch", f"store={store.pid}"),
            )
            loaded = load(load_core, "open", *flags, "--window-ms", f"{WINDOW_MS:g}", tolerate=True, timeout_s=seconds + 120)
    return {
        "offers": offers,
        "window_ms": WINDOW_MS,
        "saturation_per_s": saturation,
        "load": loaded,
        "doings": chores.doings(),
        "memory": chores.memory,
        "machine_late": canaries.late,
        "problems": chores.problems,
    }


def _tell(what: str) -> None:
    print(time.strftime("%H:%M:%S ") + what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
