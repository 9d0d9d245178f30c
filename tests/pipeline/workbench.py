"""A whole walk on real components (Valkey, ONNX, segments), with one clock and faults that can be switched on."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from liftgate.adapters import redis_keys
from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.bundle.load import load_bundle
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.errors import LogUnavailable, ModelFailed, StoreUnavailable
from liftgate.domain.input import Floats, InputSchema
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.batching import Batcher, Limits, Live
from liftgate.pipeline.ports import NOTHING_WATCHED, AccountClaim, Amendment, Claim, ClaimOutcome, ClaimStatus, Fetched, PersonKey
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Ports
from liftgate.record.codec import decode_decision
from liftgate.v1.record_pb2 import DecisionRecord

BUNDLES = Path(__file__).parents[1] / "cases" / "bundles"
NOW_MS = 1_781_524_800_000
"""2026-06-15T12:00:00Z"""


@dataclass
class Faults:
    """What is broken at the moment."""

    on: set[str] = field(default_factory=set)
    rivals: list[Claim] = field(default_factory=list)
    """Made just before the next reservation: someone else comes first."""


class FaultyProfiles:
    """The real store, or none at all."""

    def __init__(self, inner: RedisProfiles, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    async def fetch(
        self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float | None = None, totals: Sequence[bytes] = ()
    ) -> Fetched:
        if "profiles_away" in self._faults.on:
            raise StoreUnavailable("switched off")
        return await self._inner.fetch(people, schema, budget_s, totals)


def _unlimited(claim: Claim) -> Claim:
    """Return the claim as somebody would make it who charges and does not look."""
    loose = [replace(charge, limit=10**9) for charge in claim.charges]
    account = claim.account and AccountClaim(
        claim.account.account_id, tuple(replace(charge, limit=10**9) for charge in claim.account.charges)
    )
    totals = tuple(replace(use, limit=10**9, most=10**9) for use in claim.totals)
    return replace(claim, charges=tuple(loose), watch=NOTHING_WATCHED, account=account, totals=totals)


class FaultyReservations:
    """The real reservations, away, or losing to someone who came first."""

    def __init__(self, inner: RedisReservations, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    async def reserve(self, claims: Sequence[Claim], budget_s: float | None = None) -> Sequence[ClaimOutcome]:
        if "reservations_away" in self._faults.on:
            raise StoreUnavailable("switched off")
        if "reply_lost" in self._faults.on:
            await self._inner.reserve(claims, budget_s)
            raise StoreUnavailable("the claims were made and nobody heard")
        if "every_claim_late" in self._faults.on and any(claim.charges for claim in claims):
            return [ClaimOutcome(ClaimStatus.CAP_REACHED, charge=0) for _ in claims]
        if "limits_off" in self._faults.on:
            claims = [_unlimited(claim) for claim in claims]
        if self._faults.rivals:
            rivals, self._faults.rivals = self._faults.rivals, []
            await self._inner.reserve(rivals)
        return await self._inner.reserve(claims, budget_s)

    async def amend(self, amendments: Sequence[Amendment]) -> Collection[int]:
        if "reservations_away" in self._faults.on or "reply_lost" in self._faults.on:
            raise StoreUnavailable("switched off")
        return await self._inner.amend(amendments)

    async def look(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        return await self._inner.look(claims)

    async def confirm(self, claims: Sequence[Claim]) -> None:
        if "confirms_lost" not in self._faults.on:
            await self._inner.confirm(claims)


class FaultyModels:
    """The real models, or ones that fail."""

    def __init__(self, inner: OnnxModels, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        if "model_fails" in self._faults.on:
            raise ModelFailed("switched off")
        return self._inner.score(model, matrix)


class FaultyLog:
    """The real log, or a full disk."""

    def __init__(self, inner: SegmentLog, faults: Faults) -> None:
        self._inner, self._faults = inner, faults
        self.records: list[bytes] = []

    async def append(self, records: Sequence[bytes]) -> None:
        if "log_away" in self._faults.on:
            raise LogUnavailable("switched off")
        await self._inner.append(records)
        self.records += records


@dataclass
class Watcher:
    """Counts what the walk reports."""

    decisions: list[Decision] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    fallbacks: list[tuple[Stage, str]] = field(default_factory=list)
    joins: list[bool] = field(default_factory=list)

    def decided(self, batch: Batch, bundle: Bundle, decisions: Sequence[Decision]) -> None:
        self.decisions += decisions
        self.batches.append(batch.n)

    def fell_back(self, stage: Stage, cause: str, requests: Sequence[DecideRequest] = ()) -> None:
        self.fallbacks.append((stage, cause))

    def joined(self, recovered: bool) -> None:
        self.joins.append(recovered)


class Hands:
    """A clock that stands still until it is moved, and ids that count."""

    def __init__(self, start: int) -> None:
        self.ms = NOW_MS
        self._count = itertools.count(start)

    def now_ms(self) -> int:
        return self.ms

    def decision_id(self) -> str:
        return f"{next(self._count):032x}"

    def decision_ids(self, count: int) -> list[str]:
        return [self.decision_id() for _ in range(count)]


@dataclass
class Bench:
    """One worker's walk and what is behind it."""

    batcher: Batcher
    live: Live
    ports: Ports
    faults: Faults
    watcher: Watcher
    hands: Hands
    client: RedisClient
    log: FaultyLog

    @property
    def records(self) -> list[DecisionRecord]:
        """Every record in the log, in order."""
        return [decode_decision(record) for record in self.log.records]

    async def put(self, key: bytes, value: bytes) -> None:
        """Write one raw key."""
        await self.client.call([("SET", key, value)])

    async def forget(self, person_id: str) -> None:
        """Remove everything about a person but remembered answers."""
        names = [redis_keys.profile(person_id), redis_keys.consent(person_id), redis_keys.lists(person_id), redis_keys.verdicts(person_id)]
        await self.client.call([("DEL", *names, redis_keys.history(person_id, False), redis_keys.history(person_id, True))])


