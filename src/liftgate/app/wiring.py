"""Wiring: settings become one worker's objects. The only place that knows every adapter."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from liftgate import __version__
from liftgate.adapters.audit_log import FOLDER, AuditLog, audit_segments
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.fleet import Outcome, WorkerState
from liftgate.adapters.grpc_admin import AdminService
from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.grpc_events import EventService
from liftgate.adapters.grpc_explain import ExplainService, may_explain
from liftgate.adapters.grpc_service import DecisionService
from liftgate.adapters.operators import Operators
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_address import is_cluster
from liftgate.adapters.redis_audit import RedisHeads
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.adapters.redis_events import EVENT_BUDGET_MS, RedisEventsSeen
from liftgate.adapters.redis_fleet import RedisFleet
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.adapters.redis_published import RedisPublished
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.adapters.system import SystemClock, TimeOrderedIds
from liftgate.adapters.telemetry import Telemetry
from liftgate.adapters.transports import GATHER_TURNS, GrpcServer, Tls, resolve
from liftgate.app.aside import Aside
from liftgate.app.controls import ControlRoom, control_room
from liftgate.app.feast import feast_of
from liftgate.app.keys import PseudonymKey
from liftgate.app.lending import Lender
from liftgate.app.link import Link
from liftgate.app.loading import Files
from liftgate.app.logging import Logger, teller
from liftgate.app.parting import part_with
from liftgate.app.privacy import PrivacyRoom, person_keys, privacy_room
from liftgate.app.reload import Reloader, reload_everywhere
from liftgate.app.settings import BadSettings, Settings, mention
from liftgate.app.taking import Taking
from liftgate.bundle.compiled import Bundle
from liftgate.domain.errors import BadInput
from liftgate.pipeline.batching import Batcher, Limits
from liftgate.pipeline.live import Live
from liftgate.pipeline.walk import Ports


@dataclass(slots=True)
class Worker:
    """Everything that one serving process holds."""

    live: Live
    """What is in force; a reload replaces it whole, and each request has taken its own reference."""
    batcher: Batcher
    logs: tuple[tuple[str, SegmentLog], ...]
    """The decision log, the event log and the segments of the audit chain, by stream name. `wire` leaves them closed."""
    audit: AuditLog
    """Takes every administrative act before it happens."""
    operators: Operators
    """Who may make privileged calls."""
    redis: RedisClient
    reservations: RedisReservations
    server: GrpcServer
    telemetry: Telemetry
    reloader: Reloader
    aside: Aside
    """Loads what a reload reads."""
    fleet: RedisFleet
    controls: ControlRoom
    """What is stopped and approved."""
    privacy: PrivacyRoom
    """Consent, and erasures."""
    worker_id: str
    """16 hexadecimal digits, new with every start."""
    port: int = 0
    """Where it listens; 0: not yet."""
    feast_redis: RedisClient | None = None
    """Where features lie, in another server's Feast online store."""

    def state(self) -> WorkerState:
        """Return what this worker tells its fleet and whoever asks."""
        bundle, reloader = self.live.bundle, self.reloader
        return WorkerState(
            worker_id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            port=self.port,
            transport=self.server.transport,
            version=__version__,
            bundle=bundle.name,
            digest=bundle.digest,
            since_ms=reloader.since_ms,
            last_reload=reloader.last,
        )


def files_of(settings: Settings) -> Files:
    """Return what the settings say is to be read."""
    cluster = is_cluster(settings.redis.get_secret_value())
    return Files(settings.bundle, settings.models, settings.operators, settings.feast, settings.log, cluster)


