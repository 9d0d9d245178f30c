"""64,000 real customers, end to end: load them, decide for each over gRPC, prove the log, and value the policy.

    make hillstrom DATA=../shared/data/hillstrom.csv.gz

Starts a store and a service of its own on loopback and ends both. Exit codes: 0 every count is right, 1 something is not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from campaign import OFFERS, Campaign, read
from decisions import Logged, decide_all, read_back
from policy_value import Refused
from report import as_json, show, value
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from service import Failed, liftgate, serving

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.client import RequestRefused
from liftgate.domain.errors import BadInput

HERE = Path(__file__).resolve().parent
BUNDLE, MODELS, MAPPING = HERE / "bundle", HERE.parents[1] / "models", HERE / "mapping.yaml"
DEFAULT_OUT = Path(".liftgate/hillstrom")


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of the service."""

    ids: list[str]
    decide_s: float


def main() -> int:
    """Run everything and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="hillstrom.csv or hillstrom.csv.gz")
    parser.add_argument("--out", type=Path, help=f"folder for the log, new or empty (default: {DEFAULT_OUT}, emptied first)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = parser.parse_args()
    # Being told to stop ends the store and the service too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("hillstrom: told to stop; the store and the service are stopped"))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # in step with the commands that it runs
    console = Console(stderr=arguments.json)
    try:
        result = run(arguments.data, _out(arguments.out), console)
    except (Failed, Refused, RequestRefused, BadInput, OSError, ValueError) as err:
        print(f"hillstrom: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hillstrom: interrupted; the store and the service are stopped", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(result, indent=2))
    return 0


def run(data: Path, out: Path, console: Console) -> dict[str, Any]:
    """Do every step in order and return the result as plain data. Raises Failed at the first that is not right."""
    began = monotonic()
    campaign = read(data)
    customers = len(campaign.rows)
    log = out / "log"
    _step(console, f"1 Load {customers:,} customers into a store")
    with EmbeddedValkey() as store:
        liftgate("profiles", "load", data, "--bundle", BUNDLE, "--models", MODELS, "--mapping", MAPPING, "--redis", store.url)
        _step(console, "2 Decide for each of them over gRPC")
        ran = _decide(store.url, log, out / "server.log", customers, console)
    _step(console, "3 Prove the log, seal it to Parquet, and decide all of it again")
    liftgate("log", "verify", log)
    liftgate("log", "seal", log)
    liftgate("replay", "--log", log, "--models", MODELS)
    logged = read_back(log, ran.ids)
    console.print(f"{customers:,} decisions in {logged.files} Parquet file(s), {logged.bytes / 1e6:.1f} MB, each customer exactly once")
    _step(console, "4 What was it worth?")
    values = value(campaign, logged.probability)
    _shares(console, campaign, logged)
    show(console, values)
    took = monotonic() - began
    console.print(f"The log lies in {log}. All of it took {took:.0f} s, the decisions {ran.decide_s:.1f} s.", highlight=False)
    return {
        "customers": customers,
        "untouched_half": int((~campaign.trained_on).sum()),
        "bundle_digest": logged.bundle_digest,
        "chosen": {offer: int((logged.chosen == k).sum()) for k, offer in enumerate(OFFERS)},
        "values": as_json(values),
        "log": str(log),
        "decide_s": round(ran.decide_s, 3),
        "total_s": round(took, 3),
    }


def _decide(store: str, log: Path, said: Path, customers: int, console: Console) -> Ran:
    # A campaign waits gladly: all of these processes share the machine's cores, and no customer is to get a fallback for that.
    budgets = ("--fetch-budget-ms", "5000", "--reserve-budget-ms", "5000", "--default-deadline-ms", "60000")
    arguments = ("--bundle", BUNDLE, "--models", MODELS, "--redis", store, "--log", log, "--transport", "native", *budgets)
    # A public file without people's names: one key, so that draws are the same in every run.
    arguments = (*arguments, "--pseudonyms", "keyed", "--pseudonym-key", "a key for a public file")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with serving(arguments, said) as target, Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("decisions", total=customers)
        began = monotonic()
        ids = asyncio.run(decide_all(target, customers, lambda n: progress.advance(task, n)))
        took = monotonic() - began
    console.print(f"{customers:,} decisions in {took:.1f} s, {customers / took:,.0f} a second; none degraded", highlight=False)
    return Ran(ids, took)


def _shares(console: Console, campaign: Campaign, logged: Logged) -> None:
    n = len(campaign.sent)
    for what, column in (("the campaign sent, at random", campaign.sent), ("the policy chose", logged.chosen)):
        shares = ", ".join(f"{offer} {(column == k).sum() / n:.1%}" for k, offer in enumerate(OFFERS))
        console.print(f"{what}: {shares}", highlight=False)


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
