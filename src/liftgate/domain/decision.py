"""What one walk decided for one person."""

from __future__ import annotations

from dataclasses import dataclass

from liftgate.domain.reason import Arm, Branch, Reason


@dataclass(slots=True)
class Decision:
    """The outcome for row `row` of a batch; columns with more detail stay in the `Batch`."""

    row: int
    decision_id: str
    arm: Arm
    branch: Branch
    reason: Reason
    degraded: bool
    fallback_reason: Reason
    chosen: tuple[int, ...]
    """What the policy chose, in slot order, whatever is answered; empty where the default or nothing answers."""
    offered: tuple[int, ...]
    """Offer indices answered, in slot order."""
    default_served: bool
    would_offer: tuple[int, ...]
    """For held-out people: what would have been answered."""
    would_offer_default: bool
    """That is the placement's default offer."""
    valid_until_ms: int
    review_id: str = ""
    """Of the offer that waits for a reviewer and would have come first; empty: none does."""
