"""Per-decision review: what a reviewer said about showing one offer to one person, as it is stored with the person. Pure.

    {"v": 1, "verdicts": {"loan": {"approved": true, "by": "ben", "at_ms": ..., "asked_at_ms": ..., "until_ms": ..., "review_id": "d-...",
        "digest": "..."}}}

A verdict counts while now < until_ms and while the offer is what it was: its digest is part of it. What cannot be read is no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

PREFIX = "d-"
"""Ids of decisions under review begin with it; those of offers are hexadecimal."""


@dataclass(frozen=True, slots=True)
class EachDecision:
    """What a bundle says about an offer whose every decision is reviewed."""

    digest: str
    """Of what the offer is: a verdict about another text is none."""
    role: str
    """Who may decide."""
    valid_for_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reviewer said."""

    approved: bool
    by: str
    at_ms: int
    asked_at_ms: int
    until_ms: int
    review_id: str
    digest: str

    def document(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "approved": self.approved,
            "by": self.by,
            "at_ms": self.at_ms,
            "asked_at_ms": self.asked_at_ms,
            "until_ms": self.until_ms,
            "review_id": self.review_id,
            "digest": self.digest,
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """One decision that waits for a reviewer."""

    review_id: str
    decision_id: str
    person_id: str
    """Needed to store the verdict; shown to nobody."""
    pseudonym: str
    """Hexadecimal, as in the decision log."""
    offer_id: str
    placement_id: str
    bundle: str
    digest: str
    role: str
    valid_for_ms: int
    asked_at_ms: int
    explanation: str


def review_id_of(pseudonym: bytes, offer_id: str, digest: str) -> str:
    """Return the id under which showing an offer to a person is reviewed: asked again, it is the same."""
    return PREFIX + blake2b(b"\0".join((pseudonym, offer_id.encode(), digest.encode())), digest_size=16).hexdigest()


def parse(raw: bytes | None) -> dict[str, Verdict]:
    """Return the stored verdicts by offer; those that cannot be read are left out."""
    if not raw:
        return {}
    try:
        document: Any = orjson.loads(raw)
        found = document["verdicts"] if document["v"] == 1 else {}
        return {offer_id: verdict for offer_id, one in found.items() if (verdict := _one(one)) is not None}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _one(one: Any) -> Verdict | None:
    try:
        verdict = Verdict(one["approved"], one["by"], one["at_ms"], one["asked_at_ms"], one["until_ms"], one["review_id"], one["digest"])
    except (KeyError, TypeError):
        return None
    times = (verdict.at_ms, verdict.asked_at_ms, verdict.until_ms)
    texts = (verdict.by, verdict.review_id, verdict.digest)
    fine = type(verdict.approved) is bool and all(type(ms) is int for ms in times) and all(isinstance(text, str) for text in texts)
    return verdict if fine else None


def stored(verdicts: Mapping[str, Verdict]) -> bytes:
    """Return the stored form."""
    return orjson.dumps(
        {"v": 1, "verdicts": {offer: verdict.document() for offer, verdict in verdicts.items()}}, option=orjson.OPT_SORT_KEYS
    )
