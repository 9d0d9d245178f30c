"""One worker's ConsentService, with what erases people, and the watch that erases them again in a store that was restored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.erasure_journal import ErasureJournal
from liftgate.adapters.grpc_consent import ConsentService
from liftgate.adapters.grpc_erasure import Erasing
from liftgate.adapters.operators import Operators
from liftgate.adapters.person_keys import PersonKeys
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import RedisClient
from liftgate.adapters.redis_consent import RedisConsent
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.adapters.redis_events import EVENT_BUDGET_MS
from liftgate.adapters.redis_person_keys import RedisPersonKeys
from liftgate.adapters.telemetry import Telemetry
from liftgate.app.keys import PseudonymKey, hashed_ids
from liftgate.app.logging import Logger
from liftgate.app.settings import Settings
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.audit import Audit
from liftgate.pipeline.live import Live
from liftgate.pipeline.naming import Naming
from liftgate.pipeline.ports import Clock

LOOK_EVERY_S = 5.0
"""How often to look whether the store has become older than the last erasure."""


@dataclass(slots=True)
class PrivacyRoom:
    """What one worker has for people's rights."""

    consenting: ConsentService
    store: RedisErasure
    journal: ErasureJournal
    clock: Clock
    telemetry: Telemetry
    log: Logger

    async def erase_again(self) -> None:
        """Make a store that lost erasures, as a restored backup has, forget again. Raises StoreUnavailable, OSError."""
        today = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC).date()
        journal = await asyncio.to_thread(self.journal.read, today)
        if not journal or not await self.store.forgot(next(reversed(journal))):
            return
        people, removed = await self.store.erase_again(journal)
        self.telemetry.erased_again(people)
        meaning = "the store is older than these erasures, so they were done again; what was kept of these people since is gone too"
        self.log.warning("erased_again", people=people, values=removed, meaning=meaning)

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(StoreUnavailable, OSError):
                await self.erase_again()


def person_keys(
    settings: Settings, key: PseudonymKey, redis: RedisClient, breaker: Breaker
) -> tuple[PersonKeys | None, RedisPersonKeys | None]:
    """Return what makes people's pseudonyms with keys of their own, for decisions and for the rest; None: the log's key alone does."""
    if settings.pseudonyms == "keyed":
        return None, None
    units = Pseudonyms.of_peoples_units(key.key) if settings.unit_pseudonyms == "personal" else None
    ring = PersonKeys(Pseudonyms.of_people(key.key), hashed_ids(key.key), units=units)
    return ring, RedisPersonKeys(redis, ring, breaker, EVENT_BUDGET_MS)


def privacy_room(
    settings: Settings,
    key: PseudonymKey,
    redis: RedisClient,
    breaker: Breaker,
    in_force: Callable[[], Live],
    audit: Audit,
    pseudonyms: Pseudonyms,
    clock: Clock,
    operators: Operators,
    telemetry: Telemetry,
    log: Logger,
    naming: Naming | None,
) -> PrivacyRoom:
    """Build it. Nothing is sent yet."""
    hashed = hashed_ids(key.key)
    store, journal = RedisErasure(redis, hashed), ErasureJournal(settings.log, hashed)
    consenting = ConsentService(
        in_force,
        RedisConsent(redis, breaker),
        audit,
        pseudonyms,
        clock,
        operators,
        telemetry,
        role=settings.consent_role,
        default_deadline_ms=settings.default_deadline_ms,
        report=telemetry.failed,
        erasures=store,
        erase=Erasing(store, journal, audit, clock, operators, telemetry.erased).erase,
        naming=naming,
    )
    return PrivacyRoom(consenting, store, journal, clock, telemetry, log)
