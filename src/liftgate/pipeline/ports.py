"""What the walk needs from the outside, as Protocols. `adapters` implement them, `tests/contract` holds them to the text here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import Any, NoReturn, Protocol

from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.input import Floats, InputSchema
from liftgate.domain.profile import Profiles
from liftgate.domain.request import DecideRequest
from liftgate.domain.verdict import Asked, Verdict
from liftgate.pipeline.stages import Stage


@dataclass(slots=True)
class PersonKey:
    """Whose values to read; `ghost` reads the ghost contact history of a held-out person."""

    person_id: str
    ghost: bool
    both: bool = False
    """With `ghost`: read the real contact history too."""
    certain: bool = False
    """That no consent is stored is to be certain: a key of another type is then an empty document, not None."""
    account_id: str = ""
    """Whose account's contact history to read too; empty: none."""
    verdicts: bool = False
    """Read what reviewers said of showing offers to the person."""
    lists: bool = False
    """Read the do-not-contact lists too that the person is on."""
    features: bool = False
    """Read what events say of the person too."""
    keyed: bool = False
    """Give the person a key where they have none: `Fetched.keys`."""


class _Nothing(dict[int, Any]):
    """A mapping without anything in it, one for all: what a fetch did not ask for costs it nothing."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # it is never changed

    def __setitem__(self, key: int, value: Any) -> NoReturn:
        raise TypeError("nothing was asked for")


_NOTHING = _Nothing()


@dataclass(slots=True)
class Fetched:
    """What is stored for N people, in the order asked."""

    profiles: Profiles
    consent: Sequence[bytes | None]
    """`domain/consent.py` documents, not yet parsed."""
    history: Sequence[bytes | None]
    """`domain/contact_history.py` values."""
    real_history: Mapping[int, bytes | None] = _NOTHING
    """By index: the real contact history of those asked for with `both`."""
    account_history: Mapping[int, bytes | None] = _NOTHING
    """By index: contact histories of the accounts asked for. With `ghost` the real entries and the ghost ones after them."""
    real_account_history: Mapping[int, bytes | None] = _NOTHING
    """By index: the real entries alone, of those asked for with `both`."""
    lists: Mapping[int, bytes | None] = _NOTHING
    """By index: `domain/suppression.py` memberships of those asked for; None: certainly none is stored."""
    verdicts: Mapping[int, bytes | None] = _NOTHING
    """By index: `domain/verdict.py` documents of those asked for."""
    totals: Sequence[bytes | None] = ()
    """Total counters, in the order asked: `domain/total_counter.py` values."""
    features: Mapping[int, bytes | None] = _NOTHING
    """By index: what events say of those asked for, `signals/cell.py` states; None: nothing."""
    keys: Sequence[bytes | None] = ()
    """People's keys, in the order asked: 16 bytes that pseudonyms are made with. None: they have none, for they were erased, or none was to
    be made. Empty: the store keeps no keys."""
    told: Mapping[int, tuple[Sequence[float], Sequence[float]]] = _NOTHING
    """By index, where a store that plays a part knows what events would have made of them: features and their times in seconds."""
    away: Collection[int] = ()
    """By index: people whose server did not answer. Their profile is UNAVAILABLE, and nothing is said of them anywhere else."""


class ProfileStore(Protocol):
    """Features, consent and contact history of people."""

    async def fetch(
        self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float | None = None, totals: Sequence[bytes] = ()
    ) -> Fetched:
        """Read everything for a batch in ONE round trip, the real counters of the caps `totals` included.

        Whose server does not answer within the fetch budget, or `budget_s` where it is less, is `away`. Raises StoreUnavailable: all are.
        """
        ...


MARKER = 2**41
"""Limit of a charge that only says that it happened: never refused, and a history keeps the newest two of a kind."""


@dataclass(slots=True)
class Charge:
    """One cap that a claim counts against."""

    cap_id: bytes
    limit: int
    """Most live entries, this one included; `MARKER` and up: any number."""
    live_until_ms: float
    """End of the lease, or of the window where decisions count."""
    until_ms: float
    """End of the window."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Caps that the choice depended on: a claim is made only while none of them counts more than stated.

    So the set of offers that was chosen from is still the allowed one when the decision is made, whatever was chosen.
    """

    entries: tuple[tuple[bytes, int], ...] = ()
    """(cap id, most live entries)."""
    packed: bytes = field(init=False)
    """The entries as they travel: little-endian `8s d` each."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "packed", b"".join(_WATCHED.pack(cap_id, most) for cap_id, most in self.entries))


