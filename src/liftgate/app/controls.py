"""Wiring of the controls: the watch over the store, the desks, their services, and what is said about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from liftgate.adapters.control_watch import ControlWatch
from liftgate.adapters.grpc_controls import ControlService
from liftgate.adapters.grpc_reviews import ReviewService
from liftgate.adapters.grpc_service import Handler
from liftgate.adapters.operators import Operators
from liftgate.adapters.redis_address import address_of
from liftgate.adapters.redis_client import RedisClient
from liftgate.adapters.redis_controls import CHANNEL, RedisControls
from liftgate.adapters.redis_published import RedisPublished
from liftgate.adapters.redis_review_queue import RedisReviewQueue
from liftgate.adapters.redis_subscription import Subscription, ended
from liftgate.adapters.telemetry import Telemetry
from liftgate.app.logging import Logger
from liftgate.app.settings import Settings
from liftgate.bundle.compiled import Bundle
from liftgate.domain.control import UNKNOWN
from liftgate.pipeline.audit import Audit
from liftgate.pipeline.control_desk import ControlDesk
from liftgate.pipeline.controls import ControlPanel
from liftgate.pipeline.decision_desk import DecisionDesk
from liftgate.pipeline.desk import Desk
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Clock
from liftgate.pipeline.review_desk import ReviewDesk


@dataclass(slots=True)
class ControlRoom:
    """One worker's controls."""

    panel: ControlPanel
    watch: ControlWatch
    subscription: Subscription
    desk: Desk
    reviews: ReviewDesk
    controls: ControlDesk
    queue: RedisReviewQueue
    decisions: DecisionDesk
    in_force: Callable[[], Bundle]
    telemetry: Telemetry
    log: Logger
    unapproved: tuple[str, ...] = ()
    """Sensitive offers of the bundle in force that are not shown for want of an approval."""
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def services(self, operators: Operators) -> dict[str, Mapping[str, Handler]]:
        """Return the handlers by service."""
        report = self.telemetry.failed
        return {
            "liftgate.v1.ControlService": ControlService(
                self.controls, self.desk, self.panel, operators, self.telemetry, report
            ).handlers(),
            "liftgate.v1.ReviewService": ReviewService(self.reviews, self.decisions, operators, self.telemetry, report).handlers(),
        }

    def start(self) -> None:
        """Begin to listen and to watch."""
        self._task = asyncio.get_running_loop().create_task(self.subscription.run())
        self.watch.start()

    async def close(self) -> None:
        """Stop listening and watching."""
        await self.watch.close()
        if self._task is not None:
            await ended(self._task)

    def sample(self) -> None:
        """Copy to the metrics page what is stopped and not approved; say what has changed about it."""
        bundle, controls = self.in_force(), self.panel.controls
        self.telemetry.controls(controls.known, len(controls.stops), self._say_unapproved(bundle))

    def _say_unapproved(self, bundle: Bundle) -> int:
        columns = self.panel.columns(bundle)
        if not bundle.reviews and columns.approved_until_ms is None:
            return 0
        if columns.approved_until_ms is None:
            lacking = sorted(bundle.reviews)
        else:
            lacking = np.flatnonzero(self.desk.clock.now_ms() >= columns.approved_until_ms).tolist()
        names = tuple(bundle.offers[k].offer_id for k in lacking)
        if names != self.unapproved:
            self.unapproved = names
            if names:
                meaning = "sensitive offers that are not shown; `liftgate review list` says what is missing"
                self.log.warning("offers_not_approved", offers=list(names), known=self.panel.controls.known, meaning=meaning)
            else:
                self.log.info("offers_approved", meaning="an approval stands for every sensitive offer")
        return len(names)


def control_room(
    settings: Settings, redis: RedisClient, in_force: Callable[[], Live], audit: Audit, clock: Clock, telemetry: Telemetry, log: Logger
) -> ControlRoom:
    """Build a worker's control room. Nothing is sent yet; until the store is read nothing is known."""
    panel, store = ControlPanel(UNKNOWN), RedisControls(redis)

    def say(event: str, fields: Mapping[str, object]) -> None:
        (log.info if event == "controls" else log.warning)(event, **fields)

    watch = ControlWatch(store, panel, max_age_s=settings.controls_max_age_s, say=say)
    subscription = Subscription(address_of(settings.redis.get_secret_value()), CHANNEL, watch.told)
    desk = Desk(store, audit, clock, watch.refresh)

    def bundle() -> Bundle:
        return in_force().bundle

    async def publishers(digest: str) -> frozenset[str]:
        return frozenset(one.author for one in await published.authors(digest))

    queue, published = RedisReviewQueue(redis, clock), RedisPublished(redis)
    desks = ReviewDesk(desk, bundle, publishers), ControlDesk(desk, bundle), queue, DecisionDesk(queue, audit, clock)
    return ControlRoom(panel, watch, subscription, desk, *desks, bundle, telemetry, log)
