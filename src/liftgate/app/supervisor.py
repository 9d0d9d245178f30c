"""Several workers on one port: starts them, starts dead ones again, passes signals on, and shows their metrics as one."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from liftgate.adapters.telemetry_metrics import LAYOUT
from liftgate.adapters.telemetry_page import Page
from liftgate.app.control import MAX_LINE_BYTES, Line, decode, encode, orders
from liftgate.app.exit_code import CannotStart, ExitCode
from liftgate.app.keys import PseudonymKey
from liftgate.app.logging import Logger
from liftgate.app.settings import Settings, mention

_START_TIMEOUT_S = 60.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_RELOAD_S = 60.0
"""How long a worker may take to reload before the others' answers go out without its own."""
_HEALTHY_AFTER_S = 30.0
"""A worker that lived this long starts again at once when it dies."""


@dataclass(slots=True)
class _Slot:
    """One worker's place. Its page outlives the worker, so counters never fall."""

    number: int
    page: Page
    file: BinaryIO
    process: subprocess.Popen[bytes] | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = ""
    """What it said when it could not start."""
    ended: int | None = None
    writer: asyncio.StreamWriter | None = None
    """To a worker that lives."""


@dataclass(slots=True)
class _Reload:
    """A reload that one worker asked for and all make."""

    asker: _Slot
    call: str
    waiting: set[int]
    """Workers that have not answered."""
    outcomes: dict[int, Line] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None


class Supervisor:
    """Runs `settings.workers` workers. One event loop, one thread, no numpy: it costs a few MB and no CPU."""

    def __init__(self, settings: Settings, key: PseudonymKey, log: Logger) -> None:
        self._settings = settings
        self._key = key
        self._log = log
        self._own = Page(LAYOUT)
        self._slots = [_slot(number) for number in range(settings.workers)]
        self._stopping = asyncio.Event()
        self._signals = 0
        self._first: asyncio.Task[None] | None = None
        self._code = ExitCode.DRAINED
        self._reloads: dict[int, _Reload] = {}
        self._reloads_begun = 0

    @property
    def pages(self) -> list[Page]:
        """Every page that /metrics sums."""
        return [self._own, *(slot.page for slot in self._slots)]

    async def run(self) -> ExitCode:
        """Serve until told to stop. Raises CannotStart when the first worker cannot start; the others then never do."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        with hold_port(self._settings) as holder:
            settings = self._settings.model_copy(update={"port": holder.getsockname()[1]})
            first, *others = self._slots
            # One at first: what is wrong with the bundle is then said once.
            await self._start(first, settings)
            tasks = [asyncio.create_task(self._keep(slot, settings)) for slot in self._slots]
            await asyncio.wait(
                [asyncio.create_task(self._stopping.wait()), asyncio.create_task(_all([slot.ready for slot in others]))],
                return_when=asyncio.FIRST_COMPLETED,
                timeout=_START_TIMEOUT_S,
            )
            if not self._stopping.is_set():
                self._log.info("serving_all", host=settings.host, port=settings.port, workers=len(self._slots))
            await asyncio.gather(*tasks)
        self._log.info("stopped_all", code=int(self._code))
        return self._code

    def _on_stop(self) -> None:
        self._signals += 1
        if self._signals <= 2:
            self._stopping.set()
            self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: int) -> None:
        for slot in self._slots:
            if slot.process is not None and slot.ended is None:
                with suppress(ProcessLookupError):
                    slot.process.send_signal(number)

    async def _start(self, slot: _Slot, settings: Settings) -> None:
        """Start the first worker and wait until it serves. Raises CannotStart."""
        watch = asyncio.create_task(self._live(slot, settings))
        ready = asyncio.create_task(slot.ready.wait())
        await asyncio.wait((watch, ready), return_when=asyncio.FIRST_COMPLETED, timeout=_START_TIMEOUT_S)
        if slot.ready.is_set() or self._stopping.is_set():
            self._first = watch
            return
        ready.cancel()
        if slot.process is not None and slot.ended is None:
            slot.process.kill()
        await watch
        raise CannotStart(slot.why or f"the first worker ended with code {slot.ended} before it served")

    async def _keep(self, slot: _Slot, settings: Settings) -> None:
        """Keep one worker alive until told to stop."""
        pause = _FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        life = self._first if slot is self._slots[0] else None
        while True:
            began = loop.time()
            await (life or self._live(slot, settings))
            life = None
            slot.page.clear_gauges()
            if slot.ended == ExitCode.LOG_FAILED:
                # A disk that loses writes concerns every worker.
                self._code = ExitCode.LOG_FAILED
                self._stopping.set()
                self._pass_on(signal.SIGTERM)
            if self._stopping.is_set():
                if slot.ended not in (0, -signal.SIGTERM) and self._code is ExitCode.DRAINED:
                    self._code = ExitCode.FAILED
                return
            if loop.time() - began > _HEALTHY_AFTER_S:
                pause = _FIRST_PAUSE_S
            self._own.cells[LAYOUT.start("liftgate_worker_restarts")] += 1
            self._log.error("worker_died", worker=slot.number, code=slot.ended, restart_in_s=pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
                return
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _live(self, slot: _Slot, settings: Settings) -> None:
        """Start one worker and return when it has ended."""
        slot.ready.clear()
        slot.ended, slot.why = None, ""
        ours = _spawn(slot)
        process = slot.process
        assert process is not None
        if self._stopping.is_set():
            process.send_signal(signal.SIGTERM)
        reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
        try:
            writer.write(encode(orders(settings, self._key, slot.number)))
            slot.writer = writer
            with suppress(ConnectionError):
                while raw := await reader.readline():
                    self._hear(slot, decode(raw))
            # The socket is closed: the worker is ending.
            slot.ended = await asyncio.to_thread(process.wait)
        finally:
            slot.writer = None
            writer.close()
            for number in tuple(self._reloads):
                self._answered(number, slot, None)

    def _hear(self, slot: _Slot, line: Line) -> None:
        if line.get("event") == "ready":
            slot.ready.set()
            if self._stopping.is_set() and slot.process is not None:
                slot.process.send_signal(signal.SIGTERM)
        elif line.get("event") == "cannot_start":
            slot.why = str(line.get("why", ""))
        elif line.get("event") == "reload":
            self._reload(slot, line)
        elif line.get("event") == "reloaded":
            self._answered(int(line["call"]), slot, line["outcome"])

    def _reload(self, asker: _Slot, line: Line) -> None:
        """Pass a worker's wish on to every worker that lives."""
        self._reloads_begun += 1
        number = self._reloads_begun
        living = [slot for slot in self._slots if slot.writer is not None and slot.ready.is_set()]
        reload = self._reloads[number] = _Reload(asker, str(line["call"]), {slot.number for slot in living})
        reload.timer = asyncio.get_running_loop().call_later(_RELOAD_S, self._give_up, number)
        for slot in living:
            self._tell(slot, {"order": "reload", "call": number, **{key: line[key] for key in ("actor", "role", "reason")}})

    def _answered(self, number: int, slot: _Slot, outcome: Line | None) -> None:
        """Take a worker's outcome, None when it died; the last one sends all to the worker that asked."""
        reload = self._reloads.get(number)
        if reload is None or slot.number not in reload.waiting:
            return
        reload.waiting.discard(slot.number)
        if outcome is not None:
            reload.outcomes[slot.number] = outcome
        if not reload.waiting:
            self._give_up(number)

    def _give_up(self, number: int) -> None:
        """Send what there is."""
        reload = self._reloads.pop(number)
        if reload.timer is not None:
            reload.timer.cancel()
        outcomes = [reload.outcomes.get(slot.number) or _silent(slot) for slot in self._slots]
        asker = reload.asker.number
        self._tell(reload.asker, {"order": "outcomes", "call": reload.call, "outcomes": [outcomes.pop(asker), *outcomes]})

    def _tell(self, slot: _Slot, line: Line) -> None:
        if slot.writer is not None:
            slot.writer.write(encode(line))


