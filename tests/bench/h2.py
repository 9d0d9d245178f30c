"""A lean HTTP/2 client for gRPC unary calls: pre-encoded frames on plain sockets, every reply checked.

Header blocks are stateless literals, the peer is told to keep no header table, so a block of trailers that was read
once is known by its bytes from then on. A few microseconds a call; it speaks to well-behaved servers on loopback only.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from time import perf_counter_ns

from .hpack import decode

_FRAME = Struct(">BHBBI")
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _END_HEADERS, _PADDED, _ACK = 1, 4, 8, 1
_MAX_WINDOW = 2**31 - 1
_TOP_UP = 2**29
_SAMPLE_EVERY = 64


class ProtocolError(Exception):
    """The server broke HTTP/2 or gRPC, or closed the connection."""


@dataclass(slots=True)
class Tally:
    """What came back."""

    ok: int = 0
    """Replies with a message and grpc-status 0."""
    failed: dict[str, int] = field(default_factory=dict)
    """Other replies, by what was wrong."""
    latency_ns: list[int] = field(default_factory=list)
    """Of the good replies, from handing the request to the socket until its trailers were read."""
    samples: list[bytes] = field(default_factory=list)
    """Every 64th good reply's message, for decoding after the run."""


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _FRAME.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


class Connection:
    """One connection with any number of calls of one method in flight."""

    def __init__(self, port: int, path: str, bodies: Iterator[bytes], tally: Tally) -> None:
        self.tally = tally
        self.in_flight: dict[int, int] = {}
        """Stream to when it was sent, ns."""
        self._message: dict[int, bytes] = {}
        self._known: dict[bytes, str] = {}
        self._bodies = bodies
        self._held = b""
        self._next_stream = 1
        self._waiting = 0
        self._window = 65535
        self._stream_window = 65535
        self._most_streams = 2**31
        self._unacknowledged = 0
        self._rest = b""
        self._out = b""
        block = b"".join(
            _literal(name, value)
            for name, value in (
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                (":authority", f"127.0.0.1:{port}"),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("user-agent", "liftgate-bench"),
            )
        )
        self._head = _frame(_HEADERS, _END_HEADERS, 0, block)[:5]
        self._block = block
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings = b"".join(Struct(">HI").pack(*pair) for pair in ((1, 0), (2, 0), (4, _MAX_WINDOW)))
        grow = (_MAX_WINDOW - 65535).to_bytes(4, "big")
        self.socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW, 0, 0, grow))

    def send(self, count: int) -> None:
        """Send `count` more requests, and whatever is due besides, in one write. What flow control holds back follows later."""
        count += self._waiting
        now = perf_counter_ns()
        parts = [self._out]
        while count and len(self.in_flight) < self._most_streams:
            body = self._held or next(self._bodies)
            size = len(body) + 5
            if size > self._stream_window:
                raise ProtocolError("the request is larger than the server's stream window")
            if size > self._window:
                self._held = body
                break
            self._held = b""
            stream = self._next_stream.to_bytes(4, "big")
            parts += (
                self._head,
                stream,
                self._block,
                size.to_bytes(3, "big"),
                b"\0\1",
                stream,
                b"\0",
                (size - 5).to_bytes(4, "big"),
                body,
            )
            self.in_flight[self._next_stream] = now
            self._next_stream += 2
            self._window -= size
            count -= 1
        self._waiting = count
        out = b"".join(parts)
        if out:
            try:
                self._out = out[self.socket.send(out) :]
            except BlockingIOError:
                self._out = out

    def receive(self) -> int:
        """Read what is there; return how many calls ended, well or not. Raises ProtocolError."""
        data = self.socket.recv(65536)
        if not data:
            raise ProtocolError("the server closed the connection")
        if self._rest:
            data = self._rest + data
        at, end, ended, now = 0, len(data), 0, perf_counter_ns()
        unpack = _FRAME.unpack_from
        while end - at >= 9:
            high, low, kind, flags, stream = unpack(data, at)
            start = at + 9
            stop = start + (high << 16) + low
            if stop > end:
                break
            at = stop
            if kind == _DATA:
                self._unacknowledged += stop - start
                if flags & _PADDED:
                    raise ProtocolError("padded data")
                old = self._message.get(stream)
                self._message[stream] = data[start:stop] if old is None else old + data[start:stop]
                if flags & _END_STREAM:
                    ended += self._end(stream, "no trailers", now)
            elif kind == _HEADERS:
                if not flags & _END_HEADERS:
                    raise ProtocolError("continued headers")
                block = data[start:stop]
                verdict = self._known.get(block)
                if verdict is None:
                    verdict = self._known[block] = _verdict(block)
                if flags & _END_STREAM:
                    ended += self._end(stream, verdict, now)
                elif verdict != "head":
                    raise ProtocolError(f"reply headers: {verdict}")
            else:
                ended += self._control(kind, flags, stream, data[start:stop], now)
        self._rest = data[at:]
        if self._unacknowledged > _TOP_UP:
            self._out += _frame(_WINDOW, 0, 0, self._unacknowledged.to_bytes(4, "big"))
            self._unacknowledged = 0
        return ended

    def _end(self, stream: int, verdict: str, now: int) -> int:
        message = self._message.pop(stream, b"")
        sent = self.in_flight.pop(stream)
        if verdict == "" and (len(message) < 6 or message[0] or int.from_bytes(message[1:5], "big") != len(message) - 5):
            verdict = "no message"
        tally = self.tally
        if verdict:
            tally.failed[verdict] = tally.failed.get(verdict, 0) + 1
            return 1
        if tally.ok % _SAMPLE_EVERY == 0:
            tally.samples.append(message[5:])
        tally.ok += 1
        tally.latency_ns.append(now - sent)
        return 1

    def _control(self, kind: int, flags: int, stream: int, payload: bytes, now: int) -> int:
        if kind == _SETTINGS and not flags & _ACK:
            for key, value in Struct(">HI").iter_unpack(payload):
                if key == 3:
                    self._most_streams = value
                elif key == 4:
                    self._stream_window = value
            self._out += _frame(_SETTINGS, _ACK, 0, b"")
        elif kind == _PING and not flags & _ACK:
            self._out += _frame(_PING, _ACK, 0, payload)
        elif kind == _WINDOW and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == _RST and stream in self.in_flight:
            return self._end(stream, f"reset {int.from_bytes(payload, 'big')}", now)
        elif kind == _GOAWAY:
            raise ProtocolError(f"the server said goodbye: {payload[4:].hex()}")
        elif kind == _CONTINUATION:
            raise ProtocolError("continued headers")
        return 0

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def _verdict(block: bytes) -> str:
    """Return "head" for reply headers, "" for trailers that say OK, else what they say."""
    headers = decode(block)
    if headers.get(":status", "200") != "200":
        return f"http {headers[':status']}"
    status = headers.get("grpc-status")
    if status is None:
        return "head"
    return "" if status == "0" else f"grpc-status {status}: {headers.get('grpc-message', '')}"


