"""Generated consent states: twenty bytes become one case, so that a batch holds hundreds, and a failing one shrinks to few bytes.

`granted`, `allowed` and what they call are the reference, written from docs/guardrails.md and from nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import inf
from typing import Any

NOW = 1_781_524_800_000
"""The true time; a case's clock may read another."""
BYTES = 20
PURPOSES = ("personalization", "marketing_email", "experiments")

BUNDLE = """
bundle: consents
currency: EUR
time_zone: UTC
profile_purpose: personalization
experiment_purpose: experiments
features:
  age: {type: int}
  country: {type: string, values: [DE, FR, NL]}
  last_purchase_at: {type: timestamp}
  spend: {type: float, default: 10.0, max_age: 1d}
context:
  basket: {type: float}
purposes:
  personalization: {denied_by: [gpc], default: {EU: deny, US: allow}}
  marketing_email: {default: {US: allow}}
  experiments: {denied_by: [gpc], default: {EU: deny, US: allow}}
channel_permissions: {email: marketing_email}
models:
  likes: {version: 1, outcome: click, horizon: 1d}
offers:
  plain: {value: 1.0}
  personal: {value: 9.0, propensity: likes, purposes: [personalization]}
  mailed: {value: 8.0, purposes: [marketing_email]}
  both: {value: 7.0, purposes: [marketing_email, personalization]}
  grown: {value: 6.0, eligible_if: 'profile.age >= 18'}
  rare: {value: 5.0, purposes: [personalization], caps: [{max: 3, per: 7d}]}
  greeting: {value: 1.0}
  greeting-by-name: {value: 1.0, purposes: [personalization]}
placements:
  open: {offers: [plain, personal, mailed, both, grown, rare], default_offer: greeting, slots: 2,
         select: {policy: epsilon_greedy, epsilon: 0.5}}
  closed: {offers: [personal, mailed, both, rare], default_offer: greeting-by-name, select: {policy: epsilon_greedy, epsilon: 0.3}}
  bare: {offers: [both], select: {policy: epsilon_greedy, epsilon: 0.0}}
layers:
  half: {kind: holdout, unit: person, salt: consents-half, share: 0.5, answer: default_offer}
"""
PLACEMENTS = {
    "open": (("plain", "personal", "mailed", "both", "grown", "rare"), "greeting"),
    "closed": (("personal", "mailed", "both", "rare"), "greeting-by-name"),
    "bare": (("both",), None),
}
NEEDS = {
    "plain": (),
    "personal": ("personalization",),
    "mailed": ("marketing_email",),
    "both": ("marketing_email", "personalization"),
    "grown": (),
    "rare": ("personalization",),
    "greeting": (),
    "greeting-by-name": ("personalization",),
}
DEFAULTS = {
    "personalization": {"EU": False, "US": True},
    "marketing_email": {"US": True},
    "experiments": {"EU": False, "US": True},
}
_ABSENT = object()
_STATUSES = ("granted",) * 6 + ("denied", "withdrawn", "expired", "pending", "objected", "sure", "GRANTED", "", 1, None, _ABSENT)
_GIVEN = (_ABSENT,) * 3 + (NOW - 5000, NOW - 1000, NOW - 1, NOW, NOW + 1, NOW + 90_000_000, float(NOW - 7), None, "now", True)
_EXPIRES: tuple[Any, ...] = (_ABSENT,) * 4 + (None, NOW - 1000, NOW, NOW + 1, NOW + 2, NOW + 90_000_000, NOW + 0.5, "never", False, [])
_WITHDRAWN = (_ABSENT,) * 8 + (None, NOW - 6000, NOW - 1000, NOW - 1, NOW, NOW + 1, NOW + 90_000_000, "x", True)
_STORED_JURISDICTION = (_ABSENT,) * 4 + ("EU", "US", "US", "XX", "", 7, ["US"])
_DOCUMENTS = ("whole",) * 12 + ("none",) * 4 + ("v2", "v text", "no v", "list", "purposes list", "no purposes", "cut", "empty", "noise")
_CLOCKS = (0,) * 4 + (-90_000_000, -1000, -1, 1, 1000, 90_000_000)
_CHANNELS = ("web", "web", "app", "email", "email", "")
_ASKED_JURISDICTION = ("",) * 3 + ("EU", "US", "XX")


@dataclass(slots=True)
class Case:
    """One person, what is stored about them, and what is asked."""

    raw: bytes | None
    """The stored consent document."""
    document: Any
    """The same as plain data; None: it is no JSON, or nothing is stored."""
    profile: str
    """found, child, missing or damaged."""
    placement: str
    channel: str
    jurisdiction: str
    gpc: bool
    clock_ms: int
    """What the decision's clock reads."""
    listed: bool
    """The caller names the candidates itself."""
    store_down: bool = False


