"""What is asked: encoded `DecideRequest`s of many people in turn, a fresh request_id for each call."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from math import gcd
from pathlib import Path

from google.protobuf.json_format import Parse, ParseError

from liftgate.load.frames import LARGEST_BODY
from liftgate.v1 import decision_pb2

DECIDE = "/liftgate.v1.DecisionService/Decide"
_ID_BYTES = 24
_ABOUT_GOLDEN = 0.618
MOST_PEOPLE = 2_000_000
"""That are numbered: some 70 bytes and 4 us each, before the first request."""


def template(placement: str, channel: str = "", dry_run: bool = False) -> decision_pb2.DecideRequest:
    """Return what requests have that say nothing else."""
    found = decision_pb2.DecideRequest(placement_id=placement, dry_run=dry_run)
    if channel:
        found.context.channel = channel
    return found


def numbered(count: int, base: decision_pb2.DecideRequest) -> list[bytes]:
    """Return an encoded request for each of person-000000, person-000001 and so on, who need not exist.

    Raises ValueError for 0 and for more than `MOST_PEOPLE`.
    """
    if not 0 < count <= MOST_PEOPLE:
        raise ValueError(f"--people: wants a file, or how many people, 1 to {MOST_PEOPLE:,}")
    return [encoded(decision_pb2.DecideRequest(person_id=f"person-{number:06d}"), base, "--people") for number in range(count)]


def people(path: Path, base: decision_pb2.DecideRequest) -> list[bytes]:
    """Return one encoded request a line of the file, without request_id.

    A line is a person's id, or a `DecideRequest` in JSON; what it leaves out is taken from `base`. Raises ValueError, naming the
    line or the file, and OSError.
    """
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ValueError(f"--people {path}: no such file, and no whole number of people") from None
    except UnicodeDecodeError as err:
        raise ValueError(f"{path}: is no text in UTF-8 (byte {err.start})") from None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        request = decision_pb2.DecideRequest(person_id="" if text[0] == "{" else text)
        if text[0] == "{":
            try:
                Parse(text, request)
            except ParseError as err:
                raise ValueError(f"{path}:{number}: not a DecideRequest in JSON: {err}") from None
        found.append(encoded(request, base, f"{path}:{number}"))
    if not found:
        raise ValueError(f"{path}: holds nobody; write one person's id a line, or one DecideRequest in JSON a line")
    return found


def encoded(request: decision_pb2.DecideRequest, base: decision_pb2.DecideRequest, where: str) -> bytes:
    """Return a request as it goes over the wire, less its request_id. Raises ValueError without a person or when it is too large."""
    if not request.person_id:
        raise ValueError(f"{where}: names no person (person_id)")
    whole = decision_pb2.DecideRequest()
    whole.CopyFrom(base)
    whole.MergeFrom(request)
    whole.ClearField("request_id")
    body = whole.SerializeToString()
    if len(body) + _ID_BYTES + 2 > LARGEST_BODY:
        raise ValueError(f"{where}: the request takes {len(body)} bytes; at most {LARGEST_BODY - _ID_BYTES - 2} fit one frame")
    return body


def bodies(tails: Sequence[bytes]) -> Iterator[bytes]:
    """Yield encoded requests for ever, everybody once a round, neighbours far apart; no request_id comes twice, here or elsewhere."""
    # request_id is field 1 and comes first on the wire, so the rest of a person's request is encoded once.
    count = len(tails)
    stride = max(1, int(count * _ABOUT_GOLDEN))
    while gcd(stride, count) != 1:
        stride += 1
    turn = [tails[step * stride % count] for step in range(count)]
    head = b"\n" + bytes([_ID_BYTES]) + os.urandom(6).hex().encode()
    step = 0
    while True:
        for tail in turn:
            yield head + b"%012x" % step + tail
            step += 1
