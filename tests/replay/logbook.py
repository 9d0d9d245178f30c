"""A day of decisions in a real log: the demo's bundle and models, people of every kind, stores in memory, the clock moved by hand."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.memory_stores import MemoryProfileStore, MemoryReservations
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.domain import consent, suppression
from liftgate.domain.bucketing import Salt
from liftgate.domain.control import ALL_CLEAR, KINDS, Controls, Stop
from liftgate.domain.errors import ModelFailed, StoreUnavailable
from liftgate.domain.input import Floats, InputType
from liftgate.domain.offer import Placement
from liftgate.domain.profile import pack
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.batching import Batcher, Limits, Live
from liftgate.pipeline.controls import ControlPanel
from liftgate.pipeline.ports import Amendment, Claim, ClaimOutcome, ClaimStatus, Fetched, Observer, ProfileStore, Reservations
from liftgate.pipeline.walk import Ports
from tests.pipeline.workbench import Watcher

NOW_MS = 1_781_524_800_000
DEMO = Path(__file__).parents[2] / "src/liftgate/demo"
ELSEWHERE = ("kiosk", "")


class Hands:
    """A clock that is moved by hand, and ids that count."""

    def __init__(self) -> None:
        self.ms = NOW_MS
        self._count = itertools.count(1)

    def now_ms(self) -> int:
        return self.ms

    def decision_id(self) -> str:
        return f"{next(self._count):032x}"

    def decision_ids(self, count: int) -> list[str]:
        return [self.decision_id() for _ in range(count)]


def die(*what: object) -> float:
    """Return a number in [0, 1), always the same for the same things."""
    return Salt("logbook").uniform("/".join(map(str, what)))


def stock(bundle: Bundle, people: int, now_ms: int) -> MemoryProfileStore:
    """Return a store of people: some unknown, some with holes, old values, without consent, or unreadable."""
    store = MemoryProfileStore()
    for i in range(people):
        person, kind = f"p-{i}", die("kind", i)
        if kind < 0.1:
            continue
        values, at_s = [], []
        for column in bundle.schema.profile:
            roll = die(column.name, i)
            if column.type is InputType.STRING:
                value = float(int(roll * len(column.values)))
            else:
                value = float(int(roll * 2)) if column.type is InputType.BOOL else float(int(roll * 60))
            values.append(float("nan") if die("hole", column.name, i) < 0.1 else value)
            at_s.append(int(now_ms / 1000 - die("age", column.name, i) * 10 * 86_400))
        store.packed[person] = b"unreadable" if kind < 0.15 else pack(bundle.schema, values, at_s)
        statuses = ("granted", "granted", "granted", "denied", "pending")
        records = {p: {"status": statuses[int(die(p, i) * 5)]} for p in bundle.purposes if die("asked", p, i) < 0.9}
        names = [each.name for each in bundle.suppressions.lists if die("list", each.name, i) < 0.2]
        if die("list", i) < 0.05:
            store.lists[person] = b"unreadable"
        elif names:
            store.lists[person] = suppression.stored(names)
        if kind < 0.95:
            store.consent[person] = consent.document(records)
    return store


def _attributes(bundle: Bundle, key: str) -> dict[str, float]:
    numbers = [column for column in bundle.schema.context if column.type in (InputType.FLOAT, InputType.INT)]
    return {column.name.removeprefix("context."): float(int(die(column.name, key) * 80)) for column in numbers}


def _own(bundle: Bundle, placement: Placement, slots: int, key: str) -> tuple[str, ...]:
    """Return the caller's own choice, where the placement learns: as many offers as there are slots, or fewer."""
    if placement.mode == "online":
        return ()
    ranked = sorted(placement.offers.tolist(), key=lambda k: die("own", key, k))
    return tuple(bundle.offers[k].offer_id for k in ranked[: int(die("some", key) * (slots + 1))])


