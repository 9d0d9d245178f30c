"""The state of one walk: the batch's columns, and what has become of each row so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Literal

from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.errors import DependencyError, RequestIdReused
from liftgate.domain.reason import Reason
from liftgate.pipeline.controls import ControlPanel
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Answers, Claim, ClaimOutcome, Clock, Ids, Log, Observer, ProfileStore, Reservations
from liftgate.pipeline.stages import Stage


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that a walk reaches outside."""

    profiles: ProfileStore
    reservations: Reservations
    log: Log
    answers: Answers
    observer: Observer
    ids: Ids
    clock: Clock
    pseudonym: Callable[[str], bytes]
    """Person id to 16 bytes under the log's key."""
    pseudonym_key_id: str
    on_log_failure: Literal["refuse", "serve_default"] = "refuse"
    controls: ControlPanel = field(default_factory=ControlPanel)
    """What is stopped and approved; each batch takes it once."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A duplicate whose first decision may not be in a log yet; `pipeline/duplicates.py` settles it."""

    claim: Claim
    outcome: ClaimOutcome


Result = bytes | Pending | RequestIdReused | DependencyError
"""What a row ends as: the encoded answer, a duplicate to settle, or an error for this caller alone."""


@dataclass(slots=True)
class Walk:
    """One batch on its way. Rows share it; a row's failure stays its own."""

    batch: Batch
    live: Live
    ports: Ports
    decisions: list[Decision] = field(default_factory=list)
    responses: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    results: list[Result | None] = field(default_factory=list)
    """None while the row is undecided or not yet in the log."""
    forced: list[Reason | None] = field(init=False)
    """[N] why the row goes to its fallback; None: it does not."""
    unsettled: list[int] = field(default_factory=list)
    """Rows to encode and reserve in the next attempt."""
    claims: dict[int, Claim] = field(default_factory=dict)
    """Claims made, by row: to be confirmed once the log has them."""
    unsure: dict[int, Claim] = field(default_factory=dict)
    """Claims that may have been made, or did not lead to their own answer: to be amended."""
    attempts: list[int] = field(init=False)
    """[N] reservations tried where caps concern the row, the coming one included."""
    budget_s: float | None = None
    """What a round trip may take at most; None: the store's own budget."""

    def __post_init__(self) -> None:
        n = self.batch.n
        self.forced = [None] * n
        self.attempts = [0] * n
        self.responses = [b""] * n
        self.records = [b""] * n
        self.results = [None] * n
        self.unsettled = list(range(n))

    def decided(self) -> list[Decision]:
        """Return the decisions that this walk itself made and answered: no duplicates, no refusals."""
        return [d for d, result in zip(self.decisions, self.results, strict=True) if result is self.responses[d.row]]

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Add the wall time of the block to the stage's account."""
        start = perf_counter_ns()
        try:
            yield
        finally:
            took = (perf_counter_ns() - start) // 1000
            self.batch.stage_us[stage] = self.batch.stage_us.get(stage, 0) + took
