"""Caps that people share: by account, and in total."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.cap_columns import CapColumns


class SharedCap(CapColumns):
    """Denies offers with a used-up cap by account or in total, and offers with a cap by account where the request names none."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, Reason.ACCOUNT_CAP, Reason.TOTAL_CAP)

    def _reason(self, batch: Batch, column: int) -> Reason | np.ndarray:
        cap = self._bundle.caps[column]
        if cap.scope == "account":
            named = np.array([bool(request.account_id) for request in batch.requests], dtype=np.bool_)
            return np.where(named, np.uint8(Reason.ACCOUNT_CAP), np.uint8(Reason.ACCOUNT_UNKNOWN))[:, None]
        if batch.cap_paced is None:
            return cap.reason
        return np.where(batch.cap_paced[:, column], np.uint8(Reason.TOTAL_CAP_PACED), np.uint8(Reason.TOTAL_CAP))[:, None]
