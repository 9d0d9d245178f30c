"""Features that events keep fresh, put beside those that pipelines wrote; and what may be kept of whom."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain import consent
from liftgate.domain.batch import Batch
from liftgate.domain.event import Event
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Reason
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Fetched

_ALLOWED, _MISSING = np.uint8(Reason.ALLOWED), Reason.CONSENT_MISSING
_NOT_THERE, _FOUND, _UNAVAILABLE = np.uint8(ProfileState.MISSING), np.uint8(ProfileState.FOUND), np.uint8(ProfileState.UNAVAILABLE)


def follow(batch: Batch, live: Live, fetched: Fetched) -> None:
    """Fill in the columns of features that events keep fresh; `batch.profile_state` and the consent columns are there.

    Someone without a profile of whom there are events is known. Whose profile may not be read has no value, whatever is stored.
    """
    if live.evaluation is None:
        return
    bundle, profiles = live.bundle, fetched.profiles
    first, n = bundle.schema.stored_count, batch.n
    found = live.evaluation([fetched.features.get(row) for row in range(n)], batch.now_ms)
    there = found.stored
    for row, (value, at_s) in fetched.told.items():
        found.value[row], found.at_s[row] = value, at_s
        there[row] = True
    batch.profile_state[there & (batch.profile_state == _NOT_THERE)] = _FOUND
    unread = batch.profile_state == _UNAVAILABLE
    if bundle.profile_purpose >= 0:
        unread |= batch.consent[:, bundle.profile_purpose] != _ALLOWED
    if unread.any() or batch.controls.personalization_stopped:
        unread |= batch.controls.personalization_stopped
        found.value[unread] = found.at_s[unread] = np.nan
    profiles.value[:, first:] = found.value
    profiles.at_s[:, first:] = found.at_s


class FeatureConsent:
    """Whether what events say of a person may be kept: as for reading a profile, unknown is no. Compiled once."""

    def __init__(self, bundle: Bundle) -> None:
        purpose = bundle.profile_purpose
        self._rules = bundle.consent
        self._index = purpose
        self._purpose = bundle.purposes[purpose] if purpose >= 0 else ""
        self.needed = purpose >= 0
        """Consent has to be read at all."""

    def allows(self, event: Event, document: bytes | None) -> bool:
        """Say whether an event may change its person's features, by their consent document; None: certainly none is stored."""
        if not self.needed:
            return True
        reason = consent.reason_of(document, self._purpose, event.received_at_ms)
        if reason is _MISSING and self._rules.jurisdictions:
            jurisdiction = event.jurisdiction or consent.jurisdiction(document)
            reason = Reason(
                int(self._rules.defaults[self._rules.jurisdictions.get(jurisdiction, len(self._rules.jurisdictions)), self._index])
            )
        return reason is Reason.ALLOWED
