"""Answers that Redis could not remember go when their time is over."""

from __future__ import annotations

from liftgate.domain.request import DecideRequest
from liftgate.pipeline.duplicates import Memory


def test_answers_go_when_redis_is_back() -> None:
    """Nothing is put any more then: the requests that come let go of what nobody may be told again, and of nothing else."""
    memory = Memory(60.0)
    for i in range(100):
        memory.put(DecideRequest(f"r{i}", "p", "home"), b"answer", now=float(i % 2))
    other = DecideRequest("another", "p", "home")
    assert memory.get(DecideRequest("r1", "p", "home"), 59.9) == b"answer"
    assert memory.get(other, 59.9) is None
    assert not memory.empty
    assert memory.get(other, 61.0) is None
    assert memory.empty
