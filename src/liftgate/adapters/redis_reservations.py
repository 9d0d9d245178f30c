"""Atomic frequency caps and idempotency in Redis or Valkey: `pipeline.ports.Reservations`.

On one server a batch is one script call; on a Cluster it is one for each claim, pipelined by server. The scripts and the layouts of
what they store are in `lua/`. Time is the claims' own; only the lifetimes of keys run on the server's clock.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Collection, Coroutine, Sequence
from struct import Struct
from typing import Any

import hiredis

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_claims import ClaimScript, remembered, waiting_for
from liftgate.adapters.redis_client import AWAY, DEFAULT_BUDGET_MS, Command, RedisClient, allowance_s, check, guarded
from liftgate.adapters.redis_parts import Parts
from liftgate.adapters.redis_script import ScriptCall, run_script
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.ports import Amendment, Claim, ClaimOutcome, ClaimStatus

DEFAULT_HORIZON_MS = 60_000
CHUNK = 64
"""Claims in one script call: bounds how long the server is busy with it."""

_AMENDED = Struct("<8sdB")
_USED = Struct("<d")
_REQUEST, _ACCOUNT = 1, 2
_STANDS, _BESIDE, _TOGETHER = 4, 8, 16
"""Flags, as `amend.lua` names them."""
_MADE = ClaimOutcome(ClaimStatus.MADE)
_MISMATCH = ClaimOutcome(ClaimStatus.MISMATCH)
_UNSURE = ClaimOutcome(ClaimStatus.UNSURE)
_NOBODY = [AWAY]
"""In place of the reply to a script, where a server of a Cluster did not answer."""


class RedisReservations:
    """Reservations in Redis. `horizon_ms` is the retry horizon, `budget_ms` bounds every call."""

    def __init__(
        self,
        client: RedisClient,
        breaker: Breaker | None = None,
        budget_ms: float = DEFAULT_BUDGET_MS,
        horizon_ms: int = DEFAULT_HORIZON_MS,
    ) -> None:
        if horizon_ms < 1:
            raise ValueError("the retry horizon must be at least 1 ms")
        self._client = client
        self._parted = Parts.of(client) is not None
        self._clustered = client.clustered
        self._chunk = 1 if client.clustered else CHUNK
        self._breaker = breaker or Breaker()
        self._budget_s = budget_ms / 1000
        self._horizon_ms = horizon_ms
        self._script = ClaimScript(horizon_ms)

    async def reserve(self, claims: Sequence[Claim], budget_s: float | None = None) -> Sequence[ClaimOutcome]:
        """See `pipeline.ports.Reservations`."""
        if not claims:
            return []
        size = self._chunk
        records: list[Command] = []
        if len(claims) <= size:
            calls = [self._script.call(claims, records)]
        else:
            calls = [self._script.call(claims[i : i + size], records) for i in range(0, len(claims), size)]
        replies = await self._run("reserve.lua", calls, len(claims), budget_s, records)
        if self._parted and replies.count(_NOBODY) == len(claims):
            raise StoreUnavailable("redis: no server that was asked answered")
        if not any(replies):
            return [_MADE] * len(claims)
        outcomes: list[ClaimOutcome] = []
        for i, reply in enumerate(replies):
            outcomes += [_outcome(one) for one in reply] if reply else [_MADE] * len(claims[i * size : (i + 1) * size])
        for claim, outcome in zip(claims, outcomes, strict=True):
            if claim.kept is not None and outcome is not _MADE:
                # Nothing refers to its record: what it is asked to confirm is another's.
                claim.kept[0].waiting -= 1
                claim.kept = None
        return outcomes

    async def look(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        """See `pipeline.ports.Reservations`."""
        known = [i for i, claim in enumerate(claims) if claim.request_id]
        outcomes = [_MADE] * len(claims)
        if not known:
            return outcomes
        replies = await self._run("look.lua", self._asked([claims[i] for i in known]), len(known))
        if _NOBODY in replies:
            raise StoreUnavailable("redis: a server of the Cluster is away")
        for i, reply in zip(known, [reply for chunk in replies for reply in chunk], strict=True):
            outcomes[i] = _outcome(reply)
        return outcomes

    async def confirm(self, claims: Sequence[Claim]) -> None:
        """See `pipeline.ports.Reservations`. Nobody waits for it but a duplicate, so it goes along with the next call."""
        records, apart = waiting_for(claims)
        if apart:
            # They lie with others' whose log may not have them.
            await self._run("confirm.lua", self._asked(apart), len(apart))
        if not records:
            return
        commands: list[Command] = [("DEL", record) for record in records] if self._clustered else [("DEL", *records)]
        replies: list[Any] | None = None
        if not self._breaker.failures:
            try:
                replies = await self._client.post(commands)
            except StoreUnavailable:
                replies = None
        if replies is None or hiredis.ReplyError in map(type, replies):
            # Lost with a connection, a slot that has moved: once more, for itself.
            client = Parts.of(self._client) if self._parted else None
            replies = await guarded(client or self._client, self._breaker, commands, allowance_s(self._budget_s, len(records)))
            check(replies)
        away = self._parted and AWAY in replies
        if not away and sum(replies) < len(records):
            # Gone already, or another decision's: a duplicate confirms what it has recovered.
            known = [claim for claim in claims if claim.request_id]
            away = _NOBODY in await self._run("confirm.lua", self._asked(known), len(known))
        if away:
            raise StoreUnavailable("redis: a server of the Cluster is away")

    def _asked(self, claims: Sequence[Claim]) -> list[ScriptCall]:
        """Return calls that name the claims' requests, with their fingerprints."""
        size = self._chunk
        chunks = [claims[i : i + size] for i in range(0, len(claims), size)]
        return [
            ([redis_keys.request(claim.person_id, claim.request_id) for claim in chunk], [claim.fingerprint for claim in chunk])
            for chunk in chunks
        ]

    async def amend(self, amendments: Sequence[Amendment]) -> Collection[int]:
        """See `pipeline.ports.Reservations`."""
        calls = []
        for amendment in amendments:
            claim, response = amendment.claim, amendment.response
            keys = [redis_keys.history(claim.person_id, claim.ghost)]
            flags = _STANDS if response and response == claim.response else 0
            if claim.request_id:
                flags |= _REQUEST
                keys.append(redis_keys.request(claim.person_id, claim.request_id))
            if claim.account is not None:
                flags |= _ACCOUNT
                keys.append(redis_keys.account(claim.account.account_id, claim.ghost))
            charged = [use for use in claim.totals if use.count]
            keys += [redis_keys.total(use.cap_id, claim.ghost) for use in charged]
            receipts = [b"".join([use.receipt_id for use in charged])]
            if claim.partly:
                flags |= _BESIDE
                keys.append(redis_keys.history(claim.person_id, True))
                if claim.account is not None:
                    keys.append(redis_keys.account(claim.account.account_id, True))
                beside = [use for use in claim.totals if use.withheld]
                keys += [redis_keys.total(use.cap_id, True) for use in beside]
                receipts.append(b"".join([use.receipt_id for use in beside]))
            place = hexlify(claim.reservation_id)
            if claim.kept is not None:
                flags |= _TOGETHER
                place = claim.kept[1]
            claimed = remembered(claim.fingerprint, claim.response, place)
            instead = remembered(claim.fingerprint, response, b"") if response else b""
            header = _AMENDED.pack(claim.reservation_id, self._horizon_ms, flags)
            calls.append((keys, [header, claimed, instead, *receipts]))
        replies = await self._run("amend.lua", calls, len(calls)) if calls else []
        return [i for i, reply in enumerate(replies) if reply == _NOBODY] if self._parted else ()

    def _run(
        self, name: str, calls: Sequence[ScriptCall], people: int, budget_s: float | None = None, before: Sequence[Command] = ()
    ) -> Coroutine[Any, Any, list[Any]]:
        allowed_s = allowance_s(self._budget_s, people)
        allowed_s = allowed_s if budget_s is None else min(budget_s, allowed_s)
        if self._parted:
            return self._run_in_parts(name, calls, allowed_s, before)
        return run_script(name, calls, self._client, self._breaker, allowed_s, allowed_s < self._budget_s, before=before)

    async def _run_in_parts(self, name: str, calls: Sequence[ScriptCall], budget_s: float, before: Sequence[Command]) -> list[Any]:
        """Run a script on a Cluster; where a server does not answer, `_NOBODY` stands for its reply."""
        hurried = budget_s < self._budget_s
        parts = Parts.of(self._client, hurried)
        assert parts is not None
        return await run_script(name, calls, parts, self._breaker, budget_s, hurried, before=before)


def _outcome(reply: Any) -> ClaimOutcome:
    if reply == 0:
        return _MADE
    if reply == 4:
        return _MISMATCH
    if reply is AWAY:
        return _UNSURE
    if reply[0] == ClaimStatus.CAP_REACHED:
        if len(reply) == 3:
            return ClaimOutcome(ClaimStatus.CAP_REACHED, charge=reply[1], history=reply[2])
        counts = tuple(int(used) for (used,) in _USED.iter_unpack(reply[4]))
        return ClaimOutcome(ClaimStatus.CAP_REACHED, charge=reply[1], history=reply[2], account_history=reply[3], total_counts=counts)
    if reply[0] == ClaimStatus.DUPLICATE_LOGGED:
        return ClaimOutcome(ClaimStatus.DUPLICATE_LOGGED, response=reply[1])
    if reply[0] == ClaimStatus.DUPLICATE_PENDING:
        return ClaimOutcome(ClaimStatus.DUPLICATE_PENDING, response=reply[1], record=reply[2])
    raise StoreUnavailable("redis: a script gave an unknown answer")
