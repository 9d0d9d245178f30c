"""What Liftgate is given: the offers as a bundle's catalog, the members as people, the log as events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

from programme import COMPLETED, PAID, RECEIVED, VIEWED, Happened, Programme

HOUR_MS = 3_600_000
LEAST = 0.10
"""US dollars that an offer is worth which draws no spending of its own."""
KINDS = {RECEIVED: "offer_received", VIEWED: "exposure", COMPLETED: "offer_completed", PAID: "purchase"}
"""What each line becomes: a custom event of the bundle, or a kind."""
POLICY_VERSION = "loyalty-terms-2018"


def write_bundle(programme: Programme, source: Path, folder: Path) -> Path:
    """Write the bundle: what is in `source`, and the portfolio beside it. Return its folder."""
    copytree(source, folder)
    received, completed = programme.counts(RECEIVED), programme.counts(COMPLETED)
    offers: dict[str, Any] = {}
    for offer in programme.offers:
        rate = completed[offer.name] / received[offer.name] if received[offer.name] else 0.0
        offers[offer.name] = {
            "group": offer.kind,
            # The least that it drew from a member who received it, in the log's thirty hours.
            "value": round(max(rate * offer.difficulty, LEAST), 2),
            "channels": sorted(offer.channels),
            # Whoever has looked at it needs no second look while it runs.
            "caps": [{"max": 1, "per": f"{offer.days}d", "counts": "exposure"}],
            "payload": {"reward": offer.reward, "difficulty": offer.difficulty, "days": offer.days, "portfolio_id": offer.key},
        }
        if offer.difficulty >= 20:
            offers[offer.name]["suitable_if"] = "profile.spend_1d >= 10.0"
    head = "# Written by run.py from the programme's portfolio. JSON is YAML too.\n"
    (folder / "offers.yaml").write_text(head + json.dumps({"offers": offers}, indent=2) + "\n", encoding="utf-8")
    return folder


def write_people(programme: Programme, path: Path) -> Path:
    """Write the members as JSON lines for `liftgate profiles load`: what was not said is missing, consent as README.md assumes it."""
    with path.open("w", encoding="utf-8") as file:
        for member in programme.members:
            row = {
                "person_id": member.person,
                "age": member.age,
                "gender": member.gender,
                "income": member.income,
                "member_since": member.since,
                "consent.programme": "granted",
                "consent.programme:basis": "contract",
                "consent.programme:policy_version": POLICY_VERSION,
                "consent.personalization": "granted" if member.told else "denied",
                "consent.personalization:basis": "consent",
                "consent.personalization:policy_version": POLICY_VERSION,
            }
            file.write(json.dumps(row) + "\n")
    return path


def moments(programme: Programme, last_hour_ms: int) -> Iterator[tuple[Happened, int]]:
    """Yield each line and when it happened, in milliseconds since the Unix epoch.

    The log's last hour begins at `last_hour_ms`. Within an hour lines keep their order: each is a millisecond after the one before.
    """
    last = max((each.hour for each in programme.log), default=0)
    passed: dict[int, int] = {}
    for each in programme.log:
        at = passed[each.hour] = passed.get(each.hour, -1) + 1
        yield each, last_hour_ms - (last - each.hour) * HOUR_MS + at


def write_events(programme: Programme, last_hour_ms: int, path: Path) -> Path:
    """Write the log as JSON lines for `liftgate events import`; the line's number is the event's id."""
    with path.open("w", encoding="utf-8") as file:
        for each, at_ms in moments(programme, last_hour_ms):
            signal = KINDS[each.what]
            custom = signal.startswith("offer_")
            event: dict[str, Any] = {
                "event_id": f"transcript-{each.line}",
                "kind": "custom" if custom else signal,
                "person_id": each.person,
                "occurred_at_ms": at_ms,
            }
            event |= {"name": signal} if custom else {}
            event |= {"offer_id": each.offer} if each.offer else {}
            event |= {"value": each.amount, "currency": "USD"} if each.what in (PAID, COMPLETED) else {}
            file.write(json.dumps(event) + "\n")
    return path
