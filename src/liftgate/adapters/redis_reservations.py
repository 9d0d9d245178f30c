"""Atomic frequency caps and idempotency in Redis or Valkey: `pipeline.ports.Reservations`.

On one server a batch is one script call; on a Cluster it is one for each claim, pipelined by server. The scripts and the layouts of
what they store are in `lua/`. Time is the claims' own; only the lifetimes of keys run on the server's clock.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Collection, Coroutine, Mapping, Sequence
from operator import attrgetter
from struct import Struct
from typing import Any

import hiredis

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_client import AWAY, DEFAULT_BUDGET_MS, Command, RedisClient, allowance_s, check, guarded
from liftgate.adapters.redis_parts import Parts
from liftgate.adapters.redis_script import ScriptCall, run_script
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.ports import NOTHING_WATCHED, Amendment, Charge, Claim, ClaimOutcome, ClaimStatus, TotalUse

DEFAULT_HORIZON_MS = 60_000
CHUNK = 64
"""Claims in one script call: bounds how long the server is busy with it."""

RECORD_LEEWAY_MS = 1_000
"""A record that waits for its log outlives the answer that leads to it by this: an answer without its record is a logged one."""

_HEADER = Struct("<8s8sdBH")
_AMENDED = Struct("<8sdB")
_TOTAL = Struct("<HHdddd8sB")
_COUNTS = Struct("<HHH")
_WATCHED = Struct("<H")
_USED = Struct("<d")
_REQUEST, _ACCOUNT, _TOTALS, _GHOST, _PARTLY = 1, 2, 4, 8, 16
_STANDS, _BESIDE = 4, 8
"""Flags, as the scripts name them."""
_CHARGE = Struct("<8sddd")
_MEMORY = Struct("<c8sI")
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
        self._horizon = b"%d" % horizon_ms
        self._record_life = b"%d" % (horizon_ms + RECORD_LEEWAY_MS)

    async def reserve(self, claims: Sequence[Claim], budget_s: float | None = None) -> Sequence[ClaimOutcome]:
        """See `pipeline.ports.Reservations`."""
        if not claims:
            return []
        size = self._chunk
        records: list[Command] = []
        if len(claims) <= size:
            calls = [self._claims(claims, records)]
        else:
            calls = [self._claims(claims[i : i + size], records) for i in range(0, len(claims), size)]
        replies = await self._run("reserve.lua", calls, len(claims), budget_s, records)
        if self._parted and replies.count(_NOBODY) == len(claims):
            raise StoreUnavailable("redis: no server that was asked answered")
        if not any(replies):
            return [_MADE] * len(claims)
        outcomes: list[ClaimOutcome] = []
        for i, reply in enumerate(replies):
            outcomes += [_outcome(one) for one in reply] if reply else [_MADE] * len(claims[i * size : (i + 1) * size])
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
        tag = redis_keys.tag
        records = [tag(claim.person_id) + b"q:" + hexlify(claim.reservation_id) for claim in claims if claim.request_id]
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

    def _claims(self, claims: Sequence[Claim], records: list[Command]) -> ScriptCall:
        """Return keys and arguments of one call of `reserve.lua`; add to `records` what stores the claims' records before it."""
        keys: list[bytes] = []
        arguments: list[bytes] = []
        # What few claims have is looked for in all of them at once, and what many have in common is packed once.
        more = any(map(any, map(_beyond_person, claims)))
        totals = _total_keys(claims) if more else {}
        watches: dict[bytes, int] = {}
        sections: dict[int, bytes] = {}
        watch, which = NOTHING_WATCHED, 0
        tag_of, header_of, memory_of, life = redis_keys.tag, _HEADER.pack, _MEMORY.pack, self._record_life
        for claim in claims:
            tag, fingerprint, reservation = tag_of(claim.person_id), claim.fingerprint, claim.reservation_id
            if claim.watch is not watch:
                watch = claim.watch
                which = watches.setdefault(watch.packed, len(watches) + 1) if watch.packed else 0
            charges, request_id, response = claim.charges, claim.request_id, claim.response
            section = sections.get(id(charges))
            if section is None:
                section = sections[id(charges)] = _charges(charges)
            flags = _REQUEST if request_id else 0
            if more:
                flags |= _flags(claim)
            arguments.append(header_of(fingerprint, reservation, claim.now_ms, flags, which) + section)
            keys.append(tag + (b"g" if claim.ghost else b"h"))
            if request_id:
                name = hexlify(reservation)
                keys.append(tag + b"r:" + request_id.encode("utf-8", "surrogatepass"))
                arguments.append(memory_of(b"L", fingerprint, len(response)) + response + name)
                # On its way before the claim: where the claim is made, its record is there already.
                records.append(("SET", tag + b"q:" + name, claim.record, b"PX", life))
            if flags > _REQUEST:
                self._more(claim, keys, arguments, totals, watches)
        arguments += watches
        arguments.append(_COUNTS.pack(len(claims), len(totals), len(watches)) + self._horizon)
        return [*totals, *keys], arguments

    def _more(
        self, claim: Claim, keys: list[bytes], arguments: list[bytes], totals: Mapping[bytes, int], watches: dict[bytes, int]
    ) -> None:
        """Add what a claim over more than one person's history needs."""
        account = claim.account
        if account is not None:
            keys.append(redis_keys.account(account.account_id, claim.ghost))
            if claim.ghost or claim.partly:
                keys.append(redis_keys.account(account.account_id, claim.partly))
            watched = account.watch.packed
            which = watches.setdefault(watched, len(watches) + 1) if watched else 0
            arguments.append(_WATCHED.pack(which) + _charges(account.charges))
        if claim.totals:
            arguments.append(b"".join([self._total(use, claim, totals) for use in claim.totals]))
        if claim.partly:
            keys.append(redis_keys.history(claim.person_id, True))
            arguments += [_charges(claim.withheld), *([] if account is None else [_charges(account.withheld)])]

    def _total(self, use: TotalUse, claim: Claim, places: Mapping[bytes, int]) -> bytes:
        real = places[redis_keys.total(use.cap_id, False)]
        own = places[redis_keys.total(use.cap_id, True)] if claim.ghost or claim.partly else real
        receipt_until = use.bucket_until_ms if use.leased else claim.now_ms + self._horizon_ms
        charges = use.count + 16 * use.withheld
        return _TOTAL.pack(real, own, use.most, use.limit, use.bucket_until_ms, receipt_until, use.receipt_id, charges)

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
            claimed = _remembered(claim.fingerprint, claim.response, hexlify(claim.reservation_id))
            instead = _MEMORY.pack(b"L", claim.fingerprint, len(response)) + response if response else b""
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


