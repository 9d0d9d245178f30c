"""`liftgate serve` from settings to exit code: what happens once, however many workers there are."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydantic import SecretStr

from liftgate import __version__
from liftgate.adapters.telemetry_export import MetricsServer
from liftgate.adapters.telemetry_metrics import LAYOUT
from liftgate.adapters.telemetry_page import Page
from liftgate.app.exit_code import CannotStart, ExitCode
from liftgate.app.keys import PseudonymKey, pseudonym_key
from liftgate.app.logging import Logger, start_logging
from liftgate.app.settings import BadSettings, Settings, mention, unknown_variables
from liftgate.app.slices import sliced
from liftgate.domain.errors import BadInput


def run(settings: Settings) -> ExitCode:
    """Serve until told to stop. Raises CannotStart with plain words."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until the server has its own handlers: what was begun is put away, such as the embedded store's directory.
        signal.signal(number, _stop_early)
    log = start_logging(settings.log_level)
    log.info("settings", version=__version__, **settings.shown())
    for name in unknown_variables():
        log.warning("unknown_variable", variable=name, meaning="it names no setting; a spelling mistake?")
    try:
        key = pseudonym_key(settings)
    except BadSettings as err:
        raise CannotStart(str(err)) from None
    if key.made_at is not None:
        log.warning(
            "pseudonym_key_made",
            path=str(key.made_at),
            key_id=key.key_id,
            meaning="no key was given; keep this file: without it people in this log cannot be matched with later ones",
        )
    with _store(settings, log) as stored:
        return _serve_one(stored, key, log) if settings.workers == 1 else _serve_many(stored, key, log)


def _stop_early(number: int, frame: object) -> None:
    sys.exit(ExitCode.DRAINED)


def _serve_one(settings: Settings, key: PseudonymKey, log: Logger) -> ExitCode:
    # Not at the top: a supervisor needs neither numpy nor a model runtime.
    from liftgate.app.server import serve

    page = Page(LAYOUT)
    with _metrics(settings, [page], log):
        return serve(settings, key, page, log)


def _serve_many(settings: Settings, key: PseudonymKey, log: Logger) -> ExitCode:
    from liftgate.app.supervisor import Supervisor

    async def supervise() -> ExitCode:
        supervisor = Supervisor(settings, key, log)
        with _metrics(settings, supervisor.pages, log):
            return await supervisor.run()

    return asyncio.run(supervise())


@contextmanager
def _store(settings: Settings, log: Logger) -> Iterator[Settings]:
    """Give settings that name a store; start the embedded one for as long as it is needed."""
    if settings.redis.get_secret_value() != "embedded":
        yield settings
        return
    from liftgate.adapters.embedded_valkey import EmbeddedValkey

    embedded = EmbeddedValkey()
    try:
        embedded.start()
    except (BadInput, RuntimeError) as err:
        raise CannotStart(f"{mention('redis')}: {err}") from None
    with embedded:
        log.info("embedded_store", url=embedded.url, meaning="empty, in memory, gone when the server stops")
        yield settings.model_copy(update={"redis": SecretStr(embedded.url)})


@contextmanager
def _metrics(settings: Settings, pages: Sequence[Page], log: Logger) -> Iterator[None]:
    if not settings.metrics_port:
        yield
        return
    try:
        server = MetricsServer(settings.metrics_host, settings.metrics_port, pages, beside=sliced)
    except OSError as err:
        where = f"{settings.metrics_host}:{settings.metrics_port}"
        raise CannotStart(f"{mention('metrics_port')}: cannot listen on {where}: {err.strerror}; 0 turns /metrics off") from None
    try:
        log.info("metrics", url=f"http://{settings.metrics_host}:{server.port}/metrics")
        yield
    finally:
        server.close()
