"""One HTTP/2 connection with any number of unary calls in flight, a few microseconds each.

Requests are written without a header table and the peer is told to keep none, so a block of trailers that was read once
is known by its bytes from then on. Plaintext only.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from liftgate.load import frames
from liftgate.load.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEAD,
    HEADERS,
    PADDED,
    PING,
    RST,
    SETTINGS,
    WINDOW,
)
from liftgate.load.tally import Tally

_TOP_UP = 2**29
_MOST_KNOWN = 1000
_READ = 65536
_PROBE_S = 2.0


class ConnectionLost(Exception):
    """The connection ended, or the server broke HTTP/2; the message says how. Its calls in flight have no reply."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where calls go and how they begin."""

    family: int
    address: tuple[Any, ...]
    headers: bytes
    """`frames.request_headers`."""

    @classmethod
    def find(cls, host: str, port: int, headers: bytes) -> Peer:
        """Look the host up, once for all connections; of several addresses the first that takes a connection. Raises OSError."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for family, _, _, _, address in found[: len(found) if len(found) > 1 else 0]:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(_PROBE_S)
                if probe.connect_ex(address) == 0:
                    return cls(family, tuple(address), headers)
        return cls(found[0][0], tuple(found[0][4]), headers)


class Connection:
    """A connection that is being made or is there. Nothing blocks."""

    def __init__(self, peer: Peer, bodies: Iterator[bytes], tally: Tally, most_in_flight: int | None = None) -> None:
        """Begin to connect. Raises OSError."""
        self.tally = tally
        self.pending: deque[int] = deque()
        """Start of each request to be sent, ns; 0: it starts when it is sent."""
        self.in_flight: dict[int, tuple[int, int]] = {}
        """Stream to start and when it was written, ns."""
        self.leaving = False
        """The server takes no more calls on this connection; those in flight go on."""
        self.greeted = False
        """The server spoke HTTP/2."""
        self._bodies = bodies
        self._message: dict[int, bytes] = {}
        self._known: dict[bytes, str] = {}
        self._body = b""
        self._held = 0
        self._next_stream = 1
        self._window = self._stream_window = frames.FIRST_WINDOW
        self._limit = self._most = most_in_flight or 2**31
        self._unacknowledged = 0
        self._rest = b""
        self._block = peer.headers
        self._head = frames.frame(HEADERS, END_HEADERS, 0, peer.headers)[:5]
        self.out = frames.greeting()
        """Bytes that the socket did not take yet."""
        self.socket = socket.socket(peer.family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self.socket.connect_ex(peer.address)
        if code not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(code, errno.errorcode.get(code, "cannot connect"))

    def send(self) -> None:
        """Write what is pending and whatever is due besides. What flow control holds back follows later. Raises ConnectionLost."""
        if self.out:
            self._write(self.out)
        pending = self.pending
        if pending and not self.out and not self.leaving and self.greeted:
            parts: list[bytes] = []
            self._encode(parts, pending)
            if parts:
                self._write(b"".join(parts))
        self._held = len(pending)

    def _write(self, data: bytes) -> None:
        try:
            self.out = data[self.socket.send(data) :]
        except BlockingIOError:
            self.out = data
        except OSError as err:
            raise ConnectionLost(_words(err)) from None

    def _encode(self, parts: list[bytes], pending: deque[int]) -> None:
        in_flight, tally, head, block = self.in_flight, self.tally, self._head, self._block
        held, number = self._held, self._next_stream
        now = perf_counter_ns()
        while pending and len(in_flight) < self._most:
            body = self._body or next(self._bodies)
            size = len(body) + 5
            if size > self._stream_window:
                raise ConnectionLost(f"the server's windows hold {self._stream_window} bytes of a request, and one has {size}")
            if size > self._window:
                self._body = body
                break
            self._body = b""
            stream = number.to_bytes(4, "big")
            parts += (head, stream, block, size.to_bytes(3, "big"), b"\0\1", stream, b"\0", (size - 5).to_bytes(4, "big"), body)
            start = pending.popleft()
            if held:
                held -= 1
                tally.held += 1
            elif start:
                tally.lateness_ns.append(now - start)
            in_flight[number] = (start or now, now)
            number += 2
            self._window -= size
        self._next_stream = number

    def receive(self) -> int:
        """Read what is there; return how many calls ended, well or not. Raises ConnectionLost."""
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return 0
        except OSError as err:
            raise ConnectionLost(_words(err)) from None
        if not data:
            raise ConnectionLost("the server closed the connection")
        if not self.greeted:
            self._greet(data)
        if self._rest:
            data = self._rest + data
        at, end, ended, now = 0, len(data), 0, perf_counter_ns()
        unpack = frames.HEADER.unpack_from
        while end - at >= 9:
            high, low, kind, flags, stream = unpack(data, at)
            start = at + 9
            stop = start + (high << 16) + low
            if stop > end:
                break
            at = stop
            if kind == DATA:
                self._unacknowledged += stop - start
                if flags & PADDED:
                    start, stop = start + 1, stop - data[start]
                old = self._message.get(stream)
                self._message[stream] = data[start:stop] if old is None else old + data[start:stop]
                if flags & END_STREAM:
                    ended += self._end(stream, "no trailers", now)
            elif kind == HEADERS:
                if not flags & END_HEADERS:
                    raise ConnectionLost("the server continues headers in a second frame, which is not understood here")
                block = data[start:stop]
                said = self._known.get(block)
                if said is None:
                    said = self._read_headers(block)
                if flags & END_STREAM:
                    ended += self._end(stream, "no grpc-status" if said == HEAD else said, now)
                elif said != HEAD:
                    # Of a stream whose reply begins badly nothing more is wanted.
                    ended += self._end(stream, said, now)
            else:
                ended += self._control(kind, flags, stream, data[start:stop], now)
        self._rest = data[at:]
        if self._unacknowledged > _TOP_UP:
            self.out += frames.frame(WINDOW, 0, 0, self._unacknowledged.to_bytes(4, "big"))
            self._unacknowledged = 0
        return ended

    def _greet(self, data: bytes) -> None:
        if data[:2] == b"\x15\x03":
            raise ConnectionLost("the server speaks TLS, and `liftgate load` does not: point it at a plaintext port")
        if data[:5] == b"HTTP/":
            raise ConnectionLost("the server speaks HTTP/1, not gRPC")
        if len(data) < 9 or data[3] != SETTINGS:
            raise ConnectionLost("the server does not speak HTTP/2 in plaintext")
        self.greeted = True

    def _read_headers(self, block: bytes) -> str:
        try:
            said = frames.verdict(block)
        except (ValueError, IndexError) as err:
            raise ConnectionLost(f"reply headers cannot be read: {err}") from None
        if len(self._known) < _MOST_KNOWN:
            self._known[block] = said
        return said

    def _end(self, stream: int, said: str, now: int) -> int:
        message = self._message.pop(stream, b"")
        sent = self.in_flight.pop(stream, None)
        if sent is None:
            return 0
        self.tally.reply(said, message, sent[0], sent[1], now)
        return 1

    def _control(self, kind: int, flags: int, stream: int, payload: bytes, now: int) -> int:
        if kind == SETTINGS and not flags & ACK:
            for key, value in frames.settings(payload).items():
                if key == 3:
                    self._most = min(self._limit, value)
                elif key == 4:
                    self._stream_window = value
            self.out += frames.frame(SETTINGS, ACK, 0, b"")
        elif kind == PING and not flags & ACK:
            self.out += frames.frame(PING, ACK, 0, payload)
        elif kind == WINDOW and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == RST:
            return self._end(stream, f"reset by the server, HTTP/2 error {int.from_bytes(payload, 'big')}", now)
        elif kind == GOAWAY:
            return self._goodbye(payload, now)
        elif kind == CONTINUATION:
            raise ConnectionLost("the server continues headers in a second frame, which is not understood here")
        return 0

    def _goodbye(self, payload: bytes, now: int) -> int:
        self.leaving = True
        last, code = int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")
        if code:
            raise ConnectionLost(f"the server said goodbye, HTTP/2 error {code}: {payload[8:].decode('latin-1')[:80]}")
        return sum(self._end(stream, "refused by a server that goes away", now) for stream in list(self.in_flight) if stream > last)

    def abandon(self, cause: str) -> int:
        """Count the calls in flight as failed and hang up; return how many they were."""
        lost = len(self.in_flight)
        if lost:
            self.tally.fail(cause, lost)
        self.in_flight.clear()
        self.socket.close()
        return lost


def _words(error: OSError) -> str:
    return {errno.ECONNREFUSED: "connection refused", errno.ECONNRESET: "connection reset"}.get(
        error.errno or 0, error.strerror or str(error)
    ).lower()
