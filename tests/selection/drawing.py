"""Slates of many people who differ in their draws alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liftgate.domain.policy import GroupPolicy, Policy
from liftgate.selection.limits import Limits
from liftgate.selection.policy import Policies, Worth
from liftgate.selection.slate import Slates, fill


def repeated(worth: Worth, n: int) -> Worth:
    """Return one row's worth n times."""
    one = np.zeros(n, dtype=np.intp)
    return worth.rows(one)


def slates_of(
    worth: Worth | Sequence[float] | np.ndarray,
    policy: Policy,
    draws: np.ndarray,
    allowed: Sequence[bool] | np.ndarray | None = None,
    limits: tuple[Sequence[int], np.ndarray, np.ndarray] | None = None,
    groups: Sequence[GroupPolicy] = (),
    slots: int | None = None,
) -> Slates:
    """Return a slate for each row of `draws` [N, S]; `worth`, `allowed` and the room of `limits` (room, spends, holds) are one row's."""
    n = len(draws)
    one = worth if isinstance(worth, Worth) else Worth(np.asarray(worth, dtype=np.float64).reshape(1, -1))
    k = one.expected.shape[1]
    there = np.ones((n, k), dtype=np.bool_) if allowed is None else np.tile(np.asarray(allowed, dtype=np.bool_).reshape(1, -1), (n, 1))
    within = None if limits is None else Limits(np.tile(np.asarray(limits[0], dtype=np.int64), (n, 1)), limits[1], limits[2])
    counts = np.full(n, slots or draws.shape[1], dtype=np.intp)
    return fill(repeated(one, n), there, Policies([policy], groups, k), np.zeros(n, dtype=np.intp), counts, draws, within)