class Troubled:
    """The stores in memory and the models, with one thing wrong at a time: `trouble` says what."""

    def __init__(self, store: MemoryProfileStore, reservations: MemoryReservations, models: OnnxModels) -> None:
        self.trouble = ""
        self._store, self._reservations, self._models = store, reservations, models
        self._turn = itertools.count()

    async def fetch(self, *asked: Any) -> Fetched:
        """See `ProfileStore`."""
        if self.trouble == "profiles away":
            raise StoreUnavailable("switched off")
        if self.trouble == "a stage fails":
            raise RuntimeError("switched off")
        return await self._store.fetch(*asked)

    async def reserve(self, claims: Sequence[Claim], budget_s: float | None = None) -> Sequence[ClaimOutcome]:
        """See `Reservations`."""
        if self.trouble == "reservations away":
            raise StoreUnavailable("switched off")
        if self.trouble == "every claim late" and any(claim.charges for claim in claims):
            return [ClaimOutcome(ClaimStatus.CAP_REACHED, charge=0) for _ in claims]
        return await self._reservations.reserve(claims, budget_s)

    async def look(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        """See `Reservations`."""
        return await self._reservations.look(claims)

    async def confirm(self, claims: Sequence[Claim]) -> None:
        """See `Reservations`."""
        await self._reservations.confirm(claims)

    async def amend(self, amendments: Sequence[Amendment]) -> Collection[int]:
        """See `Reservations`."""
        return await self._reservations.amend(amendments)

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        """See `Models`: every second run fails."""
        if self.trouble == "models fail" and next(self._turn) % 2:
            raise ModelFailed("switched off")
        return self._models.score(model, matrix)


@asynccontextmanager
async def deciding(
    directory: Path, hands: Hands, profiles: ProfileStore, reservations: Reservations, observer: Observer
) -> AsyncIterator[tuple[Batcher, ControlPanel]]:
    """Open a log there and give who decides into it, with nothing stopped. At the end everything is decided and in the log."""
    log, panel = SegmentLog(directory, "decision", "write"), ControlPanel()
    panel.put(ALL_CLEAR)
    log.open()
    ports = Ports(
        profiles=profiles,
        reservations=reservations,
        controls=panel,
        log=log,
        answers=GrpcAnswers(),
        observer=observer,
        ids=hands,
        clock=hands,
        pseudonym=Pseudonyms("test", b"k" * 32),
        pseudonym_key_id="test",
    )
    batcher = Batcher(ports, Limits(max_batch=64, max_queue=100_000))
    yield batcher, panel
    await batcher.drain()
    await log.close()


def reservations_of(store: MemoryProfileStore) -> MemoryReservations:
    """Return reservations over the histories and counters of a store."""
    return MemoryReservations(history=store.history, accounts=store.accounts, totals=store.totals)


async def _write(
    directory: Path, bundle: Bundle, models: OnnxModels, people: int, rounds: int, slots: int, troubles: Sequence[str] = ("",)
) -> int:
    hands, store = Hands(), stock(bundle, people, NOW_MS)
    troubled = Troubled(store, reservations_of(store), models)
    live = Live(bundle, troubled)
    async with deciding(directory, hands, troubled, troubled, Watcher()) as (batcher, panel):
        for turn in range(rounds):
            hands.ms = NOW_MS + turn * 3 * 3_600_000
            troubled.trouble = troubles[turn % len(troubles)]
            kind, _, name = troubled.trouble.partition(" stopped: ")
            panel.put(Controls(version=1, stops=(Stop(kind, name, "test", "tester", NOW_MS),)) if kind in KINDS else ALL_CLEAR)
            asked = [_request(bundle, turn, i, slots) for i in range(people)]
            await asyncio.gather(*(batcher.submit(request, live) for request in asked))
    return rounds * people


def _request(bundle: Bundle, turn: int, i: int, slots: int) -> DecideRequest:
    """Return what is asked for a person in a round."""
    channels = (*(bundle.channels or ("web",)), *bundle.consent.channels, *ELSEWHERE)
    places = (*bundle.consent.jurisdictions, "XX", "")
    placement = bundle.placements[int(die("place", turn, i) * len(bundle.placements))]
    channel = channels[int(die("channel", turn, i) * len(channels))]
    attributes = _attributes(bundle, f"{turn}-{i}") if die("sent", turn, i) < 0.7 else {}
    candidates = tuple(bundle.offers[k].offer_id for k in placement.offers[::2]) if die("list", turn, i) < 0.1 else None
    return DecideRequest(
        request_id=f"r-{turn}-{i}",
        person_id=f"p-{i}",
        placement_id=placement.placement_id,
        slot_count=min(slots, placement.slots),
        context=Context(
            channel=channel,
            device="mobile" if i % 2 else "desktop",
            attributes=attributes,
            jurisdiction=places[int(die("law", i) * len(places))],
        ),
        account_id=f"a-{i // 3}" if die("account", i) < 0.7 else "",
        gpc=die("gpc", turn, i) < 0.1,
        candidates=candidates,
        baseline_offers=_own(bundle, placement, min(slots, placement.slots), f"{turn}-{i}"),
        deferred=die("deferred", turn, i) < 0.2,
    )


def write_log(directory: Path, bundle: Bundle, people: int = 400, rounds: int = 6, slots: int = 1, troubles: Sequence[str] = ("",)) -> int:
    """Decide for everyone in every round and return how many decisions the log holds. `troubles`: what is wrong, one a round, in turn."""
    return asyncio.run(_write(directory, bundle, OnnxModels.load(bundle), people, rounds, slots, troubles))
