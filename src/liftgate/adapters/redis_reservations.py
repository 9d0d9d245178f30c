"""Atomic frequency caps and idempotency in Redis or Valkey: `pipeline.ports.Reservations`.

On one server a batch is one script call; on a Cluster it is one for each claim, pipelined by server. The scripts and the layouts of
what they store are in `lua/`. Time is the claims' own; only the lifetimes of keys run on the server's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from struct import Struct
from typing import Any

import hiredis

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_client import AWAY, DEFAULT_BUDGET_MS, Calling, Command, RedisClient, allowance_s, check, code, guarded
from liftgate.adapters.redis_parts import Parts
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.ports import Amendment, Charge, Claim, ClaimOutcome, ClaimStatus, TotalUse

DEFAULT_HORIZON_MS = 60_000
CHUNK = 64
"""Claims in one script call: bounds how long the server is busy with it."""

_HEADER = Struct("<8s8sddBH")
_AMENDED = Struct("<8sdB")
_TOTAL = Struct("<HHdddd8sB")
_COUNTS = Struct("<HH")
_WATCHED = Struct("<H")
_USED = Struct("<d")
_REQUEST, _ACCOUNT, _TOTALS, _GHOST, _PARTLY = 1, 2, 4, 8, 16
_STANDS, _BESIDE = 4, 8
"""Flags, as the scripts name them."""
_CHARGE = Struct("<8sddd")
_MEMORY = Struct("<c8sI")
_BEFORE = {"count.lua": ("features.lua",)}
"""Scripts whose functions others use."""
_MADE = ClaimOutcome(ClaimStatus.MADE)
_MISMATCH = ClaimOutcome(ClaimStatus.MISMATCH)
_UNSURE = ClaimOutcome(ClaimStatus.UNSURE)
_NOBODY = [AWAY]
"""In place of the reply to a script, where a server of a Cluster did not answer."""


@cache
def _script(name: str) -> tuple[bytes, bytes]:
    """Return a script's body, after what stands before it, and its SHA-1 as EVALSHA wants it."""
    folder = files("liftgate.adapters").joinpath("lua")
    body = b"".join([folder.joinpath(part).read_bytes() for part in (*_BEFORE.get(name, ()), name)])
    return body, sha1(body, usedforsecurity=False).hexdigest().encode()


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
        self._chunk = 1 if client.clustered else CHUNK
        self._breaker = breaker or Breaker()
        self._budget_s = budget_ms / 1000
        self._horizon_ms = horizon_ms

    async def reserve(self, claims: Sequence[Claim], budget_s: float | None = None) -> Sequence[ClaimOutcome]:
        """See `pipeline.ports.Reservations`."""
        if not claims:
            return []
        size = self._chunk
        calls = [self._claims(claims[i : i + size]) for i in range(0, len(claims), size)]
        replies = await self._run("reserve.lua", calls, len(claims), budget_s)
        return [_MADE if reply == 0 else _outcome(reply) for chunk in replies for reply in chunk]

    async def look(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        """See `pipeline.ports.Reservations`."""
        known = [i for i, claim in enumerate(claims) if claim.request_id]
        outcomes = [_MADE] * len(claims)
        if not known:
            return outcomes
        keys = [redis_keys.request(claims[i].person_id, claims[i].request_id) for i in known]
        commands: list[Command] = [("MGET", key) for key in keys] if self._client.clustered else [("MGET", *keys)]
        replies = await guarded(self._client, self._breaker, commands, self._budget_s)
        check(replies)
        for i, value in zip(known, [value for reply in replies for value in reply], strict=True):
            outcomes[i] = _remembered(value, claims[i].fingerprint)
        return outcomes

    async def confirm(self, claims: Sequence[Claim]) -> None:
        """See `pipeline.ports.Reservations`."""
        known = [(redis_keys.request(claim.person_id, claim.request_id), claim.fingerprint) for claim in claims if claim.request_id]
        if known:
            size = self._chunk
            chunks = [known[i : i + size] for i in range(0, len(known), size)]
            calls = [([key for key, _ in chunk], [fingerprint for _, fingerprint in chunk]) for chunk in chunks]
            replies = await self._run("confirm.lua", calls, len(known))
            if self._parted and _NOBODY in replies:
                raise StoreUnavailable("redis: a server of the Cluster is away")

    def _claims(self, claims: Sequence[Claim]) -> tuple[list[bytes], list[bytes]]:
        """Return keys and arguments of one call of `reserve.lua`."""
        keys: list[bytes] = []
        arguments: list[bytes] = []
        totals, horizon_ms = _total_keys(claims), self._horizon_ms
        for claim in claims:
            tag, watched, account = redis_keys.tag(claim.person_id), claim.watch, claim.account
            keys.append(tag + (b"g" if claim.ghost else b"h"))
            flags = _REQUEST if claim.request_id else 0
            if account is not None or claim.totals:
                flags |= (_ACCOUNT if account is not None else 0) | (_TOTALS if claim.totals else 0) | (_GHOST if claim.ghost else 0)
            if claim.partly:
                flags |= _PARTLY
            header = _HEADER.pack(claim.fingerprint, claim.reservation_id, claim.now_ms, horizon_ms, flags, len(watched.entries))
            header += watched.packed
            arguments.append(header + _charges(claim.charges) if claim.charges else header)
            if claim.request_id:
                keys.append(redis_keys.request(claim.person_id, claim.request_id))
                # Joined: kilobytes of record are copied once.
                arguments.append(b"".join((_MEMORY.pack(b"P", claim.fingerprint, len(claim.response)), claim.response, claim.record)))
            if account is not None:
                keys.append(redis_keys.account(account.account_id, claim.ghost))
                if claim.ghost or claim.partly:
                    keys.append(redis_keys.account(account.account_id, claim.partly))
                arguments.append(_WATCHED.pack(len(account.watch.entries)) + account.watch.packed + _charges(account.charges))
            if claim.totals:
                arguments.append(b"".join([self._total(use, claim, totals) for use in claim.totals]))
            if claim.partly:
                keys.append(redis_keys.history(claim.person_id, True))
                arguments += [_charges(claim.withheld), *([] if account is None else [_charges(account.withheld)])]
        arguments.append(_COUNTS.pack(len(claims), len(totals)))
        return [*totals, *keys], arguments

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
            claimed = _MEMORY.pack(b"P", claim.fingerprint, len(claim.response)) + claim.response
            instead = _MEMORY.pack(b"L", claim.fingerprint, len(response)) + response if response else b""
            header = _AMENDED.pack(claim.reservation_id, self._horizon_ms, flags)
            calls.append((keys, [header, claimed, instead, *receipts]))
        replies = await self._run("amend.lua", calls, len(calls)) if calls else []
        return [i for i, reply in enumerate(replies) if reply == _NOBODY] if self._parted else ()

    async def _run(self, name: str, calls: Sequence[ScriptCall], people: int, budget_s: float | None = None) -> list[Any]:
        allowed_s = allowance_s(self._budget_s, people)
        allowed_s = allowed_s if budget_s is None else min(budget_s, allowed_s)
        if self._parted:
            return await self._run_in_parts(name, calls, allowed_s)
        return await run_script(name, calls, self._client, self._breaker, allowed_s, allowed_s < self._budget_s)

    async def _run_in_parts(self, name: str, calls: Sequence[ScriptCall], budget_s: float) -> list[Any]:
        """Run a script on a Cluster; where a server does not answer, `_NOBODY` stands for its reply. Raises when none does."""
        hurried = budget_s < self._budget_s
        parts = Parts.of(self._client, hurried)
        assert parts is not None
        replies = await run_script(name, calls, parts, self._breaker, budget_s, hurried)
        if len(parts.unanswered) == len(calls):
            raise StoreUnavailable("redis: no server that was asked answered")
        return replies


ScriptCall = tuple[list[bytes], list[bytes]]
"""Keys and arguments."""


async def run_script(
    name: str,
    calls: Sequence[ScriptCall],
    client: Calling,
    breaker: Breaker,
    budget_s: float,
    hurried: bool = False,
    beside: Sequence[Command] = (),
) -> list[Any]:
    """Run a script once for each call, in one round trip; where a server does not know it yet, send it along in another.

    `beside` are sent after them in the same round trip; their replies are checked and left out.
    """
    body, digest = _script(name)
    commands: list[Command] = [("EVALSHA", digest, len(keys), *keys, *arguments) for keys, arguments in calls]
    commands += beside
    loop = asyncio.get_running_loop()
    deadline = loop.time() + budget_s
    replies = await guarded(client, breaker, commands, budget_s, hurried)
    unknown = [i for i, reply in enumerate(replies) if isinstance(reply, hiredis.ReplyError) and code(reply) == "NOSCRIPT"]
    if unknown:
        again = await guarded(client, breaker, [("EVAL", body, *commands[i][2:]) for i in unknown], deadline - loop.time(), hurried)
        for i, reply in zip(unknown, again, strict=True):
            replies[i] = reply
    check(replies)
    return replies[: len(calls)]


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
    raise StoreUnavailable("redis: reserve.lua gave an unknown answer")


def _remembered(value: bytes | None, fingerprint: bytes) -> ClaimOutcome:
    """Read a request key as `reserve.lua` does."""
    if value is None:
        return _MADE
    if len(value) < _MEMORY.size:
        return _MISMATCH
    state, known, length = _MEMORY.unpack_from(value)
    end = _MEMORY.size + length
    if known != fingerprint or len(value) < end:
        return _MISMATCH
    if state == b"L":
        return ClaimOutcome(ClaimStatus.DUPLICATE_LOGGED, response=value[_MEMORY.size : end])
    if state == b"P":
        return ClaimOutcome(ClaimStatus.DUPLICATE_PENDING, response=value[_MEMORY.size : end], record=value[end:])
    return _MISMATCH
