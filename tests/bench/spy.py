"""Where a server's CPU goes, seen from outside: py-spy beside `liftgate serve` under load. `python -m tests.bench.spy --py-spy PATH`

All threads, those of the transport, the log and ONNX among them, with frames in C where they can be named. `stages --flame` sees this
worker's own thread only, by CPU time and without a wire.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from liftgate.adapters.embedded_valkey import EmbeddedValkey

from . import contenders as c
from . import people, shop
from .contenders import Place
from .processes import BenchError, cores, free_ports, load, pinned, scratch, serving

_RATE = "400"
_SETTLE_S, _SECONDS = 2, 8


def main() -> None:
    """Write one flame graph for each number of requests in flight."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.spy", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--py-spy", default="py-spy", metavar="PATH")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--out", type=Path, default=Path("bench/results/profile"), metavar="DIR")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    server_core, load_core = cores()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch()) as name, EmbeddedValkey(tcp=True) as valkey:
        os.sched_setaffinity(valkey.pid, {load_core})
        folder = Path(name)
        shop.write(folder / "20", 20)
        people.restore(valkey.port, people.image(shop.compiled(folder / "20")))
        (folder / "log").mkdir()
        place = Place(*free_ports(), valkey.port, folder, folder / "log")
        with serving(c.liftgate("native", 20).command(place), place.port, server_core, folder / "out") as server:
            for in_flight in args.in_flight:
                graph = args.out / f"py-spy-{in_flight}.svg"
                command = [args.py_spy, "record", "--pid", str(server.pid), "--duration", str(_SECONDS), "--rate", _RATE]
                command += ["--native", "--format", "flamegraph", "--output", str(graph)]
                spy = subprocess.Popen(
                    # It begins when the server is warm.
                    ["sh", "-c", f'sleep {_SETTLE_S}; exec "$@"', "sh", *pinned(load_core, command)],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                flags = ("--in-flight", str(in_flight), "--connections", str(min(4, in_flight)), "--warm-up", "1")
                result = load(load_core, "closed", "--port", str(server.port), "--seconds", str(_SETTLE_S + _SECONDS + 1), *flags)
                said = spy.communicate(timeout=120)[0]
                if spy.returncode or not graph.exists():
                    raise BenchError(
                        f"py-spy ended with {spy.returncode}; it has to be allowed to look into other processes:\n{said[-800:]}"
                    )
                print(f"{in_flight} in flight, {result['per_s']:,.0f} decisions/s: {graph}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (BenchError, FileNotFoundError) as error:
        sys.exit(f"no flame graph by py-spy: {error}")
