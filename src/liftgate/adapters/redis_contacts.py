"""Counts events against caps, pauses and features in Redis or Valkey: `pipeline.contact_ports.ContactEvents`. See `lua/count.lua`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from struct import Struct

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.errand import promptly
from liftgate.adapters.redis_client import DEFAULT_BUDGET_MS, RedisClient
from liftgate.adapters.redis_events import DEFAULT_HORIZON_MS, remember
from liftgate.adapters.redis_script import run_script
from liftgate.domain.pause import Pause
from liftgate.pipeline.contact_ports import CapCount, ContactEvent, CountStatus, FeatureEvent, TotalCount
from liftgate.pipeline.event_ports import EventKey, Seen

CHUNK = 64
"""Events in one script call: bounds how long the server is busy with it."""

_HEADER = Struct("<B8s8sdd")
_CAP = Struct("<8sdB")
_TOTAL = Struct("<HH8sdB")
_PAUSE = Struct("<8s8sBdd")
_COUNTS = Struct("<HHHd")
_UPDATE = Struct("<BHd")
_NOBODY = b"\0" * 8
_HELD_OUT, _ACCOUNT, _UNSURE, _PARTLY, _BOTH, _FEATURES = 1, 2, 4, 8, 16, 32
_ALONE, _WITH = 64, 0
_STATUSES = tuple(CountStatus)
"""By number: looking a member up on its enum costs more."""
_LEASED_ONLY, _LEASE_WINDOW, _ONCE = 1, 2, 4


def event_entry_id(event_id: str) -> bytes:
    """Return the eight bytes under which contact history remembers an event."""
    return blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()


class RedisContactEvents:
    """Events counted in Redis. `horizon_ms` is how long an event is known, `budget_ms` bounds every call."""

    def __init__(
        self,
        client: RedisClient,
        breaker: Breaker | None = None,
        budget_ms: float = DEFAULT_BUDGET_MS,
        horizon_ms: int = DEFAULT_HORIZON_MS,
    ) -> None:
        if horizon_ms < 1:
            raise ValueError("the horizon of events must be at least 1 ms")
        self._client = client
        self._breaker = breaker or Breaker()
        self._budget_s = budget_ms / 1000
        self._horizon_ms = horizon_ms

    async def count(self, events: Sequence[ContactEvent], others: Sequence[EventKey] = ()) -> Sequence[CountStatus]:
        """See `pipeline.contact_ports.ContactEvents`."""
        if not events and not others:
            return []
        size = 1 if self._client.clustered else CHUNK
        calls = [self._call(events[i : i + size]) for i in range(0, len(events), size)]
        beside = remember(others, Seen.LOGGED, self._horizon_ms)
        replies = await run_script("count.lua", calls, self._client, self._breaker, self._budget_s, beside=beside, ask=promptly)
        return [_STATUSES[reply] for chunk in replies for reply in chunk]

    def _call(self, events: Sequence[ContactEvent]) -> tuple[list[bytes], list[bytes]]:
        """Return keys and arguments of one call of the script."""
        places: dict[bytes, int] = {}
        for event in events:
            for total in event.totals:
                for ghost in (False, True):
                    places.setdefault(redis_keys.total(total.cap_id, ghost), len(places) + 1)
        keys: list[bytes] = []
        arguments: list[bytes] = []
        upkeeps: dict[bytes, int] = {}
        tag, named = redis_keys.tag, redis_keys.event
        for event in events:
            (person_id, event_id), features = event.key, event.features
            own = tag(person_id)
            keys.append(named(person_id, event_id, own))
            begins = _ALONE
            if type(event) is not FeatureEvent:
                self._counted(event, own, places, keys, arguments)
                begins = _WITH
            if features is not None:
                cells, lives_ms, upkeep = features
                keys.append(own + b"w")
                which = upkeeps.get(upkeep) or upkeeps.setdefault(upkeep, len(upkeeps) + 1)
                arguments.append(_UPDATE.pack(begins, which, lives_ms) + cells)
        arguments += upkeeps
        arguments.append(_COUNTS.pack(len(events), len(places), len(upkeeps), self._horizon_ms))
        return [*places, *keys], arguments

    def _counted(self, event: ContactEvent, own: bytes, places: Mapping[bytes, int], keys: list[bytes], arguments: list[bytes]) -> None:
        """Add the keys and arguments of an event that caps or pauses count; `own` is the person's tag."""
        account_id = event.account_id
        keys += (own + b"h", own + b"g")
        if account_id:
            keys += [redis_keys.account(account_id, ghost) for ghost in (False, True)]
        flags = _HELD_OUT * event.held_out | _ACCOUNT * bool(account_id) | _UNSURE * event.unsure
        flags |= _PARTLY * event.partly | _BOTH * event.both | _FEATURES * (event.features is not None)
        named, reservation = event_entry_id(event.key.event_id), event.reservation_id or _NOBODY
        arguments += (
            _HEADER.pack(flags, reservation, named, event.now_ms, event.occurred_at_ms),
            _caps(event.caps),
            _caps(event.account_caps),
            _totals(event.totals, places),
            _pauses(event.pauses),
        )


def _totals(totals: Sequence[TotalCount], places: Mapping[bytes, int]) -> bytes:
    packed = []
    for total in totals:
        real, ghosts = (places[redis_keys.total(total.cap_id, ghost)] for ghost in (False, True))
        packed.append(_TOTAL.pack(real, ghosts, total.receipt_id, total.bucket_until_ms, total.leased_only | _ONCE * total.once))
    return b"".join(packed)


def _pauses(pauses: Sequence[Pause]) -> bytes:
    return b"".join([_PAUSE.pack(one.cap_id, one.outcome_id, one.after, one.within_ms, one.lasts_ms) for one in pauses])


def _caps(caps: Sequence[CapCount]) -> bytes:
    return b"".join(
        [
            _CAP.pack(cap.cap_id, cap.until_ms, _LEASED_ONLY * cap.leased_only | _LEASE_WINDOW * cap.lease_window | _ONCE * cap.once)
            for cap in caps
        ]
    )
