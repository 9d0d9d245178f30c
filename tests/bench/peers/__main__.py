"""`python -m tests.bench.peers`: Liftgate beside what else one would serve this decision with, each in its own environment, in one run."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from tests.bench import contenders, people, shop
from tests.bench.contenders import Place
from tests.bench.cpu import machine
from tests.bench.processes import ROOT, BenchError, cores, free_ports, load, pinned, scratch, serving
from tests.bench.tables import Rows

from .same import same_answers, warm

ENVIRONMENTS = ROOT / ".venv-peers"
ENVIRONMENT = {
    # Peers have the repository's code on their path, and not its packages.
    "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
    # ONNX Runtime, whoever loads it, sends its maker nothing.
    "ORT_DISABLE_TELEMETRY": "1",
}
"""What every peer's processes are told, whatever this one was."""
_OFFERS = 20


@dataclass(slots=True)
class Peer:
    """One server, how it is loaded, and what it leaves out."""

    name: str
    label: str
    command: Callable[[Place], list[str]]
    kind: str
    """grpc: the contract; http: it in JSON; rows: the model alone."""
    lacks: str
    packages: tuple[str, ...] = ()
    rounds: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return ENVIRONMENTS / self.name / "bin" / "python" if self.packages else Path(sys.executable)


def _decider(name: str, module: str) -> Callable[[Place], list[str]]:
    return lambda place: [
        *(str(ENVIRONMENTS / name / "bin" / "python"), "-m", f"tests.bench.peers.{module}", "--port", str(place.port)),
        *("--shop", str(place.shops / str(_OFFERS)), "--redis-port", str(place.redis_port), "--log", str(place.log / "decisions.jsonl")),
    ]


def _scorer(place: Place) -> list[str]:
    (model,) = (place.shops / str(_OFFERS) / shop.MODELS).rglob("model.onnx")
    python = str(ENVIRONMENTS / "mlserver" / "bin" / "python")
    return [
        python,
        "-m",
        "tests.bench.peers.mlserver_runtime",
        *("--port", str(place.port), "--model", str(model)),
        "--folder",
        str(place.log),
    ]


_NONE_OF = "no batching, request_id, durable or gap-free log, atomic caps, metrics, traces, explanation"
PEERS = (
    Peer("liftgate", "Liftgate, native transport", contenders.NATIVE.command, "grpc", "does all of it"),
    Peer("plain", "grpc.aio, redis-py, onnxruntime (N0)", contenders.N0.command, "grpc", _NONE_OF),
    Peer(
        "fastapi",
        "FastAPI on uvicorn, redis-py, onnxruntime",
        _decider("fastapi", "fastapi_server"),
        "http",
        _NONE_OF,
        ("fastapi", "uvicorn", "httptools", "uvloop", "pydantic"),
    ),
    Peer(
        "bentoml",
        "BentoML, one worker, redis-py, onnxruntime",
        _decider("bentoml", "bentoml_service"),
        "http",
        _NONE_OF,
        ("bentoml", "uvicorn", "starlette", "pydantic"),
    ),
    Peer(
        "mlserver",
        "MLServer, gRPC, the model alone",
        _scorer,
        "rows",
        "no store, features, rules, choice, record: numbers in, scores out; it batches",
        ("mlserver", "grpcio", "onnxruntime"),
    ),
)


