"""What one walk decided for one person."""

from __future__ import annotations

from dataclasses import dataclass, field

from liftgate.domain.offer import Mode
from liftgate.domain.reason import Arm, Branch, Reason


@dataclass
class Decision:
    """The outcome for row `row` of a batch; columns with more detail stay in the `Batch`.

    What few decisions have is set afterwards, and costs the others nothing.
    """

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
    """What would have been answered, where something else is for the sake of measuring."""
    would_offer_default: bool
    """That is the placement's default offer."""
    valid_until_ms: int
    review_id: str = field(default="", init=False)
    """Of the offer that waits for a reviewer and would have come first; empty: none does."""
    withheld: tuple[int, ...] = field(default=(), init=False)
    """What is not shown because the person is in a holdout of it."""
    holdout_answer: str = field(default="", init=False)
    """What that holdout declares as answer; empty: nothing is withheld."""
    default_slots: tuple[int, ...] = field(default=(), init=False)
    """Places in `offered` of default offers that stand beside others; empty where `default_served`."""
    chances: tuple[float, ...] | None = field(default=None, init=False)
    """P(shown) of each of `offered`, where they are not the choice slot by slot; None: they are, or the default."""
    counted: tuple[int, ...] | None = field(default=None, init=False)
    """What counts against caps; None: `chosen`."""
    would_count: tuple[int, ...] | None = field(default=None, init=False)
    """What would, had nothing been withheld; None: `chosen`."""
    mode: Mode = field(default="online", init=False)
    refused: tuple[tuple[int, Reason], ...] = field(default=(), init=False)
    """Offers of the caller's own choice that are not shown, and why."""
    kind: int = field(default=0, init=False, compare=False)
    """What is told and recorded of decisions of the same kind is the same but for their own columns, ids and times; 0: not known."""

    def again(self, row: int, decision_id: str) -> Decision:
        """Return the same outcome as the decision of another row: what `pipeline/outcome.py` settles."""
        # Twice as fast as copying its attributes as a dictionary.
        other = Decision(
            row,
            decision_id,
            self.arm,
            self.branch,
            self.reason,
            self.degraded,
            self.fallback_reason,
            self.chosen,
            self.offered,
            self.default_served,
            self.would_offer,
            self.would_offer_default,
            self.valid_until_ms,
        )
        other.kind = self.kind
        if self.default_slots:
            other.default_slots = self.default_slots
        return other


_VERSION = 12
"""Place of the version digit in a UUID's 32 hexadecimal digits."""


def deferred_id(decision_id: str) -> str:
    """Return the id with a mark that its decision is deferred: the version digit 8 (a layout of one's own, RFC 9562). Idempotent."""
    return f"{decision_id[:_VERSION]}8{decision_id[_VERSION + 1 :]}" if decision_id else ""


def is_deferred(decision_id: str) -> bool:
    """Say whether the id is a deferred decision's: an exposure needs nothing else to know that it activates one."""
    return decision_id[_VERSION : _VERSION + 1] == "8"
