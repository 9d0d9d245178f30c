"""The claim of somebody partly held out: what would have been counted and is not is charged to the ghost entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from liftgate.domain.batch import Batch
from liftgate.pipeline.ports import AccountClaim, Charge, Claim, TotalUse


def partly_held_out(batch: Batch) -> frozenset[int]:
    """Return the rows whose people are held out of some offers and not of everything."""
    if batch.withheld is None:
        return frozenset()
    # On booleans, greater: the one and not the other.
    return frozenset((np.logical_or.reduce(batch.withheld, axis=1) > batch.held_out).nonzero()[0].tolist())


def withhold(claim: Claim, charges: Sequence[Charge], account: AccountClaim | None, totals: tuple[TotalUse, ...]) -> None:
    """Add to a claim what it withholds: whatever the same claim would have counted beyond it, had nothing been withheld.

    So a cap counts the larger of the two in both histories together, once where a replacement takes the place of what is withheld.
    """
    claim.withheld = _beyond(claim.charges, charges)
    claim.account = _account(claim.account, account)
    claim.totals = _totals(claim.totals, totals)


def _beyond(some: Sequence[Charge], more: Sequence[Charge]) -> tuple[Charge, ...]:
    if more == some:
        # As mostly: nothing that they are offered is withheld.
        return ()
    have = Counter(charge.cap_id for charge in some)
    found = []
    for charge in more:
        if have[charge.cap_id]:
            have[charge.cap_id] -= 1
        else:
            found.append(charge)
    return tuple(found)


def _account(some: AccountClaim | None, more: AccountClaim | None) -> AccountClaim | None:
    if more is None:
        return some
    if some is None:
        return replace(more, charges=(), withheld=more.charges)
    return replace(some, withheld=_beyond(some.charges, more.charges))


def _totals(some: tuple[TotalUse, ...], more: tuple[TotalUse, ...]) -> tuple[TotalUse, ...]:
    if more is some:
        return some
    have = {use.cap_id: use for use in some}
    wanted = {use.cap_id: use for use in more}
    found = [replace(use, withheld=max(wanted[use.cap_id].count - use.count, 0)) if use.cap_id in wanted else use for use in some]
    return (*found, *(replace(use, count=0, withheld=use.count) for use in more if use.cap_id not in have))
