"""Pauses: after K outcomes of one kind within a window, something waits for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OutcomeKind = Literal["exposure", "click", "purchase", "dismiss", "unsubscribe", "complaint"]


@dataclass(frozen=True, slots=True)
class Pause:
    """What outcomes start a pause, and the cap (`Cap.cap_id`) that is full while it lasts."""

    cap_id: bytes
    outcome_id: bytes
    """Eight bytes: the outcomes that it keeps in contact history."""
    of: OutcomeKind
    after: int
    """Outcomes that it takes."""
    within_ms: int
    """All of them within this time, which is less than from the first to the last; 0 with `after` 1."""
    lasts_ms: int
    """From the last of them."""
    offers: frozenset[int]
    """Whose outcomes count, over all of them together."""
    channel: str | None
    """The channel that is paused; empty: every channel without a name of its own in the bundle; None: no channel is."""
