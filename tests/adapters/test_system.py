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


def test_ids_made_together_are_as_those_made_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of a batch ascend among themselves and beside single ones, also where the first half changes on the way."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_000_000_000)
    monkeypatch.setattr("os.urandom", lambda size: ((5 << 62) - 3).to_bytes(size, "little"))
    ids, alone = TimeOrderedIds(), TimeOrderedIds()
    made = [ids.decision_id(), *ids.decision_ids(2), *ids.decision_ids(256), ids.decision_id()]
    assert made == [alone.decision_id() for _ in made] == sorted(set(made))
    assert {(one.version, one.variant) for one in map(uuid.UUID, made)} == {(7, uuid.RFC_4122)}
    assert made[0][:16] < made[-1][:16]


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
