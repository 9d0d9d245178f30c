"""One serving process: load and check everything, serve, reload on request, drain."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from liftgate import __version__
from liftgate.adapters.redis_fleet import REPORT_S
from liftgate.adapters.telemetry import Telemetry
from liftgate.adapters.telemetry_page import Page
from liftgate.adapters.telemetry_spans import DecisionSpans, otlp_spans
from liftgate.app import giving_back
from liftgate.app.control import Line
from liftgate.app.exit_code import CannotStart, ExitCode
from liftgate.app.keys import PseudonymKey
from liftgate.app.link import Link
from liftgate.app.loading import load_at_rest, look
from liftgate.app.logging import Logger, warner, where
from liftgate.app.reload import SIGHUP, WATCH
from liftgate.app.settings import BadSettings, Settings, mention
from liftgate.app.watch import watch
from liftgate.app.wiring import Worker, files_of, wire
from liftgate.domain.errors import BadInput, LogUnavailable, StoreUnavailable
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.ports import Claim

_FILL_BUDGET_S = 2.0
"""How long a start waits for Redis before it serves degraded."""
_WARM_UP_ROWS = 32
_WARM_UP_S = 15.0
_SWITCH_S = 0.0005
"""How long a thread beside the event loop may keep the interpreter while the loop wants it. Python's own 5 ms are a decision's budget, and
the loop pays them each time that it comes back from the kernel."""
_YOUNG = 10_000
"""Objects more before the collector looks for cycles. A full batch holds so many while it is walked, and they go by reference counts; at
Python's own 700 it walks through them a dozen times a batch and finds nothing."""
_SAMPLE_EVERY_S = 0.1
"""How often queue depth and log counters are copied to the metrics page, and the logs' health is looked at."""


@dataclass(frozen=True, slots=True)
class Told:
    """How the process is told what to do. Events of the serving loop."""

    stop: asyncio.Event
    """Drain."""
    hurry: asyncio.Event
    """Drain without lame duck and grace."""
    reload: asyncio.Event

    def on_stop(self) -> None:
        """Stop; told twice: hurry."""
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()


