"""Loads a peer that does not speak the contract: JSON over HTTP/1.1, or the inference protocol with the model's rows. One line of JSON."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from array import array
from collections.abc import Callable, Iterator
from itertools import cycle
from time import perf_counter
from typing import Any

import numpy as np

from liftgate.load.closed_loop import ClosedLoop
from liftgate.load.connection import Peer
from liftgate.load.frames import request_headers
from liftgate.load.result import percentiles_ms, times
from liftgate.load.tally import Tally
from tests.bench import traffic
from tests.bench.cpu import cpu_s

from .http_loop import Counted, HttpLoop

_INFER = "/inference.GRPCInferenceService/ModelInfer"
_IDLE_CALLS_S = 3.0


def json_bodies() -> Iterator[bytes]:
    """Yield the bench's requests as JSON for ever, a fresh request_id each."""
    step = 0
    tails = [_tail(number) for number in range(traffic.PEOPLE)]
    while True:
        yield b'{"request_id":"peer-%d",%b' % (step, tails[traffic.person_number(step)])
        step += 1


def _tail(number: int) -> bytes:
    asked = traffic.request(number, "")
    context = {"channel": asked.context.channel, "device": asked.context.device, "locale": "de-DE", "time_zone": "Europe/Berlin"}
    whole = {"person_id": asked.person_id, "placement_id": asked.placement_id, "slot_count": 1, "context": context}
    return json.dumps(whole).encode()[1:]


def _field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return _varint(number << 3) + _varint(content)
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(found) + bytes([value])


def rows_bodies(width: int) -> Iterator[bytes]:
    """Yield one-row requests of the Open Inference Protocol (ModelInferRequest) for ever, 1,000 different rows."""
    dice = np.random.default_rng(7)
    tensor = _field(1, b"input") + _field(2, b"FP32") + _field(3, 1) + _field(3, width)
    head = _field(1, b"propensity") + _field(5, tensor)
    return cycle([head + _field(7, dice.random(width, dtype=np.float32).tobytes()) for _ in range(1000)])


class Scores(Tally):
    """Counts replies that hold as many bytes as one score an offer takes."""

    def reply(self, verdict: str, message: bytes, start_ns: int, sent_ns: int, now_ns: int) -> None:
        """Count a call that ended."""
        if verdict or len(message) < 5 + 4 * 19:
            return self.fail(verdict or "no scores")
        self.ok += 1
        self.start_ns.append(start_ns)
        self.latency_ns.append(now_ns - start_ns)
        self.wait_ns.append(sent_ns - start_ns)
        return None


def _result(ok: int, failed: dict[str, int], latency_ns: array[int], seconds: float) -> dict[str, Any]:
    found = percentiles_ms(times(latency_ns))
    return {"ok": ok, "failed": failed, "per_s": ok / seconds, "p50_ms": found.get("p50"), "p99_ms": found.get("p99")}


def main() -> None:
    """Run as `python -m tests.bench.peers.load http|rows --port P --watch PID`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("http", "rows"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--watch", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warm-up", type=float, default=1.5)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--width", type=int, default=0, help="rows: numbers in a row")
    args = parser.parse_args()
    gc.disable()
    run, close = (_http if args.kind == "http" else _rows)(args, args.in_flight)
    run(args.warm_up)
    before, start = cpu_s(args.watch), perf_counter()
    told = run(args.seconds)
    seconds, used = perf_counter() - start, cpu_s(args.watch) - before
    close()
    result = _result(told.ok, told.failed, told.latency_ns, seconds)
    result["cpu_us"] = used / max(1, told.ok) * 1e6
    result["offered_share"] = _offered(told.samples)
    run, close = (_http if args.kind == "http" else _rows)(args, 1)
    run(0.5)
    lone = run(_IDLE_CALLS_S)
    close()
    result["lone_p50_ms"] = percentiles_ms(times(lone.latency_ns)).get("p50")
    json.dump(result, sys.stdout)


def _offered(samples: list[bytes]) -> float | None:
    return sum(bool(json.loads(one)["slots"]) for one in samples) / len(samples) if samples else None


def _http(args: argparse.Namespace, in_flight: int) -> tuple[Callable[[float], Counted | Tally], Callable[[], object]]:
    loop = HttpLoop(args.port, "/decide", json_bodies(), in_flight)
    return loop.run, loop.close


def _rows(args: argparse.Namespace, in_flight: int) -> tuple[Callable[[float], Counted | Tally], Callable[[], object]]:
    to = Peer.find("127.0.0.1", args.port, request_headers(f"127.0.0.1:{args.port}", _INFER, None))
    loop = ClosedLoop(to, rows_bodies(args.width), min(4, in_flight), in_flight, Scores)
    return loop.run, loop.close


if __name__ == "__main__":
    main()
