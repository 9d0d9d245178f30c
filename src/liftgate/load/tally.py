"""What came back from a server under load, counted reply by reply."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from liftgate.v1 import decision_pb2

_SAMPLE_EVERY = 64
_MOST_CAUSES = 100
NO_ANSWER = "neither an offer nor a reason"
_parse = decision_pb2.DecideResponse.FromString


@dataclass(slots=True)
class Tally:
    """Counts and times of one run; times are `perf_counter_ns`."""

    ok: int = 0
    """Replies with grpc-status 0 that hold an offer or a reason."""
    failed: dict[str, int] = field(default_factory=dict)
    """All other requests, by what was wrong."""
    answers: dict[tuple[int, bool, bool], int] = field(default_factory=dict)
    """Good replies by reason (its number), whether they offer something, and whether they are degraded."""
    start_ns: array[int] = field(default_factory=lambda: array("q"))
    """Of each good reply: when its request was due (open loop) or sent (closed loop)."""
    latency_ns: array[int] = field(default_factory=lambda: array("q"))
    """Of each good reply: from `start_ns` until its trailers were read."""
    wait_ns: array[int] = field(default_factory=lambda: array("q"))
    """Of each good reply: from `start_ns` until its request was written; a server's flow control makes requests wait."""
    lateness_ns: array[int] = field(default_factory=lambda: array("q"))
    """Of each request that nothing but this program held back: how long after it was due it was written."""
    held: int = 0
    """Requests that the server's flow control, or the limit of calls in flight, held back."""
    reply_bytes: int = 0
    """Of all good replies."""
    samples: list[bytes] = field(default_factory=list)
    """Every 64th good reply."""

    def fail(self, cause: str, count: int = 1) -> None:
        """Count requests without a good reply; causes beyond a hundred are counted together."""
        if cause not in self.failed and len(self.failed) >= _MOST_CAUSES:
            cause = cause.partition(":")[0] + ": and others"
        self.failed[cause] = self.failed.get(cause, 0) + count

    def reply(self, verdict: str, message: bytes, start_ns: int, sent_ns: int, now_ns: int) -> None:
        """Count a call that ended: `verdict` "" is grpc-status 0, `message` is the reply with its gRPC prefix."""
        if verdict:
            return self.fail(verdict)
        if len(message) < 5 or message[0] or int.from_bytes(message[1:5], "big") != len(message) - 5:
            return self.fail("no message")
        body = message[5:]
        try:
            answer = _parse(body)
        except Exception:  # whatever the decoder of this platform raises
            return self.fail("not a DecideResponse")
        kind = (answer.reason, len(answer.slots) > 0, answer.degraded)
        if not (kind[0] or kind[1]):
            return self.fail(NO_ANSWER)
        self.answers[kind] = self.answers.get(kind, 0) + 1
        if self.ok & (_SAMPLE_EVERY - 1) == 0:
            self.samples.append(body)
        self.ok += 1
        self.reply_bytes += len(body)
        self.start_ns.append(start_ns)
        self.latency_ns.append(now_ns - start_ns)
        self.wait_ns.append(sent_ns - start_ns)
        return None