_ids = itertools.count(1)


@asynccontextmanager
async def workbench(
    url: str,
    log_directory: Path,
    bundle: Path = BUNDLES / "golden",
    on_log_failure: Literal["refuse", "serve_default"] = "refuse",
    limits: Limits | None = None,
    budget_ms: float = 2000,
) -> AsyncIterator[Bench]:
    """Give a worker with its own log on the Valkey at `url`."""
    compiled = load_bundle(bundle)
    faults, watcher, hands = Faults(), Watcher(), Hands((next(_ids) << 32) + 1)
    client = connect(url, budget_ms=budget_ms)
    segments = SegmentLog(log_directory, "decision", "write")
    segments.open()
    log = FaultyLog(segments, faults)
    key_id = "test"
    ports = Ports(
        profiles=FaultyProfiles(RedisProfiles(client, budget_ms=budget_ms), faults),
        reservations=FaultyReservations(RedisReservations(client, budget_ms=budget_ms), faults),
        log=log,
        answers=GrpcAnswers(),
        observer=watcher,
        ids=hands,
        clock=hands,
        pseudonym=Pseudonyms(key_id, b"k" * 32),
        account_pseudonym=Pseudonyms.of_accounts(key_id, b"k" * 32),
        session_pseudonym=Pseudonyms.of_units("session", key_id, b"k" * 32),
        visitor_pseudonym=Pseudonyms.of_units("visitor", key_id, b"k" * 32),
        pseudonym_key_id=key_id,
        on_log_failure=on_log_failure,
    )
    live = Live(compiled, FaultyModels(OnnxModels.load(compiled), faults))
    batcher = Batcher(ports, limits)
    try:
        yield Bench(batcher, live, ports, faults, watcher, hands, client, log)
    finally:
        await batcher.drain()
        await segments.close()
        await client.close()


def epoch_ms(moment: Any) -> int:
    """Return milliseconds since the epoch of a YAML timestamp."""
    milliseconds: float = moment.timestamp() * 1000
    return round(milliseconds)
