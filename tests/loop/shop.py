"""A shop whose truth is known: people walk through the real pipeline, and what they then do is written to a real log.

Many runs share one walk: run r's people have ids of their own, and the moments of their decisions end in r (milliseconds, below 1,000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.adapters.bundle_archive import keep
from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.memory_stores import History, MemoryProfileStore, MemoryReservations
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.app.cases.world import Hands, NoObserver
from liftgate.bundle.difference import Written
from liftgate.bundle.load import check_bundle
from liftgate.domain.batch import Batch
from liftgate.domain.errors import ModelFailed
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.decide import decide
from liftgate.pipeline.live import Live
from liftgate.pipeline.walk import Ports, Walk
from liftgate.record.event_codec import encode_event
from liftgate.record.parquet import seal_to_parquet
from liftgate.v1.event_service_pb2 import EventKind

START_MS = 1_781_524_800_000
DAY_MS = 86_400_000
BATCH = 500
KIND = {name.removeprefix("EVENT_KIND_").lower(): number for name, number in EventKind.items()}
KEY_ID, PSEUDONYM = "loop", Pseudonyms("loop", b"k" * 32)
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class NoModels:
    """No offer of these shops has a model."""

    def score(self, model: Any, matrix: Any) -> Any:
        """See `Models`."""
        raise ModelFailed(model.name)


class NoGhosts(dict[tuple[str, bool], bytes]):
    """A history that forgets what was counted for held-out people: what a control arm breaks."""

    def __setitem__(self, who: tuple[str, bool], raw: bytes) -> None:
        """Keep what is real."""
        if not who[1]:
            super().__setitem__(who, raw)


def at_ms(run: int, moment_ms: Ints) -> Ints:
    """Return moments, rounded so that they end in the run's number."""
    return np.asarray(moment_ms // 1000 * 1000 + run, dtype=np.int64)


def written(bundle: str, folder: Path) -> Written:
    """Write a bundle of one file and read it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.yaml").write_text(bundle, encoding="utf-8")
    checked = check_bundle(folder, None)
    assert checked.bundle is not None, checked.mistakes
    return Written(checked.draft, checked.bundle)


@dataclass
class Shop:
    """One worker: its bundle, its stores in memory, and the log that it writes."""

    folder: Path
    """Of the log, made here."""
    bundle: str
    """YAML."""
    first: int = 0
    """The first run's number: others write runs of their own to the same log, and no id may be there twice."""
    history: History = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = MemoryProfileStore(history=self.history)
        reservations = MemoryReservations(self.store.history, accounts=self.store.accounts, totals=self.store.totals)
        self._hands = Hands(START_MS, count(self.first * 10**9 + 1))
        self._reservations = reservations
        self._events = count(self.first * 10**9 + 1)
        self._pseudonyms: dict[str, bytes] = {}
        self.open(self.folder)
        self.take(self.bundle)

    def take(self, bundle: str) -> None:
        """Decide by this bundle from now on, as after a reload."""
        self.live = Live(written(bundle, self.folder.with_name(f"{self.folder.name}-bundle")).bundle, NoModels())
        keep(self.live.bundle, self.folder)

    def open(self, folder: Path) -> None:
        """Write to another folder from now on."""
        self.folder = folder
        self.decisions, self.happened = SegmentLog(folder, "decision", "write"), SegmentLog(folder, "event", "write")
        for log in (self.decisions, self.happened):
            log.open()
        self._ports = Ports(
            self.store,
            self._reservations,
            self.decisions,
            GrpcAnswers(),
            NoObserver(),
            self._hands,
            self._hands,
            PSEUDONYM,
            KEY_ID,
        )

    async def decide(self, name: str, people: Sequence[str], kinds: Sequence[str], moments: Ints, slots: int = 1) -> list[Walk]:
        """Decide once for everybody; `name` is the request's, `kinds` what the context says of each."""
        walks = []
        for start in range(0, len(people), BATCH):
            rows = range(start, min(start + BATCH, len(people)))
            requests = [
                DecideRequest(
                    f"{name}-{people[i]}",
                    people[i],
                    "hero",
                    slots,
                    Context(channel="web", attributes={"rich": float(kinds[i] == "rich"), "open": float(kinds[i] != "none")}),
                    idempotent=False,
                )
                for i in rows
            ]
            walk = Walk(Batch(requests, moments[rows.start : rows.stop]), self.live, self._ports)
            await decide(walk)
            assert all(isinstance(result, bytes) for result in walk.results)
            walks.append(walk)
        return walks

    def event(self, kind: str, person: str, occurred_at_ms: int, value: float | None = None, decision_id: str = "") -> bytes:
        """Return an event, received when it occurred."""
        pseudonym = self._pseudonyms.get(person)
        if pseudonym is None:
            pseudonym = self._pseudonyms[person] = PSEUDONYM(person)
        return encode_event(
            pseudonym_key_id=KEY_ID,
            event_id=f"{next(self._events)}",
            kind=KIND[kind],
            person_pseudonym=pseudonym,
            occurred_at_ms=occurred_at_ms,
            received_at_ms=occurred_at_ms,
            value=value,
            currency="" if value is None else "EUR",
            decision_id=decision_id,
        )

    async def close(self) -> Path:
        """End the log, seal it, and return its folder."""
        for log in (self.decisions, self.happened):
            await log.close()
        for segment in sorted(self.folder.glob("*.seg")):
            if not segment.with_suffix(".parquet").exists():
                seal_to_parquet(segment)
            segment.unlink()
        return self.folder