_WATCHED = Struct("<8sd")
NOTHING_WATCHED = Watch()


@dataclass(slots=True)
class AccountClaim:
    """What a claim counts against the contact history of an account, and depends on there.

    A ghost claim is judged by real and ghost entries together and charges ghost ones: what others of the account were shown holds for it
    too, and it holds for nobody.
    """

    account_id: str
    charges: tuple[Charge, ...] = ()
    watch: Watch = NOTHING_WATCHED
    withheld: tuple[Charge, ...] = ()
    """Of a partly held-out person: charged to the ghost entries."""


@dataclass(slots=True)
class TotalUse:
    """What a claim counts against one total counter, or only depends on it.

    A ghost claim is judged by the real counter, as everybody is, and charges a ghost one without a limit.
    """

    cap_id: bytes
    receipt_id: bytes
    """Eight bytes under which the person's contact history remembers each charge, so that it can be moved or given back."""
    most: int
    """The real counter may show no more than this for the choice to stand."""
    limit: int
    bucket_until_ms: float
    """The bucket that is charged: `domain/total_counter.py`."""
    leased: bool
    """The charge is a lease: its receipt lives as long; else for the retry horizon."""
    count: int
    """Charges, 0: only watched."""
    withheld: int = 0
    """Of a partly held-out person: further charges, to the ghost counter; they need room in the real one all the same."""


@dataclass(slots=True)
class Claim:
    """One decision about to be made: made if and only if every cap has room and the request_id is new."""

    person_id: str
    ghost: bool
    request_id: str
    """Empty: not idempotent, nothing is remembered."""
    fingerprint: bytes
    """Eight bytes over the request's body."""
    reservation_id: bytes
    """Eight bytes, unique."""
    charges: tuple[Charge, ...]
    now_ms: int
    response: bytes
    """The encoded answer, remembered for the retry horizon."""
    record: bytes
    """The encoded record, remembered until `confirm`, so that a crash between here and the log loses nothing."""
    watch: Watch = NOTHING_WATCHED
    account: AccountClaim | None = None
    totals: tuple[TotalUse, ...] = ()
    partly: bool = False
    """Of a partly held-out person, and no ghost's: judged by real and ghost entries together; `charges` are real, `withheld` ghost ones."""
    withheld: tuple[Charge, ...] = ()
    """What would have been charged, had nothing been withheld, and is not."""
    kept: Any = None
    """The store's own: where it has put the record."""

    @property
    def charged(self) -> bool:
        """Something is counted."""
        account = self.account is not None and (self.account.charges or self.account.withheld)
        return bool(self.charges or self.withheld or account) or any(use.count or use.withheld for use in self.totals)


@dataclass(frozen=True, slots=True)
class Amendment:
    """What became of a claim that did not lead to its own answer, or may not have been made."""

    claim: Claim
    response: bytes
    """What was answered, to be remembered; empty: nothing was. Where it is the claim's own answer, its charges stand if they were made."""


class ClaimStatus(IntEnum):
    """What became of a claim."""

    MADE = 0
    """Caps charged, request_id remembered as pending."""
    CAP_REACHED = 1
    """Nothing changed; a watched cap has filled up, or `charge` had no room; `history` is fresh."""
    DUPLICATE_LOGGED = 2
    """The request_id is known and its decision is in a log: `response` is the answer."""
    DUPLICATE_PENDING = 3
    """The request_id is known; its record may not be in a log yet: `response` and `record` are what was decided."""
    MISMATCH = 4
    """The request_id is known with another fingerprint. Nothing changed."""
    UNSURE = 5
    """The person's server did not answer: made or not, nobody knows."""


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """Answer to one claim."""

    status: ClaimStatus
    charge: int = -1
    """CAP_REACHED: index of the first charge without room (the person's, then the account's, each with what is withheld after it, then
    totals), -1: a watched cap. Where the person's history is too full for the receipts of totals: that of the first total."""
    history: bytes = b""
    """CAP_REACHED: the contact history that the check saw, pruned of what no longer counts."""
    account_history: bytes = b""
    """CAP_REACHED: the same of the account, where the claim names one."""
    total_counts: tuple[int, ...] = ()
    """CAP_REACHED: what each of the claim's totals counts."""
    response: bytes = b""
    record: bytes = b""


