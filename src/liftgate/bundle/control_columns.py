"""Controls against one bundle: names become columns, once for each snapshot and bundle."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.control import CLEAR_COLUMNS, UNKNOWN_COLUMNS, ControlColumns, Controls
from liftgate.domain.reason import Reason
from liftgate.domain.review import WITHDRAW, Act


def control_columns(controls: Controls, bundle: Bundle) -> ControlColumns:
    """Return the columns. Names that the bundle does not have stop nothing in it."""
    if not controls.known:
        return UNKNOWN_COLUMNS
    if not controls.stops and not bundle.reviews and not controls.items:
        return CLEAR_COLUMNS if not controls.version else ControlColumns(version=controls.version)
    everything = controls.stop("all", "") is not None
    until, refusal = _approvals(controls, bundle)
    return ControlColumns(
        version=controls.version,
        personalization_stopped=everything,
        stopped=_stopped(controls, bundle, everything),
        stopped_models=frozenset(stop.name for stop in controls.stops if stop.kind == "model"),
        approved_until_ms=until,
        refusal=refusal,
    )


def _stopped(controls: Controls, bundle: Bundle, everything: bool) -> NDArray[np.bool_] | None:
    by_kind = {kind: {stop.name for stop in controls.stops if stop.kind == kind} for kind in ("offer", "group")}
    stopped = np.array([offer.offer_id in by_kind["offer"] or offer.group in by_kind["group"] for offer in bundle.offers], dtype=np.bool_)
    if everything and bundle.profile_purpose >= 0:
        stopped |= bundle.needs_purpose[:, bundle.profile_purpose]
    stopped.setflags(write=False)
    return stopped if stopped.any() else None


def _approvals(controls: Controls, bundle: Bundle) -> tuple[NDArray[np.float64] | None, NDArray[np.uint8] | None]:
    unmarked = _unmarked(controls, bundle)
    if not bundle.reviews and not unmarked:
        return None, None
    until = np.full(len(bundle.offers), inf)
    refusal = np.full(len(bundle.offers), Reason.NOT_APPROVED, dtype=np.uint8)
    until[unmarked] = -inf
    for k, review in bundle.reviews.items():
        item = controls.items.get(review.digest)
        standing = item.standing(review.needs) if item is not None and item.subject == review.subject else None
        until[k] = standing.until_ms if standing is not None else -inf
        if standing is not None and standing.rejected:
            refusal[k] = Reason.REVIEW_REJECTED
    until.setflags(write=False)
    refusal.setflags(write=False)
    return until, refusal


def _unmarked(controls: Controls, bundle: Bundle) -> list[int]:
    """Return offers that were put under review and are sensitive no more: to take the mark away is an edit too.

    They wait until a reviewer who is no author of theirs withdraws, the mark being gone: when that is the last thing done about them,
    they are free. A withdrawal from before, while they were sensitive, took an approval back and frees nothing.
    """
    last: dict[int, Act] = {}
    authors: dict[int, set[str]] = {}
    for item in controls.items.values():
        k = bundle.offer_index.get(item.subject.removeprefix("offer/")) if item.kind == "offer" and item.bundle == bundle.name else None
        if k is not None and k not in bundle.reviews and item.acts:
            authors.setdefault(k, set()).update(item.authors)
            last[k] = max(last.get(k, item.acts[-1]), item.acts[-1], key=lambda act: act.at_ms)
    return [k for k, act in last.items() if act.act != WITHDRAW or not act.frees or act.by in authors[k]]
