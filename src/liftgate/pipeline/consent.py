"""What each person of a batch has agreed to, as of the decision's clock; and what follows from it for contact and experiments."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain import consent
from liftgate.domain.batch import Batch
from liftgate.domain.layer import OUTSIDE
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Reason
from liftgate.pipeline.live import Live

_ALLOWED, _MISSING, _GPC = np.uint8(Reason.ALLOWED), np.uint8(Reason.CONSENT_MISSING), np.uint8(Reason.CONSENT_GPC)
_AWAY, _UNAVAILABLE = ProfileState.UNAVAILABLE, np.uint8(Reason.CONSENT_UNAVAILABLE)


def read_consent(batch: Batch, live: Live, documents: Sequence[bytes | None]) -> None:
    """Fill in the consent columns. A record wins over a default, an absent store over both, and a signal over everything."""
    bundle = live.bundle
    n, purposes, rules = batch.n, bundle.purposes, bundle.consent
    codes, ends, batch.consent_version = live.consents.columns(documents, batch.now_ms.tolist())
    batch.consent = np.frombuffer(codes, dtype=np.uint8).reshape(n, len(purposes))
    batch.consent_until_ms = np.frombuffer(ends, dtype=np.float64).reshape(n, len(purposes))
    if _AWAY in batch.profile_state.tobytes():
        batch.consent[batch.profile_state == _AWAY] = _UNAVAILABLE
    if rules.jurisdictions:
        _apply_defaults(batch, bundle, documents)
    if rules.channels:
        batch.contact_needs = rules.channel_needs[[rules.needs_of(request.context.channel) for request in batch.requests]]
    signals = list(map(_SIGNAL, batch.requests))
    if True in signals and bundle.gpc_denies.any():
        signalled = np.array(signals, dtype=np.bool_)
        batch.consent[signalled[:, None] & bundle.gpc_denies] = _GPC
        if batch.by_default is not None:
            batch.by_default &= batch.consent != _GPC
    if rules.experiment_purpose >= 0:
        enrol(batch, rules.experiment_purpose)


_SIGNAL = attrgetter("gpc")


def enrol(batch: Batch, purpose: int) -> None:
    """Take everyone who has not agreed to experiments out of every layer."""
    enrolled = batch.consent[:, purpose] == _ALLOWED
    batch.enrolled = enrolled
    batch.held_out &= enrolled
    batch.layer_held_out &= enrolled[:, None]
    if batch.withheld is not None:
        batch.withheld &= enrolled[:, None]
    batch.layer_arm[~enrolled] = OUTSIDE


def _apply_defaults(batch: Batch, bundle: Bundle, documents: Sequence[bytes | None]) -> None:
    """Put the jurisdiction's declared default where a purpose has no record. Unknown jurisdictions have none."""
    rules = bundle.consent
    open_to_default = (batch.consent == _MISSING) & np.any(rules.defaults != _MISSING, axis=0)
    batch.jurisdiction = jurisdiction = [""] * batch.n
    column = np.full(batch.n, len(rules.jurisdictions), dtype=np.intp)
    for row in np.flatnonzero(open_to_default.any(axis=1)).tolist():
        jurisdiction[row] = batch.requests[row].context.jurisdiction or consent.jurisdiction(documents[row])
        column[row] = rules.jurisdictions.get(jurisdiction[row], len(rules.jurisdictions))
    defaults = rules.defaults[column]
    batch.by_default = open_to_default & (defaults != _MISSING)
    np.copyto(batch.consent, defaults, where=batch.by_default)