_beyond_person = attrgetter("account", "totals", "partly")


def _flags(claim: Claim) -> int:
    """Return the flags of a claim over more than one person's history; 0: it is none."""
    account, totals = claim.account is not None, bool(claim.totals)
    if not (account or totals or claim.partly):
        return 0
    return _ACCOUNT * account | _TOTALS * totals | _GHOST * claim.ghost | _PARTLY * claim.partly


def _total_keys(claims: Sequence[Claim]) -> dict[bytes, int]:
    """Return the total counters of the claims and their places among a script's keys, from 1."""
    places: dict[bytes, int] = {}
    for claim in claims:
        for use in claim.totals:
            places.setdefault(redis_keys.total(use.cap_id, False), len(places) + 1)
            if claim.ghost or claim.partly:
                places.setdefault(redis_keys.total(use.cap_id, True), len(places) + 1)
    return places


def _charges(charges: Sequence[Charge]) -> bytes:
    return b"".join([_CHARGE.pack(each.cap_id, each.limit, each.live_until_ms, each.until_ms) for each in charges])


def _remembered(fingerprint: bytes, response: bytes, name: bytes) -> bytes:
    """Return what a claim puts under its request key: `lua/remembered.lua` has the layout."""
    return _MEMORY.pack(b"L", fingerprint, len(response)) + response + name


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
