"""What a run came to, as plain data for JSON and for people."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from liftgate.load.schedule import Schedule
from liftgate.load.tally import Tally
from liftgate.v1 import reason_pb2

Times = npt.NDArray[np.int64]
_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
LATE_MS = 0.2
"""A generator whose own lateness is above this at p99 adds to what it measures."""
KEPT_UP = 0.98
"""Share of what was due that has to be answered within a step for the server to have kept up with it; of few requests all but one."""


def times(values: Any) -> Times:
    """Return an array of ns without copying it."""
    return np.frombuffer(values, dtype=np.int64) if len(values) else np.empty(0, np.int64)


def percentiles_ms(values: Times) -> dict[str, float]:
    """Return p50, p90, p99, p99.9, max and mean of ns in ms: the smallest value that this share does not exceed. Empty: nothing."""
    if not len(values):
        return {}
    # The nearest rank, never between two values: nobody waited for an interpolation.
    ordered = np.sort(values)
    ranks = {name: ordered[max(0, int(np.ceil(share * len(ordered))) - 1)] for name, share in _SHARES.items()}
    return {name: round(float(value) / 1e6, 4) for name, value in {**ranks, "max": ordered[-1], "mean": ordered.mean()}.items()}


def answers(tally: Tally, deadline_ms: float | None, sent: int) -> dict[str, Any]:
    """Return counts and latencies of a run; `sent` is how many requests were due."""
    reasons: dict[str, int] = {}
    for (reason, _, _), count in tally.answers.items():
        name = reason_name(reason)
        reasons[name] = reasons.get(name, 0) + count
    latency = times(tally.latency_ns)
    found: dict[str, Any] = {
        "sent": sent,
        "ok": tally.ok,
        "failed": dict(sorted(tally.failed.items(), key=lambda pair: -pair[1])),
        "offered": sum(count for (_, offers, _), count in tally.answers.items() if offers),
        "degraded": sum(count for (_, _, degraded), count in tally.answers.items() if degraded),
        "reasons": dict(sorted(reasons.items(), key=lambda pair: -pair[1])),
        "reply_bytes": round(tally.reply_bytes / tally.ok, 1) if tally.ok else 0.0,
        "latency_ms": percentiles_ms(latency),
    }
    if deadline_ms is not None:
        found["deadline_ms"] = deadline_ms
        found["within_deadline"] = int((latency <= deadline_ms * 1e6).sum())
    return found


def generator(tally: Tally) -> dict[str, Any]:
    """Return how late the generator itself was, how much the server held back, and latency from the actual send."""
    lateness, latency, wait = times(tally.lateness_ns), times(tally.latency_ns), times(tally.wait_ns)
    return {"lateness_ms": percentiles_ms(lateness), "held_back": tally.held, "latency_from_send_ms": percentiles_ms(latency - wait)}


def steps(tally: Tally, schedule: Schedule, start_ns: int, sent: int, ended_ns: int) -> list[dict[str, Any]]:
    """Return one row a step of the schedule, as far as the run came: to `ended_ns` after its start."""
    start, latency = times(tally.start_ns) - start_ns, times(tally.latency_ns)
    done, due = start + latency, schedule.due_ns[:sent]
    rows, begins = [], 0
    for step, planned in zip(schedule.steps, schedule.ends_ns.tolist(), strict=True):
        ends = min(planned, ended_ns)
        asked = int(((due >= begins) & (due < ends)).sum())
        if asked:
            enough = min(KEPT_UP * asked, asked - 1)
            mine, answered = (start >= begins) & (start < ends), int(((done >= begins) & (done < ends)).sum())
            lasted_s = (ends - begins) / 1e9
            rows.append(
                {
                    "rate": step.rate,
                    "duration_s": round(lasted_s, 3),
                    "sent": asked,
                    "ok": int(mine.sum()),
                    "per_s": round(answered / max(lasted_s, 1e-9), 1),
                    "kept_up": bool(answered >= enough and mine.sum() >= KEPT_UP * asked),
                    "latency_ms": percentiles_ms(latency[mine]),
                }
            )
        begins = ends
    return rows


def reason_name(number: int) -> str:
    """Return a reason without its prefix; a number that this version does not know stays one."""
    if number not in reason_pb2.Reason.values():
        return str(number)
    return str(reason_pb2.Reason.Name(number)).removeprefix("REASON_")
