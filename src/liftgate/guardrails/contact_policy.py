"""Contact policy: how often people are contacted on the request's channel, whatever is offered."""

from __future__ import annotations

from liftgate.bundle.compiled import Bundle
from liftgate.domain.reason import Reason
from liftgate.guardrails.cap_columns import CapColumns


class ContactPolicy(CapColumns):
    """Denies every offer, the default included, on a channel whose contact policy is used up."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, Reason.CONTACT_POLICY)
