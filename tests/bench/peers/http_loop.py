"""A closed loop over HTTP/1.1: as many connections as requests in flight, kept open, pre-encoded requests on plain sockets."""

from __future__ import annotations

import json
import selectors
import socket
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter_ns

_SAMPLE_EVERY = 64
_SILENCE_S = 10.0


@dataclass(slots=True)
class Counted:
    """What came back in one run."""

    ok: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    latency_ns: array[int] = field(default_factory=lambda: array("q"))
    samples: list[bytes] = field(default_factory=list)


class _Connection:
    __slots__ = ("buffer", "sent_ns", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_SILENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.sent_ns = b"", 0

    def reply(self) -> tuple[bytes, bytes] | None:
        """Read what is there; return status line and body when they are whole. Raises ConnectionError when the server hung up."""
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the server hung up")
        self.buffer += piece
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
        if length is None:
            raise ConnectionError("a reply without content-length")
        if len(body) < length:
            return None
        self.buffer = b""
        return lines[0], body


class HttpLoop:
    """Sends the next request when a reply has come. Only replies with status 200 that are JSON with a reason count."""

    def __init__(self, port: int, path: str, bodies: Iterator[bytes], in_flight: int) -> None:
        """Connect. Raises OSError."""
        self._head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\ncontent-length: ".encode()
        self._bodies, self._selector = bodies, selectors.DefaultSelector()
        self._connections = [_Connection(port) for _ in range(in_flight)]
        for one in self._connections:
            self._selector.register(one.socket, selectors.EVENT_READ, one)
        self._flying = 0

    def run(self, seconds: float) -> Counted:
        """Load the server for that long and wait for the last replies. Raises ConnectionError after 10 s of silence."""
        counted, until = Counted(), perf_counter_ns() + int(seconds * 1e9)
        for one in self._connections:
            self._send(one)
        while self._flying:
            ready = self._selector.select(_SILENCE_S)
            if not ready:
                raise ConnectionError("no reply for 10 s")
            for key, _ in ready:
                held: _Connection = key.data
                reply = held.reply()
                if reply is None:
                    continue
                self._flying -= 1
                self._count(counted, *reply, perf_counter_ns() - held.sent_ns)
                if perf_counter_ns() < until:
                    self._send(held)
        return counted

    def close(self) -> None:
        """Hang up."""
        for one in self._connections:
            one.socket.close()

    def _send(self, one: _Connection) -> None:
        body = next(self._bodies)
        one.sent_ns = perf_counter_ns()
        one.socket.sendall(self._head + b"%d\r\n\r\n%b" % (len(body), body))
        self._flying += 1

    @staticmethod
    def _count(counted: Counted, status: bytes, body: bytes, took_ns: int) -> None:
        if b" 200" not in status:
            counted.failed[status.decode()] = counted.failed.get(status.decode(), 0) + 1
            return
        if counted.ok % _SAMPLE_EVERY == 0:
            if not json.loads(body).get("reason"):
                counted.failed["no reason"] = counted.failed.get("no reason", 0) + 1
                return
            counted.samples.append(body)
        counted.ok += 1
        counted.latency_ns.append(took_ns)
