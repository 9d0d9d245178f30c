"""The state of one walk: the batch's columns, and what has become of each row so far."""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import attrgetter, floordiv, sub
from typing import Literal

from liftgate.domain.batch import Batch
from liftgate.domain.contact_history import reservation_of
from liftgate.domain.decision import Decision
from liftgate.domain.errors import DependencyError, RequestIdReused
from liftgate.domain.layer import UnitKind
from liftgate.domain.reason import Reason
from liftgate.pipeline.controls import ControlPanel
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Answers, Claim, ClaimOutcome, Clock, Ids, Log, Observer, ProfileStore, Reservations, ReviewQueue
from liftgate.pipeline.stages import ENDED, Stage


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
    """Person id to 16 bytes under the log's key, where `personal` is None."""
    pseudonym_key_id: str
    on_log_failure: Literal["refuse", "serve_default"] = "refuse"
    account_pseudonym: Callable[[str], bytes] = lambda account_id: b""
    """Account id to 16 bytes under a key of its own."""
    session_pseudonym: Callable[[str], bytes] = lambda session_id: b""
    visitor_pseudonym: Callable[[str], bytes] = lambda visitor_id: b""
    """Session and visitor ids to 16 bytes, under keys of their own."""
    personal: Callable[[Sequence[str], Sequence[bytes | None]], tuple[Sequence[bytes], Sequence[int]]] | None = None
    """[N] person ids and people's keys to [N] times 16 bytes, and to the rows for whose decision alone they are."""
    personal_unit: Callable[[str, str, str, bytes | None], bytes] | None = None
    """Kind of unit (`account`, `session`, `visitor`), its id, person id and the person's key to 16 bytes; None: those above make them."""
    controls: ControlPanel = field(default_factory=ControlPanel)
    """What is stopped and approved; each batch takes it once."""
    review_queue: ReviewQueue | None = None
    """Where single decisions wait for a reviewer; None: nobody is asked."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A duplicate whose first decision may not be in a log yet; `pipeline/duplicates.py` settles it."""

    claim: Claim
    outcome: ClaimOutcome


Result = bytes | Pending | RequestIdReused | DependencyError
"""What a row ends as: the encoded answer, a duplicate to settle, or an error for this caller alone."""


class Walk:
    """One batch on its way. Rows share it; a row's failure stays its own."""

    decisions: list[Decision]
    responses: list[bytes]
    records: list[bytes]
    results: list[Result | None]
    """None while the row is undecided or not yet in the log."""
    forced: list[Reason | None]
    """[N] why the row goes to its fallback; None: it does not."""
    unsettled: list[int]
    """Rows to encode and reserve in the next attempt."""
    claims: dict[int, Claim]
    """Claims made, by row: to be confirmed once the log has them."""
    unsure: dict[int, Claim]
    """Claims that may have been made, or did not lead to their own answer: to be amended."""
    attempts: list[int]
    """[N] reservations tried where caps concern the row, the coming one included."""
    pseudonyms: Sequence[bytes] = ()
    """[N] what stands for the person in the log."""
    one_off: frozenset[int] = frozenset()
    """Rows whose pseudonym is for this decision alone."""
    keys: Sequence[bytes | None] = ()
    """[N] people's keys, as far as they are known; empty: none is."""
    began: list[int]
    """[10] when each stage began, by its number, and when the last ended, in nanoseconds on a clock of its own; 0: it has not."""

    def __init__(self, batch: Batch, live: Live, ports: Ports, budget_s: float | None = None) -> None:
        """`budget_s`: what a round trip may take at most; None: the store's own budget."""
        self.batch, self.live, self.ports, self.budget_s = batch, live, ports, budget_s
        n = batch.n
        self.decisions, self.unsettled = [], list(range(n))
        self.responses, self.records = [b""] * n, [b""] * n
        self.results, self.forced, self.attempts = [None] * n, [None] * n, [0] * n
        self.claims, self.unsure = {}, {}
        self.began = [0] * (ENDED + 1)

    def name(self, keys: Sequence[bytes | None]) -> None:
        """Settle what stands for people in the log. `keys`: theirs, as far as they are known; empty: none is."""
        people, personal = list(map(_PERSON_ID, self.batch.requests)), self.ports.personal
        if personal is None:
            self.pseudonyms = list(map(self.ports.pseudonym, people))
            return
        self.keys = keys or [None] * len(people)
        self.pseudonyms, once = personal(people, self.keys)
        if once:
            self.one_off = frozenset(once)

    def drawn_by(self) -> list[bytes]:
        """Return [N] what draws are a function of, beside the request_id, as UTF-8: what stands for the person in the row, in hexadecimal.

        Never the id: whoever has a row could then tell of any id, without a key, whether the row is theirs. A dry run leaves no row.
        """
        found = list(map(hexlify, self.pseudonyms))
        for row in self.one_off:
            if self.batch.requests[row].dry_run:
                found[row] = self.batch.requests[row].person_id.encode("utf-8", "surrogatepass")
        return found

    def unit(self, kind: UnitKind, row: int) -> bytes:
        """Return what stands for the account, session or visitor of a row in the log; empty: the request names none."""
        ports, request = self.ports, self.batch.requests[row]
        unit_id: str = getattr(request, f"{kind}_id")
        if not unit_id:
            return b""
        if ports.personal_unit is not None:
            return ports.personal_unit(kind, unit_id, request.person_id, self.keys[row])
        made: Callable[[str], bytes] = getattr(ports, f"{kind}_pseudonym")
        return made(unit_id)

    def reservation(self, row: int, decision_id: str) -> bytes:
        """Return by which eight bytes a row's claim is known. Where its pseudonym is for once, nothing leads from one to the other."""
        if row in self.one_off:
            return reservation_of(self.ports.ids.decision_id())
        return reservation_of(decision_id, self.keys[row] if self.keys else None)

    def decided(self) -> list[Decision]:
        """Return the decisions that this walk itself made and answered: no duplicates, no refusals."""
        if self.results == self.responses:
            return self.decisions
        return [d for d, result in zip(self.decisions, self.results, strict=True) if result is self.responses[d.row]]

    @property
    def stage(self) -> Stage:
        """The stage that began last."""
        return max((stage for stage in Stage if self.began[stage]), default=Stage.ASSIGN)

    def stage_us(self, end: int) -> list[int]:
        """Return the wall time in each stage before `end`, which have all ended; 0 where none has begun."""
        return list(map(floordiv, map(sub, self.began[2 : end + 1], self.began[1:end]), _US))


_PERSON_ID = attrgetter("person_id")
_US = repeat(1000)
"""Nanoseconds."""