def case_of(given: bytes) -> Case:
    """Return the case that twenty bytes mean."""
    kind = _DOCUMENTS[given[0] % len(_DOCUMENTS)]
    records: dict[str, Any] = {}
    for i, purpose in enumerate(PURPOSES):
        record = _record(given[1 + 4 * i : 5 + 4 * i])
        if record is not _ABSENT:
            records[purpose] = record
    document, raw = _document(kind, records)
    return Case(
        raw=raw,
        document=document,
        profile=("found", "found", "found", "child", "missing", "damaged")[given[13] % 6],
        placement=("open", "open", "closed", "bare")[given[14] % 4],
        channel=_CHANNELS[given[15] % len(_CHANNELS)],
        jurisdiction=_ASKED_JURISDICTION[given[16] % len(_ASKED_JURISDICTION)],
        gpc=given[17] % 4 == 0,
        clock_ms=NOW + _CLOCKS[given[18] % len(_CLOCKS)],
        listed=given[19] % 5 == 0,
    )


def _record(given: bytes) -> Any:
    shape = given[0] % 16
    if shape < 3:
        return _ABSENT
    if shape < 6:
        return (None, "granted", ["granted"])[shape - 3]
    named = {
        "status": _STATUSES[given[1] % len(_STATUSES)],
        "given_at_ms": _GIVEN[given[2] % len(_GIVEN)],
        "expires_at_ms": _EXPIRES[given[3] % len(_EXPIRES)],
        "withdrawn_at_ms": _WITHDRAWN[(given[2] ^ given[3]) % len(_WITHDRAWN)],
        "jurisdiction": _STORED_JURISDICTION[given[0] // 16 % len(_STORED_JURISDICTION)],
    }
    return {name: value for name, value in named.items() if value is not _ABSENT}


def _document(kind: str, records: dict[str, Any]) -> tuple[Any, bytes | None]:
    if kind == "none":
        return None, None
    document: Any = {"v": 1, "policy_version": "p", "purposes": records}
    if kind == "v2":
        document["v"] = 2
    elif kind == "v text":
        document["v"] = "1"
    elif kind == "no v":
        del document["v"]
    elif kind == "no purposes":
        del document["purposes"]
    elif kind == "list":
        document = [document]
    elif kind == "purposes list":
        document["purposes"] = list(records.items())
    raw = json.dumps(document).encode()
    broken = {"cut": raw[:-1], "empty": b"", "noise": b"\xff\x00" + raw}
    return (None, broken[kind]) if kind in broken else (document, raw)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def granted(case: Case, purpose: str) -> bool:
    """The reference: may this purpose be pursued for this person, as the decision's clock reads?"""
    if case.store_down or (case.gpc and purpose in ("personalization", "experiments")):
        return False
    absent = object()
    if case.raw is None:
        record = absent
    else:
        document = case.document
        if not isinstance(document, dict) or document.get("v") != 1 or not isinstance(document.get("purposes"), dict):
            return False
        record = document["purposes"].get(purpose, absent)
    if record is absent:
        return DEFAULTS[purpose].get(case.jurisdiction or _stored_jurisdiction(case), False)
    if not isinstance(record, dict) or record.get("status") != "granted":
        return False
    given, expires, withdrawn = record.get("given_at_ms", 0), record.get("expires_at_ms"), record.get("withdrawn_at_ms")
    expires, withdrawn = inf if expires is None else expires, -inf if withdrawn is None else withdrawn
    if not (_number(given) and _number(expires) and _number(withdrawn)):
        return False
    return bool(withdrawn < given <= case.clock_ms < expires)


def _stored_jurisdiction(case: Case) -> str:
    if case.document is None:
        return ""
    records = list(case.document["purposes"].values())
    if not all(isinstance(record, dict) for record in records):
        return ""
    named = [record["jurisdiction"] for record in records if record.get("jurisdiction", "") != ""]
    same = bool(named) and all(isinstance(one, str) and one == named[0] for one in named)
    return named[0] if same else ""


def allowed(case: Case, offer: str) -> bool:
    """The reference: may this offer be shown to this person on this channel?"""
    contact = ["marketing_email"] if case.channel in ("email", "") else []
    if not all(granted(case, purpose) for purpose in [*NEEDS[offer], *contact]):
        return False
    if offer == "grown":
        return case.profile == "found" and granted(case, "personalization")
    return True
