"""Header blocks of replies are read, and those that cannot be are refused."""

from __future__ import annotations

import pytest

from liftgate.load.frames import HEAD, request_headers, verdict
from liftgate.load.hpack import decode, huffman


def test_header_blocks_are_read_and_those_that_need_history_refused() -> None:
    """Huffman strings of RFC 7541 appendix C decode; an index into a dynamic table is an error."""
    assert huffman(bytes.fromhex("f1e3c2e5f23a6ba0ab90f4ff")) == "www.example.com"
    assert huffman(bytes.fromhex("aec3771a4b")) == "private"
    assert decode(b"\x88\x00\x0bgrpc-status\x010") == {":status": "200", "grpc-status": "0"}
    with pytest.raises(ValueError, match="dynamic"):
        decode(b"\xbe")


def test_what_trailers_say_is_told_apart() -> None:
    """Reply headers, status 0, another status, and a proxy's HTTP error each have words of their own."""
    assert verdict(b"\x88") == HEAD
    assert verdict(b"\x00\x0bgrpc-status\x010") == ""
    assert verdict(b"\x00\x0bgrpc-status\x0214\x00\x0cgrpc-message\x04away") == "grpc-status 14: away"
    assert verdict(b"\x00\x0bgrpc-status\x0214\x00\x0cgrpc-message\x0dfar%20away%21") == "grpc-status 14: far away!"
    assert verdict(b"\x08\x03502") == "http 502"


def test_requests_carry_the_deadline() -> None:
    """A deadline is sent as grpc-timeout, in us below 10 s and in ms above; none is sent where none is wanted."""
    assert decode(request_headers("h:1", "/s/M", 50))["grpc-timeout"] == "50000u"
    assert decode(request_headers("h:1", "/s/M", 20_000))["grpc-timeout"] == "20000m"
    assert "grpc-timeout" not in decode(request_headers("h:1", "/s/M"))
    with pytest.raises(ValueError, match="at most 126 bytes"):
        request_headers("h:1", "/" + "s" * 200)
