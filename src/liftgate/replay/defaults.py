"""Whether default offers pass again, as far as a record tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools
from liftgate.replay.judge import Judge, batch_of
from liftgate.replay.known import Known
from liftgate.replay.logged import Logged


@dataclass(frozen=True, slots=True)
class Defaults:
    """The default offers of a placement, by slot, over N logged decisions."""

    judge: Judge
    logged: Logged
    about: Known
    offers: tuple[int, ...]
    """Indices into the bundle that decides now."""

    def first(self) -> tuple[Bools, Bools]:
        """Return [N] whether the first slot's default passes, and where that cannot be told."""
        none = np.zeros(self.logged.n, dtype=np.bool_)
        if not self.offers:
            return none, none
        answers = self._answers()
        name = self._name(0)
        shown = [offers[:1] for offers in answers]
        # Where nothing at all was shown, the default was tried and did not pass.
        failed = np.array([not offers for offers in shown], dtype=np.bool_)
        if self.judge.same:
            # So it was where another slot's default was shown and not this one.
            failed |= self.logged.default_shown & ~self.logged.apart & ~self._anywhere(name)
        was = self.logged.default_shown & np.array([offers == [name] for offers in shown], dtype=np.bool_)
        # In the place of what was withheld it stands among others.
        was |= self.logged.apart & np.array([name in offers for offers in self.logged.offered], dtype=np.bool_)
        # Who is held out of everything, and of the default too, is shown others.
        was |= self.logged.default_shown & np.array([list(offers[:1]) == [name] for offers in self.logged.would_offer], dtype=np.bool_)
        return self._passes(self.offers[0], was, failed)

    def later(self, drawn: NDArray[np.intp]) -> tuple[Bools, Bools]:
        """Return [N, slots - 1] whether later slots' defaults pass, and [N] where that matters and cannot be told.

        `drawn` [N]: for how many slots an offer was drawn.
        """
        n = self.logged.n
        passes, lost = np.zeros((n, max(len(self.offers) - 1, 0)), dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        nothing = np.array([not offers for offers in self._answers()], dtype=np.bool_)
        for slot, offer in enumerate(self.offers[: self.logged.slots]):
            if slot == 0:
                continue
            passes[:, slot - 1], unsaid = self._passes(offer, self._anywhere(self._name(slot)), nothing)
            lost |= unsaid & (drawn <= slot)
        return passes, lost

    def _name(self, slot: int) -> str:
        return self.judge.bundle.offers[self.offers[slot]].offer_id

    def _anywhere(self, name: str) -> Bools:
        """Say where an offer was shown, or would have been."""
        rows = zip(self.logged.offered, self.logged.would_offer, strict=True)
        return np.array([name in offered or name in would for offered, would in rows], dtype=np.bool_)

    def _answers(self) -> list[list[str]]:
        """Return what was shown, or would have been, where the answer is not what was chosen."""
        rows = zip(self.logged.offered, self.logged.would_offer, self.logged.apart.tolist(), strict=True)
        return [list(would if apart else offered or would) for offered, would, apart in rows]

    def _passes(self, offer: int, was: Bools, failed: Bools) -> tuple[Bools, Bools]:
        """Return [N] whether a default passes, and where it cannot be told; `was` shown then, `failed`: tried and not shown."""
        judge, name = self.judge, self.judge.bundle.offers[offer].offer_id
        computed, doubt = judge.computed(self.about, batch_of(self.logged, self.about, judge.bundle))
        passes = computed[:, offer] == 0
        lost = np.zeros(self.logged.n, dtype=np.bool_)
        for where in doubt.values():
            lost |= where[:, offer]
        if judge.same:
            passes &= ~failed
        else:
            lost |= passes & failed
        if not judge.carried.none(name) or offer in judge.bundle.reviews:
            if judge.same:
                # What stood in its way is not in the record, that something did is.
                passes &= was
            else:
                lost |= passes & ~(was & judge.carried.lax(name, judge.carried_own))
        return passes, lost
