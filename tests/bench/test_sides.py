"""Parts of `make bench` read what other commands of the bench print."""

from __future__ import annotations

from tests.bench.sides import log_of


def test_the_memory_of_a_large_log_is_read_from_what_its_command_prints() -> None:
    """A log of 200,000 decisions and one of 20,000 become two rows and a ratio of their memory."""
    side = log_of(200_000)
    (few, many), (goal,) = side.raw, side.goals
    assert (few[0], few[1], many[1], many[2]) == ("duckdb", "20,000", "200,000", "40,000")
    assert few[5].endswith(" MB")
    assert goal.measured is not None
    assert 0.5 < goal.measured < 3
