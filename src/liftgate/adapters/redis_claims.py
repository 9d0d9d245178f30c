"""Claims as `lua/reserve.lua` takes them, and where their records wait: a lone one's under a key of its own, those of one call together."""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import attrgetter
from os import urandom
from struct import Struct

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import Command
from liftgate.adapters.redis_script import ScriptCall
from liftgate.pipeline.ports import NOTHING_WATCHED, Charge, Claim, TotalUse

RECORD_LEEWAY_MS = 1_000
"""A record that waits for its log outlives the answer that leads to it by this: an answer without its record is a logged one."""

_HEAD = Struct("<dBHHH8s")
_PLACE = Struct("<16sII")
_TOTAL = Struct("<HHdddd8sB")
_COUNTS = Struct("<HHHHHB")
_WATCHED = Struct("<H")
_REQUEST, _ACCOUNT, _GHOST, _PARTLY = 1, 2, 8, 16
"""Flags, as the script names them."""
_CHARGE = Struct("<8sddd")
_MEMORY = Struct("<c8sI")


class Together:
    """Records of one call, under one key."""

    __slots__ = ("name", "waiting")

    def __init__(self) -> None:
        self.name = hexlify(urandom(8))
        self.waiting = 0
        """How many of them belong to claims that were made."""


class ClaimScript:
    """Makes calls of `reserve.lua`. `horizon_ms` is the retry horizon."""

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._horizon = b"%d" % horizon_ms
        self._record_life = b"%d" % (horizon_ms + RECORD_LEEWAY_MS)

    def call(self, claims: Sequence[Claim], records: list[Command]) -> ScriptCall:
        """Return keys and arguments of one call of `reserve.lua`; add to `records` what stores the claims' records before it."""
        keys: list[bytes] = []
        heads: list[bytes] = []
        arguments: list[bytes] = [b""]
        together = None if len(claims) == 1 else Together()
        waiting: list[bytes] = []
        begin = 0
        # What few claims have is looked for in all of them at once, and what many have in common is packed once.
        more = any(map(any, map(_beyond_person, claims)))
        wide = more and any(map(any, map(_beside, claims)))
        totals: dict[bytes, int] = {}
        watches: dict[bytes, int] = {}
        # By the identity of what is charged, which the claims hold.
        choices: dict[int, int] = {}
        sections: list[bytes] = []
        uses, counted = self._uses(claims, totals) if more else (repeat(0), [])
        watch, which = NOTHING_WATCHED, 0
        tag_of, head_of, memory_of, place_of, life = redis_keys.tag, _HEAD.pack, _MEMORY.pack, _PLACE.pack, self._record_life
        for claim, use in zip(claims, uses, strict=False):
            tag, reservation = tag_of(claim.person_id), claim.reservation_id
            if claim.watch is not watch:
                watch = claim.watch
                which = watches.setdefault(watch.packed, len(watches) + 1) if watch.packed else 0
            charges, request_id, response = claim.charges, claim.request_id, claim.response
            choice = choices.get(id(charges)) if charges else 0
            if choice is None:
                sections.append(_charges(charges))
                choice = choices[id(charges)] = len(sections)
            flags = _REQUEST if request_id else 0
            if wide and (claim.partly or claim.account is not None):
                flags |= _ACCOUNT * (claim.account is not None) | _GHOST * claim.ghost | _PARTLY * claim.partly
            heads.append(head_of(claim.now_ms, flags, which, choice, use, reservation))
            keys.append(tag + (b"g" if claim.ghost else b"h"))
            if request_id:
                keys.append(tag + b"r:" + request_id.encode("utf-8", "surrogatepass"))
                record = claim.record
                # On its way before the claim: where the claim is made, its record is there already.
                if together is None:
                    place = hexlify(reservation)
                    records.append(("SET", tag + b"q:" + place, record, b"PX", life))
                else:
                    place = place_of(together.name, begin, len(record))
                    claim.kept = together, place
                    waiting.append(record)
                    begin += len(record)
                arguments.append(memory_of(b"L", claim.fingerprint, len(response)) + response + place)
            if flags > _REQUEST:
                self._more(claim, keys, arguments, watches)
        if together is not None and waiting:
            together.waiting = len(waiting)
            keys.append(redis_keys.records(together.name))
            records.append(("SET", keys[-1], b"".join(waiting), b"PX", life))
        arguments[0] = b"".join(heads)
        arguments += counted
        arguments += sections
        arguments += watches
        arguments.append(_COUNTS.pack(len(claims), len(totals), len(counted), len(sections), len(watches), bool(waiting)) + self._horizon)
        return [*totals, *keys], arguments

    def _more(self, claim: Claim, keys: list[bytes], arguments: list[bytes], watches: dict[bytes, int]) -> None:
        """Add what a claim over more than one person's history needs."""
        account = claim.account
        if account is not None:
            keys.append(redis_keys.account(account.account_id, claim.ghost))
            if claim.ghost or claim.partly:
                keys.append(redis_keys.account(account.account_id, claim.partly))
            watched = account.watch.packed
            which = watches.setdefault(watched, len(watches) + 1) if watched else 0
            arguments.append(_WATCHED.pack(which) + _charges(account.charges))
        if claim.partly:
            keys.append(redis_keys.history(claim.person_id, True))
            arguments += [_charges(claim.withheld), *([] if account is None else [_charges(account.withheld)])]

    def _uses(self, claims: Sequence[Claim], places: dict[bytes, int]) -> tuple[Iterable[int], list[bytes]]:
        """Return which use of total counters each claim has, from 1, 0: none, and the uses; `places` are the counters' among the keys."""
        # By the identity of what is used, like charges.
        keys = list(zip(map(id, map(_used_by, claims)), map(_ghost_of, claims), map(_partly_of, claims), map(_now_of, claims), strict=True))
        numbers, counted = {}, []
        for key, claim in dict(zip(keys, claims, strict=True)).items():
            if claim.totals:
                counted.append(self._totals(claim.totals, claim.ghost or claim.partly, claim.now_ms, places))
            numbers[key] = len(counted) if claim.totals else 0
        return map(numbers.__getitem__, keys), counted

    def _totals(self, used: Sequence[TotalUse], own: bool, now_ms: int, places: dict[bytes, int]) -> bytes:
        """Return uses of total counters as the script takes them. `own`: charges go to the ghost counters, which then have places too."""
        lasting, parts = now_ms + self._horizon_ms, []
        for use in used:
            real = mine = places.setdefault(redis_keys.total(use.cap_id, False), len(places) + 1)
            if own:
                mine = places.setdefault(redis_keys.total(use.cap_id, True), len(places) + 1)
            until, charges = use.bucket_until_ms, use.count + 16 * use.withheld
            parts.append(_TOTAL.pack(real, mine, use.most, use.limit, until, until if use.leased else lasting, use.receipt_id, charges))
        return b"".join(parts)


