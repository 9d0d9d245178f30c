"""Kinds: decisions that are told and recorded the same. What a kind comes to is worked out once, and found by one look-up a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from operator import attrgetter
from typing import Any

from liftgate.domain.decision import Decision

KNOWN = 16_384
"""Kinds remembered for a bundle; one more, and all are forgotten. Numbers are never used again."""
_CHANGED: Callable[[Decision], tuple[Any, ...]] = attrgetter(
    *("branch", "reason", "offered", "default_served", "would_offer", "would_offer_default"),
    *("holdout_answer", "default_slots", "chances", "refused"),
)


class Kinds:
    """The kinds of one bundle's decisions. One event loop."""

    __slots__ = ("_changed", "_number", "known", "versions")

    def __init__(self) -> None:
        self.known: dict[tuple[bytes], Decision] = {}
        """What rows come to, by everything that it depends on, packed."""
        self.versions: dict[str, int] = {}
        """Numbers of consent versions: they stand for them where rows are packed."""
        self._changed: dict[tuple[Any, ...], int] = {}
        self._number = count(1)

    def learn(self, alike: tuple[bytes], outcome: Decision) -> Decision:
        """Remember what rows that are alike come to, as a kind of its own."""
        if len(self.known) >= KNOWN:
            self.known.clear()
        outcome.kind = next(self._number)
        self.known[alike] = outcome
        return outcome

    def numbers(self, versions: Sequence[str]) -> Sequence[int]:
        """Return [N] what stands for consent versions."""
        known = self.versions
        found = list(map(known.get, versions))
        if None in found:
            if len(known) >= KNOWN:
                # Others will have their numbers.
                known.clear()
                self.known.clear()
            found = [known.setdefault(version, len(known)) for version in versions]
        return found  # type: ignore[return-value]  # none is None by now

    def change(self, decision: Decision) -> None:
        """Give a decision the kind of those that are answered otherwise than what was chosen in the same way."""
        if decision.kind:
            alike = (decision.kind, *_CHANGED(decision))
            if len(self._changed) >= KNOWN:
                self._changed.clear()
            decision.kind = self._changed.get(alike) or self._changed.setdefault(alike, next(self._number))
