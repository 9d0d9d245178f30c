"""What counts already, for golden cases: entries of contact histories and counts in total counters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from liftgate.adapters import redis_keys
from liftgate.domain.contact_history import ENTRY, live_counts
from liftgate.domain.offer import Cap
from liftgate.domain.reason import Reason
from liftgate.domain.total_counter import BUCKET, total_count
from liftgate.pipeline.cap_charges import receipt_id
from liftgate.pipeline.ports import AccountClaim, Charge, Claim, TotalUse
from tests.pipeline.workbench import NOW_MS, Bench

HOUR_MS = 3_600_000
ACCOUNT = "home"


def counter_of(bench: Bench, name: str, what: str = "") -> Cap:
    """Return the cap of an offer (the `what`-th: 0 unless said), the pause of an offer (`pause`), or a channel's policy (`contact`)."""
    bundle = bench.live.bundle
    if what == "contact":
        return next(cap for cap in bundle.caps if cap.channel == name and cap.reason is Reason.CONTACT_POLICY)
    index = bundle.offer_index[name]
    if what == "pause":
        return min((cap for cap in bundle.caps if cap.reason is Reason.PAUSED and index in cap.offers), key=lambda cap: len(cap.offers))
    return bundle.caps[bundle.offer_caps[index][int(what or 0)]]


async def use_up(bench: Bench, person: str, used: Sequence[dict[str, Any]], ghost: bool = False) -> None:
    """Store counts: `{of: OFFER, what: 0 | pause | contact, times: 1, for_h: 1}`. An account's counts are those of `home`."""
    await bench.client.call([("DEL", redis_keys.account(ACCOUNT, False), redis_keys.account(ACCOUNT, True))])
    totals = [redis_keys.total(cap.cap_id, ghost) for cap in bench.live.bundle.caps for ghost in (False, True)]
    if totals:
        await bench.client.call([("DEL", *totals)])
    histories: dict[bytes, bytes] = {}
    for one in used:
        cap = counter_of(bench, one["of"], str(one.get("what", "")))
        until = float(NOW_MS + one.get("for_h", 1) * HOUR_MS)
        if cap.scope == "total":
            await bench.put(redis_keys.total(cap.cap_id, ghost), BUCKET.pack(until, one.get("times", 1)))
            continue
        key = redis_keys.history(person, ghost) if cap.scope == "person" else redis_keys.account(ACCOUNT, ghost)
        histories[key] = histories.get(key, b"") + ENTRY.pack(cap.cap_id, b"earlier!", until, until) * one.get("times", 1)
    for key, raw in histories.items():
        await bench.put(key, raw)


async def counted(bench: Bench, offer: str, ghost: bool = False) -> list[int]:
    """Return what each cap of the offer by account (`home`) or in total counts now, real ones or ghosts."""
    found = []
    for cap in (bench.live.bundle.caps[c] for c in bench.live.bundle.offer_caps[bench.live.bundle.offer_index[offer]]):
        if cap.scope == "total":
            (raw,) = await bench.client.call([("GET", redis_keys.total(cap.cap_id, ghost))])
            found.append(total_count(raw, NOW_MS))
        elif cap.scope == "account":
            (raw,) = await bench.client.call([("GET", redis_keys.account(ACCOUNT, ghost))])
            ids = np.frombuffer(cap.cap_id, dtype="<u8")
            found.append(int(live_counts([raw], ids, np.array([NOW_MS]))[0, 0]))
    return found


def claim_of(bench: Bench, person: str, one: dict[str, Any]) -> Claim:
    """Return someone else's claim on a counter, as `use_up` names it."""
    cap = counter_of(bench, one["of"], str(one.get("what", "")))
    until = NOW_MS + HOUR_MS
    charge = Charge(cap.cap_id, 99, until, until)
    claim = Claim(person, False, "", b"rival...", b"rivalid.", (), NOW_MS, b"", b"")
    if cap.scope == "person":
        claim.charges = (charge,)
    elif cap.scope == "account":
        claim.account = AccountClaim(ACCOUNT, (charge,))
    else:
        claim.totals = (TotalUse(cap.cap_id, receipt_id(cap), 10**9, 10**9, until, False, one.get("times", 1)),)
    return claim
