"""The retry policy: when to try again, and after how long."""

from __future__ import annotations

import grpc
import pytest

from liftgate.client.failure import Failure
from liftgate.client.retry import RetryPolicy

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_pauses_grow_spread_and_stay_within_the_deadline(jitter: float) -> None:
    """Pauses lie between half and all of their length, grow, and are not begun when too long."""
    policy, failure = RetryPolicy(attempts=3, first_pause_s=0.1, factor=2.0), Failure(UNAVAILABLE, "", None, ())
    first, second = policy.pause_s(1, failure, 10, jitter), policy.pause_s(2, failure, 10, jitter)
    assert first is not None
    assert second is not None
    assert 0.05 <= first <= 0.1 <= second <= 0.2
    assert policy.pause_s(3, failure, 10, jitter) is None
    assert policy.pause_s(1, failure, first, jitter) is None
    asked = Failure(EXHAUSTED, "", 1.0, ())
    wanted = policy.pause_s(1, asked, 10, jitter)
    assert wanted is not None
    assert 1.0 <= wanted <= 1.5
