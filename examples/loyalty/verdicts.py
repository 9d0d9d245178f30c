"""Every member's decision over gRPC, and every feature and verdict in the log held against a plain reading of the file."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isclose, isnan
from pathlib import Path

from programme import COMPLETED, PAID, RECEIVED, VIEWED, Happened, Member, Offer, Programme
from proof import same
from service import Failed

from liftgate.client import AsyncClient, Request

PLACEMENT, PREFIX, BATCH, IN_FLIGHT, TIMEOUT_MS = "app.home", "loyalty-", 500, 2, 60_000.0
CHANNELS = ("web", "mobile")
"""Members ask in turns on one and the other; not every offer goes out on both."""
A_DAY = 24
COLUMNS = ["request_id", "decision_id", "offered", "candidate_offer_id", "candidate_reason", "inputs", "input_value"]


@dataclass(frozen=True, slots=True)
class Decided:
    """What the decision log says of all members."""

    chosen: Counter[str]
    reasons: Counter[str]
    """Of every candidate of every decision."""
    features: int
    """Values of features from events, equal to the file's."""


async def decide_all(target: str, programme: Programme, advance: Callable[[int], None]) -> list[str]:
    """Return each member's decision id. Raises Failed unless each was decided in full."""
    ids = [""] * len(programme.members)
    starts = iter(range(0, len(ids), BATCH))

    async def work(client: AsyncClient) -> None:
        for start in starts:
            rows = range(start, min(start + BATCH, len(ids)))
            requests = [
                Request(programme.members[row].person, PLACEMENT, channel=CHANNELS[row % 2], request_id=f"{PREFIX}{row}") for row in rows
            ]
            for row, decision in zip(rows, await client.decide_batch(requests), strict=True):
                if not decision.from_service or decision.degraded or len(decision.offers) != 1:
                    raise Failed(f"member {row} was not decided in full: {decision.reason}, status {decision.status}")
                ids[row] = decision.decision_id
            advance(len(rows))

    async with AsyncClient(target, timeout_ms=TIMEOUT_MS) as client:
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(IN_FLIGHT):
                    tasks.create_task(work(client))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
    return ids


def prove_decisions(log: Path, programme: Programme, ids: Sequence[str]) -> Decided:
    """Hold every decision to the file: each member once, each feature as counted, each offer judged by the rules. Raises Failed."""
    import pyarrow.parquet as pq

    rows = [row for path in sorted(log.rglob("decision-*.parquet")) for row in pq.read_table(path, columns=COLUMNS).to_pylist()]
    same("decisions", sorted(row["request_id"] for row in rows), sorted(f"{PREFIX}{number}" for number in range(len(ids))))
    of: defaultdict[str, list[Happened]] = defaultdict(list)
    for each in programme.log:
        of[each.person].append(each)
    last = max(each.hour for each in programme.log)
    chosen: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    compared = 0
    for row in rows:
        number = int(row["request_id"].removeprefix(PREFIX))
        member, who = programme.members[number], f"member {number}"
        same(f"decision id of {who}", row["decision_id"], ids[number])
        values = {each["name"].removeprefix("profile."): value for each, value in zip(row["inputs"], row["input_value"], strict=True)}
        wanted = features(of[member.person], last)
        for name, number_wanted in wanted.items():
            if not _equal(values[name], number_wanted if member.told else None):
                raise Failed(f"{who}: {name} is {values[name]}, by the file {number_wanted if member.told else None}")
        compared += len(wanted)
        said = dict(zip(row["candidate_offer_id"], row["candidate_reason"], strict=True))
        (offered,) = row["offered"]
        same(f"what {who} was offered", said[offered], "CHOSEN")
        looked = {each.offer for each in of[member.person] if each.what == VIEWED}
        ruled = {offer.name: verdict(offer, member, wanted, looked, CHANNELS[number % len(CHANNELS)]) for offer in programme.offers}
        same(f"verdicts for {who}", said, {name: "CHOSEN" if name == offered else why for name, why in ruled.items()})
        same(f"the verdict on what {who} was offered", ruled[offered], "ALLOWED")
        chosen[offered] += 1
        reasons.update(ruled.values())
    return Decided(chosen, reasons, compared)


def features(happened: Sequence[Happened], last: int) -> dict[str, float | None]:
    """Return one member's features from events, by plain counting; None: missing. `last` is the log's last hour."""
    count = Counter(each.what for each in happened)
    paid = [each.amount for each in happened if each.what == PAID]
    return {
        "received_7d": count[RECEIVED],
        "viewed_7d": count[VIEWED],
        "completed_7d": count[COMPLETED],
        "purchases_7d": count[PAID],
        "spend_7d": sum(paid),
        # Decisions are made one to two hours after the log's last hour began.
        "spend_1d": sum(each.amount for each in happened if each.what == PAID and last - each.hour <= A_DAY - 2),
        "basket_7d": sum(paid) / len(paid) if paid else None,
        "view_rate_7d": count[VIEWED] / count[RECEIVED] if count[RECEIVED] else None,
        "offers_viewed_7d": len({each.offer for each in happened if each.what == VIEWED}),
        "rewards_7d": sum(each.amount for each in happened if each.what == COMPLETED),
    }


def verdict(offer: Offer, member: Member, values: Mapping[str, float | None], looked: set[str], channel: str) -> str:
    """Return the reason that the bundle's rules give, read anew: a second pair of eyes."""
    if channel not in offer.channels:
        return "CHANNEL_NOT_ALLOWED"
    if offer.kind == "informational" or offer.difficulty >= 20:
        if not member.told:
            return "SUITABILITY_UNKNOWN"
        if offer.kind == "informational" and values["viewed_7d"]:
            return "NOT_SUITABLE"
        if offer.difficulty >= 20 and (values["spend_1d"] or 0.0) < 10.0:
            return "NOT_SUITABLE"
    return "FREQUENCY_CAP" if offer.name in looked else "ALLOWED"


def _equal(found: float | None, wanted: float | None) -> bool:
    missing = found is None or isnan(found)
    return missing if wanted is None else found is not None and not missing and isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-6)
