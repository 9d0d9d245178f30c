"""The floor under an idle server's latency: one hundred bytes there and back over loopback between two cores."""

from __future__ import annotations

import os
import socket
import time


def echo_round_trip(server_core: int, load_core: int, calls: int, pause_ms: float) -> dict[str, float]:
    """Return p50 and p99 in ms of echoes with a pause in between. Forks a child that ends with its connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        try:
            os.sched_setaffinity(0, {server_core})
            link, _ = listener.accept()
            while data := link.recv(4096):
                link.sendall(data)
        finally:
            os._exit(0)
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {load_core})
    took = []
    with socket.create_connection(listener.getsockname()) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(calls):
            start = time.perf_counter()
            link.sendall(b"x" * 100)
            link.recv(4096)
            took.append((time.perf_counter() - start) * 1e3)
            if pause_ms:
                time.sleep(pause_ms / 1e3)
    listener.close()
    os.waitpid(child, 0)
    os.sched_setaffinity(0, usual)
    took.sort()
    return {"p50_ms": took[calls // 2], "p99_ms": took[calls * 99 // 100]}