def main() -> int:
    """Measure every peer that is installed, interleaved, and print one table. Returns 1 when answers differ or none is installed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each server (default: 3)")
    parser.add_argument("--seconds", type=float, default=4.0, help="measured seconds of each round (default: 4)")
    parser.add_argument("--only", metavar="TEXT", help="peers whose name contains TEXT, beside Liftgate")
    args = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    os.environ.update(ENVIRONMENT)
    if args.only and not any(args.only in one.name for one in PEERS):
        parser.error(f"--only: no peer is called like that; there are {', '.join(one.name for one in PEERS)}")
    wanted = [one for one in PEERS if one.name == "liftgate" or not args.only or args.only in one.name]
    for one in wanted:
        if not one.python.exists():
            one.failure = "not installed: make bench-peers"
    try:
        facts = _run([one for one in wanted if not one.failure], args, console)
    except BenchError as error:
        console.print(f"[bold red]nothing to print:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    facts |= {"versions": {one.name: _versions(one) for one in wanted if one.packages and not one.failure}}
    text = _table(wanted, facts)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    results = ROOT / "bench" / "results"
    results.mkdir(parents=True, exist_ok=True)
    whole = {**facts, "peers": {one.name: {"label": one.label, "rounds": one.rounds, "failure": one.failure} for one in wanted}}
    (results / "peers.json").write_text(json.dumps(whole, indent=1))
    (results / "peers.md").write_text(text)
    return 0


def _run(wanted: list[Peer], args: argparse.Namespace, console: Console) -> dict[str, Any]:
    server_core, load_core = cores()
    before = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="peers-", dir=scratch()) as name,
        EmbeddedValkey(tcp=True) as valkey,
        console.status("") as told,
    ):
        os.sched_setaffinity(valkey.pid, {load_core})
        folder = Path(name)
        shop.write(folder / "shops" / str(_OFFERS), _OFFERS)
        bundle = shop.compiled(folder / "shops" / str(_OFFERS))
        stored = people.image(bundle)

        def place(label: str) -> Place:
            people.restore(valkey.port, stored)
            log = Path(tempfile.mkdtemp(prefix="log-", dir=folder))
            told.update(label)
            return Place(*free_ports(), valkey.port, folder / "shops", log)

        compared = same_answers([one for one in wanted if one.kind != "rows" and one.name != "liftgate"], place, server_core)
        for number in range(args.rounds):
            for one in wanted:
                where = place(f"round {number + 1} of {args.rounds}: {one.label}")
                try:
                    with serving(one.command(where), where.port, server_core, folder / f"{one.name}.out") as server:
                        one.rounds.append(_round(one, server.port, server.pid, load_core, args.seconds, len(bundle.models[0].inputs)))
                except (BenchError, subprocess.SubprocessError, OSError) as error:
                    one.failure = str(error)[-600:]
    return {
        "machine": machine(),
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "load_average_before": before,
        "same_answers": compared,
        "offers": _OFFERS,
    }


def _round(one: Peer, port: int, pid: int, core: int, seconds: float, width: int) -> dict[str, Any]:
    if one.kind == "grpc":
        found = load(core, "closed", "--port", str(port), "--seconds", str(seconds), "--watch", f"server={pid}")
        lone = load(core, "idle", "--port", str(port), "--calls", "1000", "--pause-ms", "0")
        return {**found, "cpu_us": found["cpu_us"]["server"], "lone_p50_ms": lone["p50_ms"]}
    if one.kind == "http":
        warm(port)
    flags = [one.kind, "--port", str(port), "--seconds", str(seconds), "--watch", str(pid), "--width", str(width)]
    command = pinned(core, [sys.executable, "-m", "tests.bench.peers.load", *flags])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise BenchError(f"the load generator failed:\n{done.stderr[-1500:]}")
    found = json.loads(done.stdout)
    if not found["ok"] or found["failed"]:
        raise BenchError(f"wrong answers: {found['ok']} good, others {found['failed']}")
    return dict(found)


def _versions(one: Peer) -> str:
    code = "import sys; from importlib.metadata import version; print(', '.join(f'{n} {version(n)}' for n in sys.argv[1:]))"
    return subprocess.run([str(one.python), "-c", code, *one.packages], capture_output=True, text=True, check=True).stdout.strip()


def _table(wanted: list[Peer], facts: dict[str, Any]) -> str:
    def mid(one: Peer, key: str) -> float:
        return float(median(each[key] for each in one.rounds))

    base = mid(wanted[0], "cpu_us")
    rows = []
    for one in wanted:
        if not one.rounds:
            rows.append([one.label, *[""] * 6, one.failure.splitlines()[-1] if one.failure else "no round"])
            continue
        offered = one.rounds[-1].get("offered_share")
        figures = [mid(one, "cpu_us"), mid(one, "cpu_us") / base]
        figures += [mid(one, key) for key in ("per_s", "p50_ms", "p99_ms", "lone_p50_ms")]
        shown = [f"{figures[0]:,.0f}", f"{figures[1]:.2f}", f"{figures[2]:,.0f}", *[f"{figure:.2f}" for figure in figures[3:]]]
        rows.append([one.label, *shown, one.lacks + (f" (offers {offered:.0%})" if offered is not None else "")])
    heads = ("", "CPU us/request", "x Liftgate", "requests/s", "p50 ms", "p99 ms", "lone call p50 ms", "what it leaves out")
    title = f"{facts['offers']} offers, one core for the server, 64 in flight, {len(wanted[0].rounds)} rounds, medians; {facts['at']}"
    words = [Rows(title, heads, rows).markdown(), "", f"Machine: {', '.join(f'{k} {v}' for k, v in facts['machine'].items())}"]
    words += [f"Load average before: {facts['load_average_before']:.1f}. {facts['same_answers']}"]
    words += [f"{name}: {versions}" for name, versions in facts["versions"].items()]
    return "\n".join(words) + "\n"


if __name__ == "__main__":
    sys.exit(main())