def waiting_for(claims: Sequence[Claim]) -> tuple[list[bytes], list[Claim]]:
    """Return the keys of what waits for these claims alone, and the claims whose records lie with those of others that still wait."""
    records: list[bytes] = []
    groups: dict[Together, list[Claim]] = {}
    for claim in claims:
        if claim.request_id:
            if claim.kept is None:
                records.append(redis_keys.tag(claim.person_id) + b"q:" + hexlify(claim.reservation_id))
            else:
                groups.setdefault(claim.kept[0], []).append(claim)
    apart: list[Claim] = []
    for together, some in groups.items():
        if len(some) == together.waiting:
            records.append(redis_keys.records(together.name))
        else:
            apart += some
    return records, apart


def remembered(fingerprint: bytes, response: bytes, place: bytes) -> bytes:
    """Return what a claim puts under its request key: `lua/remembered.lua` has the layout."""
    return _MEMORY.pack(b"L", fingerprint, len(response)) + response + place


_beyond_person, _beside = attrgetter("account", "totals", "partly"), attrgetter("account", "partly")
_used_by, _ghost_of, _partly_of, _now_of = attrgetter("totals"), attrgetter("ghost"), attrgetter("partly"), attrgetter("now_ms")


def _charges(charges: Sequence[Charge]) -> bytes:
    return b"".join([_CHARGE.pack(each.cap_id, each.limit, each.live_until_ms, each.until_ms) for each in charges])
