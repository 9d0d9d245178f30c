"""What counts now against caps, contact policies and pauses: of a person, an account, or in total. As plain data and as plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import Command, check, connect
from liftgate.bundle.compiled import Bundle
from liftgate.domain.calendar import Calendar
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.offer import Cap
from liftgate.domain.reason import Reason
from liftgate.domain.total_counter import BUCKET, paced
from liftgate.pipeline.cap_charges import receipt_id

_BUDGET_MS = 5_000.0
_DAMAGED = "damaged: counts as used up, and nothing under a cap is shown"


async def of_person(url: str, person_id: str, bundle: Bundle, now_ms: int) -> dict[str, Any]:
    """Read what counts of a person. Raises StoreUnavailable, ValueError on a wrong URL."""
    real, ghost = await _get(url, [redis_keys.history(person_id, side) for side in (False, True)])
    caps = [cap for cap in bundle.caps if cap.scope == "person"]
    found = {"scope": "person", "id": person_id, "counts": _histories(real, caps, bundle, now_ms)}
    return found | ({"counts_as_held_out": _histories(ghost, caps, bundle, now_ms)} if ghost else {})


async def of_account(url: str, account_id: str, bundle: Bundle, now_ms: int) -> dict[str, Any]:
    """Read what counts of an account. Raises StoreUnavailable, ValueError on a wrong URL."""
    real, ghost = await _get(url, [redis_keys.account(account_id, side) for side in (False, True)])
    caps = [cap for cap in bundle.caps if cap.scope == "account"]
    found = {"scope": "account", "id": account_id, "counts": _histories(real, caps, bundle, now_ms)}
    return found | ({"counts_as_held_out": _histories(ghost, caps, bundle, now_ms)} if ghost else {})


async def in_total(url: str, bundle: Bundle, now_ms: int) -> dict[str, Any]:
    """Read what counts in total. Raises StoreUnavailable, ValueError on a wrong URL."""
    caps = [cap for cap in bundle.caps if cap.scope == "total"]
    values = await _get(url, [redis_keys.total(cap.cap_id, side) for cap in caps for side in (False, True)])
    counts = [_total(cap, values[2 * i], bundle, now_ms) for i, cap in enumerate(caps)]
    for one, ghost in zip(counts, values[1::2], strict=True):
        if ghost:
            one["would_have_been_used_by_held_out"] = _used(ghost, now_ms)[0]
    return {"scope": "total", "counts": counts}


async def _get(url: str, keys: list[bytes]) -> list[bytes | None]:
    if not keys:
        return []
    client = connect(url, _BUDGET_MS, 1)
    try:
        commands: list[Command] = [("GET", key) for key in keys]
        replies: list[bytes | None] = await client.call(commands)
        check(replies)
        return replies
    finally:
        await client.close()


def entry_names(bundle: Bundle) -> dict[bytes, str]:
    """Return what entries of contact history stand for, by their first eight bytes."""
    names = {cap.cap_id: cap.name for cap in bundle.caps}
    names |= {receipt_id(cap): f"receipt of {cap.name}" for cap in bundle.caps if cap.scope == "total"}
    return names | {pause.outcome_id: f"outcome kept for: {names[pause.cap_id]}" for pause in bundle.pauses}


def _histories(raw: bytes | None, caps: list[Cap], bundle: Bundle, now_ms: int) -> list[dict[str, Any]]:
    if raw and len(raw) % ENTRY.size:
        return [_row(cap) | {"damaged": True} for cap in caps]
    live = [entry for entry in ENTRY.iter_unpack(raw or b"") if entry[2] > now_ms]
    outcomes = {pause.cap_id: pause.outcome_id for pause in bundle.pauses}
    rows = []
    for cap in caps:
        mine = sorted(entry[2:] for entry in live if entry[0] == cap.cap_id)
        row = _row(cap)
        if cap.reason is Reason.PAUSED:
            kept = [entry for entry in live if entry[0] == outcomes.get(cap.cap_id)]
            rows.append(row | {"paused_until": _iso(mine[-1][0]) if mine else None, "outcomes_kept": len(kept)})
            continue
        entries = [{"until": _iso(until), "held_only": until != ends} for until, ends in mine]
        rows.append(row | {"used": len(mine), "limit": cap.limit, "entries": entries})
    return rows


def _row(cap: Cap) -> dict[str, Any]:
    kind = "pause" if cap.reason is Reason.PAUSED else "contact_policy" if cap.reason is Reason.CONTACT_POLICY else "cap"
    return {"kind": kind, "name": cap.name, "rule": cap.source}


def _used(raw: bytes | None, now_ms: int) -> tuple[int, list[tuple[float, int]]]:
    live = sorted((until, int(count)) for until, count in BUCKET.iter_unpack(raw or b"") if until > now_ms and count > 0)
    return sum(count for _, count in live), live


def _total(cap: Cap, raw: bytes | None, bundle: Bundle, now_ms: int) -> dict[str, Any]:
    if raw and len(raw) % BUCKET.size:
        return _row(cap) | {"damaged": True}
    used, live = _used(raw, now_ms)
    row = _row(cap) | {"used": used, "limit": cap.limit, "next_back": _iso(live[0][0]) if live else None}
    row["next_back_count"] = live[0][1] if live else 0
    if cap.even and cap.period is not None:
        start, end = Calendar(ZoneInfo(bundle.time_zone), {}).window(cap.period, now_ms)
        row["allowed_by_now"] = paced(cap.limit, start, end, now_ms)
    return row


def lines(found: dict[str, Any], everything: bool = False) -> list[str]:
    """Return what was found in plain words, a line each: what counts anything, or everything."""
    title = {"person": "Person", "account": "Account", "total": "In total"}[found["scope"]]
    said = [f"{title} {found['id']}" if "id" in found else title, *_said(found["counts"], everything)]
    if "counts_as_held_out" in found:
        said += ["As a held-out person, who is shown nothing of it:", *_said(found["counts_as_held_out"], everything)]
    return said


def _said(counts: list[dict[str, Any]], everything: bool) -> list[str]:
    if not counts:
        return ["  the bundle has no such cap"]
    shown = [one for one in counts if everything or _matters(one)]
    said = [f"  {one['name']} ({one['rule']})\n    {_state(one)}" for one in shown]
    rest = len(counts) - len(shown)
    also = "others " if shown else ""
    return said + ([f"  {rest:,} {also}have counted nothing (--all lists them)"] if rest else [])


def _matters(one: dict[str, Any]) -> bool:
    keys = ("damaged", "used", "paused_until", "outcomes_kept", "would_have_been_used_by_held_out")
    return any(one.get(key) for key in keys)


def _state(one: dict[str, Any]) -> str:
    if one.get("damaged"):
        return _DAMAGED
    if one["kind"] == "pause":
        kept = f"; {one['outcomes_kept']} kept" if one["outcomes_kept"] else ""
        return f"paused until {one['paused_until']}{kept}" if one["paused_until"] else f"not paused{kept}"
    used = f"{one['used']:,} of {one['limit']:,} used"
    if "entries" in one:
        until = [f"{'held ' if each['held_only'] else ''}until {each['until']}" for each in one["entries"]]
        longer = ", longer once it is shown" if any(each["held_only"] for each in one["entries"]) else ""
        return used + (f": {'; '.join(until)}{longer}" if until else "")
    paced_at = f", {one['allowed_by_now']:,} allowed by now" if "allowed_by_now" in one else ""
    many = "comes" if one["next_back_count"] == 1 else "come"
    back = f"; {one['next_back_count']:,} {many} back at {one['next_back']}" if one["next_back"] else ""
    ghosts = one.get("would_have_been_used_by_held_out", 0)
    return used + paced_at + back + (f"; held-out people would have used {ghosts:,}" if ghosts else "")


def _iso(at_ms: float) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "a time out of range"