class Reservations(Protocol):
    """Atomic frequency caps and idempotency. All keys of one person live in one Cluster slot."""

    async def reserve(self, claims: Sequence[Claim], budget_s: float | None = None) -> Sequence[ClaimOutcome]:
        """Make the claims in order, one pipelined call a batch, each atomically over all its caps and its request_id.

        Raises StoreUnavailable within its budget, or `budget_s` where it is less, when no server answers: then each claim is UNSURE.
        """
        ...

    async def look(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        """Return what is known of all request_ids: DUPLICATE_*, MISMATCH, or MADE: nothing. Changes nothing. Raises StoreUnavailable."""
        ...

    async def confirm(self, claims: Sequence[Claim]) -> None:
        """Say that the claims' records are in a log: their remembered records are dropped, answers kept. Idempotent.

        Raises StoreUnavailable; then those whose server did not answer stay pending until the horizon, and no others.
        """
        ...

    async def amend(self, amendments: Sequence[Amendment]) -> Collection[int]:
        """Put right what claims left behind: give their charges back, and remember what was answered instead as logged.

        A claim that was made and has been confirmed, or whose request_id somebody else has used, is left alone. Idempotent. Returns the
        indices of those that may not have been amended, for their server did not answer; raises StoreUnavailable: none may have.
        """
        ...


class Models(Protocol):
    """Propensity models, loaded and warm."""

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        """Return [N, len(model.outputs)] probabilities for [N, F] rows in one run.

        Raises ModelFailed, also on NaN or values outside 0..1.
        """
        ...


class Log(Protocol):
    """A durable, append-only log of encoded records."""

    async def append(self, records: Sequence[bytes]) -> None:
        """Return when all are as durable as the log's level promises, in ONE write.

        Raises LogUnavailable; then none of them may be acknowledged.
        """
        ...


class Answers(Protocol):
    """Decisions as the bytes that the caller gets."""

    def encode_all(self, batch: Batch, bundle: Bundle, decisions: Sequence[Decision]) -> Sequence[bytes]:
        """Return the encoded answer to each, with the explanation where the request asks for one. Pure."""
        ...


class Observer(Protocol):
    """Metrics and spans. Never raises, never sees a person's id in anything that it emits."""

    def decided(self, batch: Batch, bundle: Bundle, decisions: Sequence[Decision]) -> None:
        """Called once a batch after its log write, with `batch.stage_us` complete."""
        ...

    def fell_back(self, stage: Stage, cause: str, requests: Sequence[DecideRequest] = ()) -> None:
        """A stage took its fallback; `cause` is an exception's class name, `requests` those that it concerns."""
        ...

    def joined(self, recovered: bool) -> None:
        """A duplicate request was answered from memory; `recovered`: its record had to be completed after a crash."""
        ...


class ReviewQueue(Protocol):
    """Single decisions that wait for a reviewer. Bounded, and everything in it ends by itself."""

    async def put(self, asked: Sequence[Asked]) -> int:
        """Put decisions in; those that wait already stay as they are. Return how many did not fit. Raises StoreUnavailable."""
        ...

    async def waiting(self, limit: int = 500) -> Sequence[Asked]:
        """Return what waits, oldest first. Raises StoreUnavailable."""
        ...

    async def get(self, review_id: str) -> Asked | None:
        """Return one that waits; None: it does not, any more. Raises StoreUnavailable."""
        ...

    async def settle(self, asked: Asked, verdict: Verdict) -> None:
        """Store the verdict with the person and take the decision out. Raises StoreUnavailable: it may have been done."""
        ...

    async def settled(self, review_id: str) -> tuple[Asked, Verdict] | None:
        """Return what was decided under an id and what was said, while it stands; None: nothing does. Raises StoreUnavailable."""
        ...

    async def withdraw(self, asked: Asked) -> bool:
        """Take its verdict away from the person; False: none stands. Raises StoreUnavailable: it may have been done."""
        ...


class Ids(Protocol):
    """Where fresh identities come from."""

    def decision_id(self) -> str:
        """Return 32 hexadecimal digits, unique and ordered by time (UUID version 7)."""
        ...

    def decision_ids(self, count: int) -> list[str]:
        """Return so many, one or more, in order."""
        ...


class Clock(Protocol):
    """Where time comes from."""

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch."""
        ...