def serve(
    settings: Settings,
    key: PseudonymKey,
    page: Page,
    log: Logger,
    ready: Callable[[int], None] = lambda port: None,
    link: Link | None = None,
) -> ExitCode:
    """Serve until told to stop, on an event loop of its own. `ready` gets the port once health says SERVING; `link` leads to a supervisor.

    Raises CannotStart; a fault of ours comes back as ExitCode.FAILED and is in the log.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(settings, key, page, log, ready, link))
    finally:
        sys.setswitchinterval(interval)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(
    settings: Settings, key: PseudonymKey, page: Page, log: Logger, ready: Callable[[int], None], link: Link | None
) -> ExitCode:
    told = Told(asyncio.Event(), asyncio.Event(), asyncio.Event())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.on_stop)
    loop.add_signal_handler(signal.SIGHUP, told.reload.set)
    files = files_of(settings)
    before = look(files)
    telemetry = Telemetry(page, _spans(settings), warner(log), settings.trace_sample_ratio)
    try:
        live = load_at_rest(files)
    except BadInput as err:
        raise CannotStart(str(err)) from None
    try:
        worker = wire(settings, live, key, telemetry, log, link)
    except BadSettings as err:
        raise CannotStart(str(err)) from None
    if link is not None:
        _listen(worker, link, told)
    _open_logs(worker, log)
    worker.audit.begin()
    try:
        await worker.redis.fill(_FILL_BUDGET_S)
        if worker.feast_redis is not None:
            await worker.feast_redis.fill(_FILL_BUDGET_S)
        await worker.privacy.erase_again()
        await worker.controls.watch.refresh()
        async with asyncio.timeout(_WARM_UP_S):
            await _warm_up(worker)
    except TimeoutError:
        raise CannotStart(f"the first walk did not end within {_WARM_UP_S:g} s; the log lines before this say why") from None
    except StoreUnavailable as err:
        log.warning("store_unavailable", cause=str(err), meaning="serving degraded until it is back")
    worker.controls.start()
    try:
        port = await worker.server.start(settings.host, settings.port)
    except OSError as err:
        raise CannotStart(f"{mention('port')}: {err} Another server may join it with --share-port.") from None
    # What lives from now on for the whole run need not be looked at by every collection.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
    worker.port = port
    tasks = [asyncio.create_task(_reload_when_told(worker, told)), asyncio.create_task(_report(worker))]
    tasks += [asyncio.create_task(worker.privacy.watch()), asyncio.create_task(giving_back.watch())]
    if settings.watch:
        tasks.append(asyncio.create_task(watch(partial(look, files), partial(worker.reloader.reload, WATCH), before)))
    worker.server.health.set_serving(True)
    telemetry.serving(True, live.bundle, __version__)
    log.info(
        "serving", host=settings.host, port=port, transport=worker.server.transport, bundle=live.bundle.name, digest=live.bundle.digest
    )
    ready(port)
    code = await _until_stopped(worker, told, log)
    for task in tasks:
        task.cancel()
    return await _drain(worker, settings, told, code, log)


def _open_logs(worker: Worker, log: Logger) -> None:
    for name, one in worker.logs:
        try:
            found = one.open()
        except LogUnavailable as err:
            raise CannotStart(f"{mention('log')}: {err}") from None
        worker.telemetry.mended(name, one.quarantined_bytes)
        for file in found:
            lines = {"log": name, "file": file.name, "records": file.records}
            if file.error:
                log.error("segment_not_mended", **lines, cause=file.error)
            elif file.damage is not None:
                log.warning("segment_mended", **lines, quarantined_bytes=file.damage.size, damage=file.damage.cause)
            else:
                log.info("segment_mended", **lines)


async def _warm_up(worker: Worker) -> None:
    """Walk every placement once, dry, and hand Redis its scripts, so that the first caller does not wait for what is made at first use.

    Changes nothing. Raises StoreUnavailable.
    """
    live = worker.live
    requests = [DecideRequest("", "", placement.placement_id, placement.slots, dry_run=True) for placement in live.bundle.placements]
    for start in range(0, len(requests), _WARM_UP_ROWS):
        await worker.batcher.submit_many(requests[start : start + _WARM_UP_ROWS], live)
    # No caps and no request_id: nothing to charge, nothing to remember.
    nothing = Claim("", False, "", b"\0" * 8, b"\0" * 8, (), 0, b"", b"")
    await worker.reservations.reserve([nothing])


def _spans(settings: Settings) -> DecisionSpans | None:
    if settings.otlp_endpoint is None:
        return None
    try:
        return otlp_spans(settings.otlp_endpoint)
    except ImportError:
        raise CannotStart(f"{mention('otlp_endpoint')} needs the extra: pip install 'liftgate[otlp]'") from None


async def _until_stopped(worker: Worker, told: Told, log: Logger) -> ExitCode:
    """Return when told to stop, or when a log has failed for good. Meanwhile copy counters to the metrics page."""
    while not told.stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(told.stop.wait(), _SAMPLE_EVERY_S)
        _sample(worker)
        if not all(one.healthy for _, one in worker.logs):
            log.error("log_failed", meaning="the disk did not keep what was written; nothing more is acknowledged")
            return ExitCode.LOG_FAILED
        _say_whether_ready(worker, log)
    return ExitCode.DRAINED


def _say_whether_ready(worker: Worker, log: Logger) -> None:
    """While a log cannot be written and calls are refused for it, health is NOT_SERVING; with room on the disk it is SERVING again."""
    if worker.batcher.refuses_without_log:
        ready = all(one.writable() for _, one in worker.logs)
        if ready is not worker.server.health.serving:
            worker.server.health.set_serving(ready)
            worker.telemetry.serving(ready)
            meaning = "the log can be written" if ready else "calls are refused until the disk has room"
            log.warning("serving_again" if ready else "log_not_writable", meaning=meaning)


async def _drain(worker: Worker, settings: Settings, told: Told, code: ExitCode, log: Logger) -> ExitCode:
    """NOT_SERVING, lame duck, stop, flush and seal."""
    worker.server.health.set_serving(False)
    worker.telemetry.serving(False)
    # A reload under way is refused: what is in force now is drained.
    worker.aside.stop()
    log.info("draining", lame_duck_s=settings.lame_duck_s, grace_s=settings.drain_grace_s)
    if code is ExitCode.DRAINED:
        with suppress(TimeoutError):
            await asyncio.wait_for(told.hurry.wait(), settings.lame_duck_s)
    await worker.server.stop(0.0 if told.hurry.is_set() or code is not ExitCode.DRAINED else settings.drain_grace_s)
    # Callers that hung up left their batches walking: what was decided is still recorded.
    with suppress(TimeoutError):
        await asyncio.wait_for(worker.batcher.drain(), settings.drain_grace_s + 1.0)
    with suppress(StoreUnavailable):
        await worker.fleet.leave(worker.worker_id)
    await worker.controls.close()
    await worker.audit.close()
    for _, one in worker.logs:
        try:
            await one.close()
        except Exception as err:
            log.error("log_not_sealed", cause=type(err).__name__, at=where(err), meaning="the next start mends it")
            code = ExitCode.LOG_FAILED
    _sample(worker)
    await worker.redis.close()
    if worker.feast_redis is not None:
        await worker.feast_redis.close()
    worker.telemetry.close()
    log.info("stopped", code=int(code))
    return code


async def _reload_when_told(worker: Worker, told: Told) -> None:
    while True:
        await told.reload.wait()
        told.reload.clear()
        await worker.reloader.reload(SIGHUP)


def _listen(worker: Worker, link: Link, told: Told) -> None:
    """Do what the supervisor orders; without one nobody watches over this process, so it stops."""
    under_way: set[asyncio.Task[None]] = set()

    async def reload(order: Line) -> None:
        outcome = await worker.reloader.reload(order["actor"], order["role"], order["reason"])
        link.send({"event": "reloaded", "call": order["call"], "outcome": outcome.plain()})

    def hear(order: Line) -> None:
        if order.get("order") == "reload":
            task = asyncio.create_task(reload(order))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    link.listen(hear, told.on_stop)


async def _report(worker: Worker) -> None:
    """Tell the fleet what this worker runs, at once after a reload and every few seconds; hand over the audit chain's head with it."""
    told = worker.reloader.told
    while True:
        told.clear()
        with suppress(StoreUnavailable):
            await worker.fleet.report(worker.state())
        worker.audit.keep()
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), REPORT_S)


def _sample(worker: Worker) -> None:
    worker.telemetry.level(worker.batcher.queue_depth)
    worker.controls.sample()
    for name, one in worker.logs:
        worker.telemetry.logged(name, one.records_written, one.bytes_written, one.lost)
