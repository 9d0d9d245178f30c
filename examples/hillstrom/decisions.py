"""Asks for every customer's decision over gRPC, and reads every decision back from the sealed log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from campaign import OFFERS
from numpy.typing import NDArray
from service import Failed

from liftgate.client import AsyncClient, Request

PLACEMENT = "campaign"
PREFIX = "hillstrom-"
BATCH = 500
IN_FLIGHT = 2
TIMEOUT_MS = 60_000.0

COLUMNS = ["decision_id", "request_id", "arm", "degraded", "scored", "offered", "candidate_offer_id", "slots", "bundle_digest"]


async def decide_all(target: str, customers: int, advance: Callable[[int], None]) -> list[str]:
    """Return the decision id of each customer, by row. Raises Failed unless each was decided in full."""
    ids = [""] * customers
    starts = iter(range(0, customers, BATCH))

    async def work(client: AsyncClient) -> None:
        for start in starts:
            rows = range(start, min(start + BATCH, customers))
            requests = [Request(f"customer-{row}", PLACEMENT, channel="email", request_id=f"{PREFIX}{row}") for row in rows]
            for row, decision in zip(rows, await client.decide_batch(requests), strict=True):
                if not decision.from_service or decision.degraded or len(decision.offers) != 1:
                    raise Failed(f"customer {row} was not decided in full: {decision.reason}, status {decision.status}")
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


@dataclass(frozen=True, slots=True)
class Logged:
    """What the sealed log says of N customers, by row."""

    files: int
    bytes: int
    probability: NDArray[np.float64]
    """[N, 3] the policy's probability of each of OFFERS, as it was when the choice was drawn."""
    chosen: NDArray[np.intp]
    """[N] index into OFFERS."""
    bundle_digest: str


def read_back(log: Path, ids: list[str]) -> Logged:
    """Read the Parquet files of a log. Raises Failed unless they hold each customer exactly once, as answered and in full."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = sorted(log.rglob("decision-*.parquet"))
    if not paths:
        raise Failed(f"no sealed decisions below {log}")
    table: Any = pa.concat_tables([pq.read_table(path, columns=COLUMNS, page_checksum_verification=True) for path in paths])
    found = {name: table.column(name).to_pylist() for name in COLUMNS}
    customers = len(ids)
    _counts(found["request_id"], customers)
    rows = [int(request_id.removeprefix(PREFIX)) for request_id in found["request_id"]]
    if [ids[row] for row in rows] != found["decision_id"]:
        raise Failed("the log holds other decision ids than the callers were answered")
    for name, wanted in (("arm", "TREATMENT"), ("degraded", False), ("scored", True)):
        if other := Counter(value for value in found[name] if value != wanted):
            raise Failed(f"{other.total()} decisions have {name} {', '.join(map(str, other))}, not {wanted}")
    probability, chosen = np.zeros((customers, len(OFFERS))), np.zeros(customers, dtype=np.intp)
    place = {offer: k for k, offer in enumerate(OFFERS)}
    for row, offers, slots, offered in zip(rows, found["candidate_offer_id"], found["slots"], found["offered"], strict=True):
        if sorted(offers) != sorted(OFFERS) or len(slots) != 1 or len(offered) != 1:
            raise Failed(f"customer {row}: wants one choice among {', '.join(OFFERS)}")
        probability[row, [place[offer] for offer in offers]] = slots[0]
        chosen[row] = place[offered[0]]
    digests = set(found["bundle_digest"])
    if len(digests) != 1:
        raise Failed(f"{len(digests)} bundles in one log")
    return Logged(len(paths), sum(path.stat().st_size for path in paths), probability, chosen, digests.pop())


def _counts(request_ids: list[str], customers: int) -> None:
    times = Counter(request_ids)
    missing = sum(f"{PREFIX}{row}" not in times for row in range(customers))
    twice = sum(count > 1 for count in times.values())
    if missing or twice or len(times) != customers:
        raise Failed(f"the log holds {len(times)} of {customers} customers: {missing} missing, {twice} more than once")
