"""As much HTTP/2 as a client of unary gRPC calls writes and reads (RFC 9113)."""

from __future__ import annotations

from struct import Struct
from urllib.parse import unquote

from liftgate.load.hpack import decode

HEADER = Struct(">BHBBI")
"""Length's high byte, length's low two, kind, flags, stream."""
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, PADDED, ACK = 1, 4, 8, 1
MAX_WINDOW = 2**31 - 1
FIRST_WINDOW = 65535
LARGEST_BODY = 16384 - 5
"""Of a request, bytes: it has to fit one frame of the size that every server takes."""
_SETTING = Struct(">HI")
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one frame."""
    return HEADER.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def greeting() -> bytes:
    """Return what a client says first: no header table, no push, windows as large as there are."""
    settings = b"".join(_SETTING.pack(*pair) for pair in ((1, 0), (2, 0), (4, MAX_WINDOW)))
    grow = (MAX_WINDOW - FIRST_WINDOW).to_bytes(4, "big")
    return _PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW, 0, 0, grow)


def settings(payload: bytes) -> dict[int, int]:
    """Return a SETTINGS frame's values by their number."""
    return dict(_SETTING.iter_unpack(payload))


def request_headers(authority: str, path: str, deadline_ms: float | None = None) -> bytes:
    """Return the header block of every request, written without a header table. Raises ValueError on headers beyond 126 bytes."""
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "liftgate-load"),
    ]
    if deadline_ms is not None:
        headers.append(("grpc-timeout", f"{max(1, round(deadline_ms * 1000))}u" if deadline_ms < 10_000 else f"{round(deadline_ms)}m"))
    return b"".join(_literal(name, value) for name, value in headers)


def _literal(name: str, value: str) -> bytes:
    return b"\0" + _string(name) + _string(value)


def _string(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 126:
        raise ValueError(f"a header of at most 126 bytes is wanted, not {text[:40]!r}...")
    return bytes([len(raw)]) + raw


def verdict(block: bytes) -> str:
    """Return `HEAD` for reply headers, "" for trailers that say OK, else what they say. Raises ValueError where a table is needed."""
    headers = decode(block)
    if headers.get(":status", "200") != "200":
        return f"http {headers[':status']}"
    status = headers.get("grpc-status")
    if status is None:
        return HEAD
    # Percent-encoded on the wire, as gRPC has it.
    return "" if status == "0" else f"grpc-status {status}: {unquote(headers.get('grpc-message', ''))}"


HEAD = "head"
"""What `verdict` says of the headers of a reply that goes on."""