def wire(
    settings: Settings,
    live: Live,
    key: PseudonymKey,
    telemetry: Telemetry,
    log: Logger | None = None,
    link: Link | None = None,
) -> Worker:
    """Build a worker. Nothing is sent, and no log or port is open yet. `link` leads to a supervisor. Raises BadSettings."""
    log = log or structlog.get_logger()
    try:
        redis = connect(settings.redis.get_secret_value(), budget_ms=settings.fetch_budget_ms)
    except ValueError as err:
        raise BadSettings(f"{mention('redis')}: {err}") from None
    try:
        operators = Operators(settings.operators)
    except BadInput as err:
        raise BadSettings(f"{mention('operators')} {settings.operators}: {err}") from None
    feast, feast_redis = feast_of(settings, live.bundle.schema)
    clock, ids = SystemClock(), TimeOrderedIds()
    # One breaker: profiles and reservations lie on the same servers, so one's failures are the other's.
    breaker = Breaker()
    horizon_ms = round(settings.idempotency_horizon_s * 1_000)
    decisions, events = (SegmentLog(settings.log, stream, settings.durability, now_ms=clock.now_ms) for stream in ("decision", "event"))
    chained = audit_segments(settings.log, clock)
    chains = settings.log / FOLDER
    audit = AuditLog(chained, chains, clock, RedisHeads(redis, socket.gethostname(), str(chains.absolute())), teller(log))
    pseudonyms, accounts = Pseudonyms(key.key_id, key.key), Pseudonyms.of_accounts(key.key_id, key.key)
    reservations = RedisReservations(redis, breaker, settings.reserve_budget_ms, horizon_ms)
    controls = control_room(settings, redis, lambda: worker.live, audit, clock, telemetry, log)
    ring, naming = person_keys(settings, key, redis, breaker)
    ports = Ports(
        profiles=RedisProfiles(redis, settings.profile_layout, breaker, settings.fetch_budget_ms, feast, feast_redis, ring),
        reservations=reservations,
        log=decisions,
        answers=GrpcAnswers(),
        observer=telemetry,
        ids=ids,
        clock=clock,
        pseudonym=pseudonyms,
        account_pseudonym=accounts,
        session_pseudonym=Pseudonyms.of_units("session", key.key_id, key.key),
        visitor_pseudonym=Pseudonyms.of_units("visitor", key.key_id, key.key),
        personal=None if ring is None else ring.pseudonyms,
        personal_unit=ring.unit if ring is not None and ring.names_units else None,
        pseudonym_key_id=pseudonyms.key_id if ring is None else ring.key_id,
        on_log_failure=settings.on_log_failure,
        controls=controls.panel,
        review_queue=controls.queue,
    )
    tls = _tls(settings)
    limits = Limits(
        settings.max_batch,
        settings.max_queue,
        settings.batches_in_flight,
        settings.idempotency_horizon_s,
        settings.hurry_ms / 1000,
        GATHER_TURNS[resolve(settings.transport, tls)],
    )
    batcher = Batcher(ports, limits)
    worker: Worker

    def in_force() -> Live:
        return worker.live

    def swap(live: Live) -> None:
        before, worker.live = worker.live, live
        # Made now, so that nothing but walks under way holds the bundle before.
        controls.panel.columns(live.bundle)
        part_with(before)
        telemetry.serving(worker.server.health.serving, live.bundle, __version__)

    async def reload(actor: str, role: str, reason: str) -> Sequence[Outcome]:
        return await reload_everywhere(worker.reloader, link, actor, role, reason)

    worker_id = os.urandom(8).hex()
    packed = settings.profile_layout == "packed" and feast is None

    def tell_feast(bundle: Bundle) -> None:
        if feast is not None:
            feast.load(bundle.schema)

    files = files_of(settings)
    aside = Aside(files, lender=Lender(asyncio.get_running_loop()))
    taking = Taking(files, aside, clock, tell_feast)
    reloader = Reloader(worker_id, taking.read, in_force, swap, operators, audit, telemetry, clock, log, packed)
    fleet, published = RedisFleet(redis), RedisPublished(redis)
    administering = AdminService(
        in_force,
        lambda: worker.state(),
        reload,
        fleet,
        published,
        operators,
        audit,
        clock,
        telemetry,
        report=telemetry.failed,
    )

    explaining = ExplainService(settings.log, may_explain(operators, settings.explain_by_id))
    deciding = DecisionService(
        in_force,
        batcher,
        ids,
        telemetry,
        default_deadline_ms=settings.default_deadline_ms,
        report=telemetry.failed,
        explain=explaining.explain,
    )
    seen = RedisEventsSeen(redis, breaker, EVENT_BUDGET_MS, keys=ring)
    contacts = RedisContactEvents(redis, breaker, EVENT_BUDGET_MS)
    recording = EventService(
        in_force,
        events,
        seen,
        pseudonyms,
        clock,
        telemetry,
        contacts=contacts,
        accounts=accounts,
        report=telemetry.failed,
        uncounted=telemetry.uncounted,
        features=lambda live: live.features,
        outcomes=telemetry.took,
        naming=naming,
    )
    privacy = privacy_room(settings, key, redis, breaker, in_force, audit, pseudonyms, clock, operators, telemetry, log, naming)
    server = GrpcServer(
        {
            "liftgate.v1.DecisionService": deciding.handlers(),
            "liftgate.v1.EventService": recording.handlers(),
            "liftgate.v1.ConsentService": privacy.consenting.handlers(),
            "liftgate.v1.AdminService": administering.handlers(),
            **controls.services(operators),
        },
        transport=settings.transport,
        tls=tls,
        reuse_port=settings.workers > 1 or settings.share_port,
        reflect=settings.reflection,
        max_request_bytes=settings.max_request_kib * 1024,
        direct={"liftgate.v1.DecisionService": deciding.direct(), "liftgate.v1.EventService": recording.direct()},
    )
    logs = (("decision", decisions), ("event", events), ("audit", chained))
    rooms = (controls, privacy)
    worker = Worker(
        live, batcher, logs, audit, operators, redis, reservations, server, telemetry, reloader, aside, fleet, *rooms, worker_id
    )
    worker.feast_redis = feast_redis
    return worker


def _tls(settings: Settings) -> Tls | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    parts = []
    for name, path in (("tls_cert", settings.tls_cert), ("tls_key", settings.tls_key)):
        try:
            parts.append(path.read_bytes())
        except OSError as err:
            raise BadSettings(f"{mention(name)} {path}: {err.strerror}") from None
    return Tls(*parts)
