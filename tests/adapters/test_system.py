"""The machine's clock and ids."""

from __future__ import annotations

import time
import uuid

import pytest

from liftgate.adapters.system import SystemClock, TimeOrderedIds


def test_ids_are_version_7_uuids_unique_and_ordered() -> None:
    """100,000 ids in a row are distinct, ascending, and carry the version, variant and time of UUID 7."""
    ids = TimeOrderedIds()
    before = time.time_ns() // 1_000_000
    made = [ids.decision_id() for _ in range(100_000)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == len(made)
    assert made == sorted(made)
    first = uuid.UUID(made[0])
    assert first.version == 7
    assert first.variant == uuid.RFC_4122
    assert before <= first.int >> 80 <= after
    assert {len(one) for one in made} == {32}


def test_ids_go_on_rising_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that jumps an hour back gives no id below the last one."""
    ids = TimeOrderedIds()
    first = ids.decision_id()
    real = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: real - 3_600 * 10**9)
    assert ids.decision_id() > first


def test_the_clock_reads_milliseconds() -> None:
    """The clock agrees with the machine's."""
    assert abs(SystemClock().now_ms() - time.time() * 1000) < 1000