class ClosedLoop:
    """Keeps a fixed number of calls in flight over several connections."""

    def __init__(self, port: int, path: str, bodies: Iterator[bytes], connections: int, in_flight: int) -> None:
        self._tally = Tally()
        self._connections = [Connection(port, path, bodies, self._tally) for _ in range(connections)]
        self._by_fd = {c.socket.fileno(): c for c in self._connections}
        self._poll = select.epoll()
        for fd, connection in self._by_fd.items():
            connection.socket.setblocking(False)
            self._poll.register(fd, select.EPOLLIN)
        for i, connection in enumerate(self._connections):
            connection.send(in_flight // connections + (i < in_flight % connections))

    def run(self, seconds: float) -> Tally:
        """Load the server for that long; return what came back in that time. Raises ProtocolError, also on 10 s of silence."""
        tally = self._tally = Tally()
        for connection in self._connections:
            connection.tally = tally
        until = perf_counter_ns() + int(seconds * 1e9)
        while perf_counter_ns() < until:
            self._turn(refill=True)
        return tally

    def close(self) -> Tally:
        """Wait for what is in flight, hang up, return the last replies."""
        tally = self._tally = Tally()
        for connection in self._connections:
            connection.tally = tally
        while any(connection.in_flight for connection in self._connections):
            self._turn(refill=False)
        for connection in self._connections:
            connection.close()
        self._poll.close()
        return tally

    def _turn(self, refill: bool) -> None:
        ready = self._poll.poll(10.0)
        if not ready:
            raise ProtocolError("no reply for 10 s")
        for fd, _ in ready:
            connection = self._by_fd[fd]
            ended = connection.receive()
            connection.send(ended if refill else 0)
