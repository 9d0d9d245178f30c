"""What is answered again where it is not what was chosen: withheld offers and placements that learn, by the server's own rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from liftgate.domain.decision import Decision
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.pipeline.answer import answer
from liftgate.pipeline.walk import Walk
from liftgate.replay.logged import Logged
from liftgate.replay.same import forced

Names = list[tuple[str, ...]]


def answer_otherwise(walk: Walk, logged: Logged, offered: Names, would_offer: Names) -> None:
    """Replace what is answered [N], as filled in for ordinary decisions, where something is withheld or the placement learns."""
    batch, live = walk.batch, walk.live
    batch.withheld = live.layers.withheld(batch.layer_arm, len(live.bundle.offers))
    index, names = live.bundle.offer_index, [offer.offer_id for offer in live.bundle.offers]
    if live.modes and live.modes[int(batch.placement[0])] != "online":
        rows = list(range(logged.n))
        # An offer that the bundle no longer has cannot be answered.
        own = [tuple([offer_id for offer_id in offers if offer_id in index]) for offers in logged.baseline]
        batch.requests = [replace(request, baseline_offers=offers) for request, offers in zip(batch.requests, own, strict=True)]
    elif batch.withheld is not None:
        rows = np.flatnonzero(batch.withheld.any(axis=1)).tolist()
    else:
        return
    broken = forced(logged).tolist()
    decisions = []
    for row in rows:
        chosen = tuple([k for k in batch.choice[row].tolist() if k >= 0])
        held_out, shown = bool(batch.held_out[row]), tuple([index[name] for name in offered[row]])
        decisions.append(
            Decision(
                row=row,
                decision_id="",
                arm=Arm.HOLDOUT if held_out else Arm.TREATMENT,
                branch=Branch.FALLBACK if broken[row] else Branch.EXPLOIT,
                reason=Reason.OFFERED,
                degraded=False,
                fallback_reason=Reason.UNSPECIFIED,
                chosen=chosen,
                offered=shown,
                default_served=bool(shown) and (held_out or not chosen),
                would_offer=tuple([index[name] for name in would_offer[row]]),
                would_offer_default=False,
                valid_until_ms=0,
            )
        )
    answer(walk, decisions)
    for one in decisions:
        offered[one.row] = tuple([names[k] for k in one.offered])
        would_offer[one.row] = tuple([names[k] for k in one.would_offer])
