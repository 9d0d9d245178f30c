"""ConsentService's Erase: an operator's act, with the person's id in nothing that stays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from secrets import token_hex

from google.protobuf.message import DecodeError

from liftgate.adapters.grpc_requests import ACCOUNT_ID_BYTES, PERSON_ID_BYTES, fits, malformed
from liftgate.adapters.grpc_service import Call, deadline_of
from liftgate.adapters.operators import PRIVACY, Operators
from liftgate.domain.contact_detail import NAMES_SOMEBODY, names_somebody
from liftgate.domain.errors import CallerError, FieldViolation, NotNow, StoreUnavailable
from liftgate.pipeline.audit import Audit
from liftgate.pipeline.consent_store import Author
from liftgate.pipeline.erasure import ErasureStore, Journal, erase
from liftgate.pipeline.ports import Clock
from liftgate.v1 import consent_service_pb2 as pb

REASON_BYTES = 256
DEADLINE_S = 60.0
"""Of a call that carries none: every key of the store is looked at."""
_AGAIN = "the store of people is away, or the deadline was too short, so it may not be done in full; the same call again finishes it"


class Erasing:
    """Handles Erase. One event loop."""

    def __init__(
        self,
        store: ErasureStore,
        journal: Journal,
        audit: Audit,
        clock: Clock,
        operators: Operators,
        erased: Callable[[int], None] = lambda values: None,
    ) -> None:
        """`erased` is told of each person erased how many values went."""
        self._store, self._journal, self._audit = store, journal, audit
        self._clock, self._operators, self._erased = clock, operators, erased

    async def erase(self, raw: bytes, call: Call) -> bytes:
        """Answer one encoded EraseRequest. Raises what the table of errors names."""
        operator = self._operators.authorise(call.invocation_metadata(), PRIVACY)
        loop = asyncio.get_running_loop()
        deadline = deadline_of(call, DEADLINE_S)
        try:
            request = pb.EraseRequest.FromString(raw)
        except DecodeError:
            raise malformed("liftgate.v1.EraseRequest") from None
        violations = []
        if not fits(request.person_id, PERSON_ID_BYTES):
            violations.append(FieldViolation("person_id", f"wants 1 to {PERSON_ID_BYTES} bytes"))
        if request.account_id and not fits(request.account_id, ACCOUNT_ID_BYTES):
            violations.append(FieldViolation("account_id", f"wants at most {ACCOUNT_ID_BYTES} bytes"))
        reason = request.reason
        if reason and not (fits(reason, REASON_BYTES) and reason.isprintable()):
            violations.append(FieldViolation("reason", f"wants at most {REASON_BYTES} bytes of printable text"))
        if any(one and re.search(rf"(?<!\w){re.escape(one)}(?!\w)", reason) for one in (request.person_id, request.account_id)):
            violations.append(FieldViolation("reason", "names who is to be forgotten, and the audit chain never forgets; leave the id out"))
        elif names_somebody(reason):
            violations.append(FieldViolation("reason", NAMES_SOMEBODY))
        if violations:
            raise CallerError(tuple(violations))
        receipt = token_hex(16)
        try:
            removed = await erase(
                self._store,
                self._journal,
                self._audit,
                Author(operator.name, PRIVACY),
                request.person_id,
                request.account_id,
                reason,
                receipt,
                self._clock.now_ms(),
                lambda: deadline - loop.time(),
            )
        except StoreUnavailable:
            raise NotNow(_AGAIN) from None
        self._erased(removed)
        return pb.EraseResponse(receipt=receipt, removed=removed).SerializeToString()
