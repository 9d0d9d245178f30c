"""EventService on a real log, with events remembered in memory, for tests of what it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from liftgate.adapters.grpc_events import EventService
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.domain.errors import LogUnavailable
from liftgate.pipeline.contact_ports import ContactEvents
from liftgate.pipeline.live import Live
from liftgate.record.event_codec import decode_event
from liftgate.v1.event_service_pb2 import Event, RecordRequest, RecordResponse
from liftgate.v1.record_pb2 import EventRecord
from tests.fakes.events import FakeEventsSeen


@dataclass
class Clock:
    """A clock that stands where it is put."""

    ms: int

    def now_ms(self) -> int:
        """See `pipeline.ports.Clock`."""
        return self.ms


class Calls:
    """An observer of calls that keeps nothing."""

    def began(self) -> None:
        """See `CallObserver`."""

    def answered(self, method: str, code: int, seconds: float) -> None:
        """See `CallObserver`."""

    def turned_away(self, method: str, code: int, calls: int) -> None:
        """See `CallObserver`."""


@dataclass
class Call:
    """The part of a call's context that the service looks at."""

    remaining_s: float | None = None

    def time_remaining(self) -> float | None:
        """Return seconds, None: the caller sent no deadline."""
        return self.remaining_s


@dataclass
class LogKept:
    """The real event log, its disk full when `full`; keeps what got in."""

    inner: SegmentLog
    full: bool = False
    rows: list[EventRecord] = field(default_factory=list)

    async def append(self, records: Sequence[bytes]) -> None:
        """See `pipeline.ports.Log`."""
        if self.full:
            raise LogUnavailable("full")
        await self.inner.append(records)
        self.rows += [decode_event(record) for record in records]


@dataclass
class EventDesk:
    """The service and everything behind it."""

    log: LogKept
    seen: FakeEventsSeen
    service: EventService
    clock: Clock
    outcomes: Counter[str]

    async def record(self, *events: Event, remaining_s: float | None = None) -> RecordResponse:
        """Return the answer to one call."""
        raw = RecordRequest(events=events).SerializeToString()
        return RecordResponse.FromString(await self.service.record(raw, Call(remaining_s)))


@asynccontextmanager
async def event_desk(
    directory: Path, live: Live, seen: FakeEventsSeen | None = None, now_ms: int = 0, contacts: ContactEvents | None = None
) -> AsyncIterator[EventDesk]:
    """Give a fresh service on a bundle in force; its log is closed with the block."""
    segments = SegmentLog(directory, "event", "write")
    segments.open()
    log, clock, outcomes = LogKept(segments), Clock(now_ms), Counter[str]()
    seen = seen or FakeEventsSeen()
    service = EventService(
        lambda: live,
        log,
        seen,
        Pseudonyms("k1", b"k" * 32),
        clock,
        Calls(),
        contacts=contacts,
        accounts=Pseudonyms.of_accounts("k1", b"k" * 32),
        features=lambda live: live.features,
        outcomes=lambda outcome, count: outcomes.update({outcome: count}),
    )
    yield EventDesk(log, seen, service, clock, outcomes)
    await segments.close()