def _spawn(slot: _Slot) -> socket.socket:
    """Start a worker's process in its slot and return our end of its socket."""
    ours, theirs = socket.socketpair()
    fd = slot.file.fileno()
    with theirs:
        # A process group of its own: Ctrl-C reaches the supervisor alone, which passes it on once.
        slot.process = subprocess.Popen(  # noqa: S603  # this interpreter and our own module
            [sys.executable, "-P", "-m", "liftgate.app.worker", str(fd)], stdin=theirs.fileno(), pass_fds=(fd,), process_group=0
        )
    return ours


def _slot(number: int) -> _Slot:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the slot
    file.truncate(LAYOUT.size)
    return _Slot(number, Page(LAYOUT, file.fileno()), file)


def _silent(slot: _Slot) -> Line:
    """Return the outcome of a worker that gave none."""
    cause = f"worker {slot.number} did not answer: it is being started, or is stuck; it reads the bundle when it starts"
    return {
        "worker_id": "",
        "result": "unknown",
        "at_ms": 0,
        "digest_before": "",
        "digest": "",
        "actor": "",
        "mistakes": [],
        "cause": cause,
    }


async def _all(events: list[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


def hold_port(settings: Settings) -> socket.socket:
    """Return a socket that is bound and does not listen: it keeps the port for our workers. Raises CannotStart when another has it.

    Workers share the port through SO_REUSEPORT, which would also let a second server in unnoticed; so look first.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    address = (settings.host, settings.port)
    try:
        if settings.port and not settings.share_port:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        holder = socket.socket(family, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            holder.bind(address)
        except OSError as err:
            if err.errno != errno.EADDRINUSE:
                raise
            # For a minute after a single worker has ended, the system still knows connections that it closed; a listener refuses this, too.
            # Not at once: until one of ours listens, another server that looks would not see this holder.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(address)
        return holder
    except OSError as err:
        raise CannotStart(f"{mention('port')}: cannot listen on {settings.host}:{settings.port}: {err.strerror}") from None
