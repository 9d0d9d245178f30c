"""A real loyalty programme's log, told to Liftgate event by event, and every member decided for: all of it held to a plain count.

    make loyalty STARBUCKS=../shared/data/starbucks

Starts a store and a service of its own on loopback and ends both. Exit codes: 0 every count is right, 1 something is not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "hillstrom"))  # its service.py starts and drains a server

from catalog import HOUR_MS, write_bundle, write_events, write_people  # noqa: E402
from picture import show  # noqa: E402
from programme import Programme, read  # noqa: E402
from proof import prove_events, said_by, same  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: E402
from service import Failed, serving  # noqa: E402
from verdicts import decide_all, prove_decisions  # noqa: E402

from liftgate.adapters.embedded_valkey import EmbeddedValkey  # noqa: E402
from liftgate.adapters.system import SystemClock  # noqa: E402
from liftgate.client import RequestRefused  # noqa: E402
from liftgate.domain.errors import BadInput  # noqa: E402

DEFAULT_OUT = Path(".liftgate/loyalty")


def main() -> int:
    """Run everything and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with portfolio.json.gz, profile.json.gz, transcript_partial.json.gz"
    )
    parser.add_argument("--out", type=Path, help=f"folder for bundle and log, new or empty (default: {DEFAULT_OUT}, emptied first)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = parser.parse_args()
    # Being told to stop ends the store and the service too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("loyalty: told to stop; the store and the service are stopped"))
    console = Console(stderr=arguments.json)
    try:
        result = run(arguments.data, _out(arguments.out), console)
    except (Failed, RequestRefused, BadInput, OSError, ValueError) as err:
        print(f"loyalty: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("loyalty: interrupted; the store and the service are stopped", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(result, indent=2))
    return 0


def run(data: Path, out: Path, console: Console) -> dict[str, Any]:
    """Do every step in order and return the result as plain data. Raises Failed at the first count that is not right."""
    began = monotonic()
    programme = read(data)
    bundle, log = write_bundle(programme, HERE / "bundle", out / "bundle"), out / "log"
    checked = said_by("bundle", "check", bundle)
    _step(console, f"1 The catalog: {len(programme.offers)} offers; {len(programme.members):,} members into a store")
    with EmbeddedValkey() as store:
        loaded = said_by("profiles", "load", write_people(programme, out / "people.jsonl"), "--bundle", bundle, "--redis", store.url)
        console.print(f"bundle {checked['digest'][:12]}, {loaded['stored']:,} members stored", highlight=False)
        arguments = ("--bundle", bundle, "--redis", store.url, "--log", log, "--transport", "native")
        # An import waits gladly: all of these processes share the machine's cores.
        budgets = ("--fetch-budget-ms", "5000", "--reserve-budget-ms", "5000", "--default-deadline-ms", "60000")
        with serving((*arguments, *budgets), out / "server.log") as target:
            _step(console, f"2 Tell it what happened: {len(programme.log):,} events, through the API")
            told_s = _tell(console, programme, target, out)
            _step(console, f"3 Decide for all {len(programme.members):,} members over gRPC")
            before = monotonic()
            with _progress(console, len(programme.members)) as advance:
                ids = asyncio.run(decide_all(target, programme, advance))
            decide_s = monotonic() - before
            console.print(
                f"{len(ids):,} decisions in {decide_s:.1f} s, {len(ids) / decide_s:,.0f} a second; none degraded", highlight=False
            )
    _step(console, "4 Prove it: the log, the funnel, the features, the rules")
    said_by("log", "verify", log)
    said_by("log", "seal", log)
    counted = prove_events(log, programme, out)
    decided = prove_decisions(log, programme, ids)
    result = {
        "offers": len(programme.offers),
        "members": len(programme.members),
        "members_by_context_alone": sum(not member.told for member in programme.members),
        "funnel": counted,
        "chosen": dict(decided.chosen.most_common()),
        "verdicts": dict(decided.reasons.most_common()),
        "features_equal": decided.features,
        "bundle_digest": checked["digest"],
        "log": str(log),
        "tell_s": round(told_s, 3),
        "decide_s": round(decide_s, 3),
        "total_s": round(monotonic() - began, 3),
    }
    show(console, programme, result)
    return result


def _tell(console: Console, programme: Programme, target: str, out: Path) -> float:
    """Import the log twice: the second time changes nothing. Return the seconds that the first took."""
    last_hour_ms = (SystemClock().now_ms() // HOUR_MS - 1) * HOUR_MS
    events, n = write_events(programme, last_hour_ms, out / "events.jsonl"), len(programme.log)
    taken = {"lines": n, "accepted": n, "late": 0, "revoked": 0, "uncounted": 0, "dropped_properties": 0, "bad": 0}
    began = monotonic()
    for known_before in (0, n):
        told = said_by("events", "import", events, "--target", target)
        same("the import", {name: told[name] for name in (*taken, "duplicates")}, taken | {"duplicates": known_before})
        if not known_before:
            took = monotonic() - began
            console.print(f"{n:,} accepted in {took:.1f} s; none late, none rejected, none revoked", highlight=False)
    console.print(f"and once more: {n:,} known before, nothing counted twice", highlight=False)
    return took


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("decisions", total=total)
        yield lambda n: progress.advance(task, n)


def _step(console: Console, text: str) -> None:
    console.rule(f"[bold]{text}", align="left")


def _out(given: Path | None) -> Path:
    """Return an empty folder. Raises Failed rather than empty one that somebody named."""
    if given is None:
        shutil.rmtree(DEFAULT_OUT, ignore_errors=True)
    out = (given or DEFAULT_OUT).absolute()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise Failed(f"{out} is not empty; name a new folder with --out")
    return out


if __name__ == "__main__":
    sys.exit(main())
