"""Loading aside: in a process of its own in spare time, so that reading and compiling take nothing from the event loop (ADR 0034, 0048)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from time import monotonic

from liftgate.app.control import encode
from liftgate.app.lending import Lender
from liftgate.app.loading import Files
from liftgate.app.spare_time import STARVED_S, Hunger, step_into

LONGEST_S = 300.0
"""How long a load may take before its process is ended."""
LONGEST_IN_SPARE_TIME_S = 40.0
"""How much of it in spare time alone. Whoever asked for a reload of several workers waits for 60 s."""
NEEDY_S, NEEDY_SHARE = 0.5, 0.15
"""A loader in spare time that wants to run for so long and gets less than this of a processor is lent time of the event loop."""
_LOOK_S = 0.25
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_AGAIN = "the bundle in force stays; reload again"


class LoadFailed(Exception):
    """A load came to no end; the message says why in plain words."""


class Aside:
    """Starts loaders, one at a time: in spare time, and anew at a share where there is none. `stop` may be called from any thread."""

    def __init__(self, files: Files, longest_s: float = LONGEST_S, starved_s: float = STARVED_S, lender: Lender | None = None) -> None:
        """`lender` gives of its loop's time where there is hardly any to spare; None: nobody does."""
        self._files, self._longest_s, self._starved_s, self._lender = files, longest_s, starved_s, lender
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """Of the loader that runs; None: none does."""
        process = self._process
        return None if process is None else process.pid

    def load(self) -> bytes:
        """Load everything and return what was found, as `handover.pack` wrote it. Blocks, without the interpreter. Raises LoadFailed."""
        until_s = monotonic() + self._longest_s
        raw = self._loaded(until_s, spare=True)
        if raw is None:
            raw = self._loaded(until_s, spare=False)
        assert raw is not None
        return raw

    def _loaded(self, until_s: float, spare: bool) -> bytes | None:
        """Return what one loader found; None: it was to run in spare time and had too little of it. Raises LoadFailed."""
        mine, theirs = os.pipe()
        try:
            try:
                process, spare = self._start(theirs, spare)
            finally:
                os.close(theirs)
            watch = _Watch(process, until_s, self._starved_s, self._lender) if spare else _Watch(process, until_s)
            try:
                raw = _all_of(mine)
                code = process.wait()
            finally:
                watch.end()
                self._end()
        finally:
            os.close(mine)
        if code == -signal.SIGKILL and watch.starved and not self._stopped:
            return None
        if code:
            raise LoadFailed(self._why(code, watch.late))
        return raw

    def stop(self) -> None:
        """End the loader that runs, if one does, and start none any more."""
        with self._lock:
            self._stopped = True
        self._kill()

    def _start(self, theirs: int, spare: bool) -> tuple[subprocess.Popen[bytes], bool]:
        """Start a loader; also return whether it runs in spare time, which cannot be had everywhere."""
        with self._lock:
            if self._stopped:
                raise LoadFailed(self._why(0, late=False))
            try:
                # A process group of its own: Ctrl-C is for the server.
                process = subprocess.Popen(  # noqa: S603  # this interpreter and our own module
                    [sys.executable, "-P", "-m", "liftgate.app.loader", str(theirs)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs,),
                    process_group=0,
                    env={**os.environ, **_ONE_THREAD},
                )
            except OSError as err:
                raise LoadFailed(f"the loading process cannot be started ({err.strerror}); {_AGAIN}") from None
            self._process = process
        # From here and at once: it could do so itself only when Python has started. Before its order: then it knows.
        spare = spare and step_into(process.pid)
        assert process.stdin is not None
        # The other end may be dead already: its exit code says why. The pipe stays open, whose end says that we are gone.
        with suppress(OSError):
            process.stdin.write(encode(self._files.plain()))
            process.stdin.flush()
        return process, spare

    def _end(self) -> None:
        """See that the loader is gone, whatever became of the reading."""
        with self._lock:
            process, self._process = self._process, None
        assert process is not None
        assert process.stdin is not None
        if process.poll() is None:
            process.kill()
            process.wait()
        with suppress(OSError):
            process.stdin.close()

    def _kill(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _why(self, code: int, late: bool) -> str:
        if self._stopped:
            return "the server is stopping"
        if late:
            return f"loading did not end within {self._longest_s:g} s, and was ended; {_AGAIN}"
        if code < 0:
            memory = ": the machine may have run out of memory" if -code == signal.SIGKILL else ""
            return f"the loading process was ended by {_name(-code)} before it was done{memory}; {_AGAIN}"
        return f"the loading process ended with {code} before it was done; {_AGAIN}"


class _Watch:
    """Ends a loader when its time is over, and one in spare time that has too little of it, lent time included. A thread, until `end`."""

    def __init__(
        self, process: subprocess.Popen[bytes], until_s: float, starved_s: float | None = None, lender: Lender | None = None
    ) -> None:
        """`starved_s` None: it does not run in spare time."""
        self.late = self.starved = False
        self._process, self._until_s, self._lender = process, until_s, lender
        self._hunger = None if starved_s is None else Hunger(process.pid, starved_s)
        self._need = None if lender is None else Hunger(process.pid, NEEDY_S, NEEDY_SHARE)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="load-watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no more: after this `late` and `starved` do not change."""
        self._ended.set()
        self._thread.join()
        if self._lender is not None:
            self._lender.end()

    def _look(self) -> None:
        patience_s = monotonic() + LONGEST_IN_SPARE_TIME_S
        while not self._ended.wait(min(_LOOK_S, max(0.0, self._until_s - monotonic()))):
            now_s = monotonic()
            self.late = now_s >= self._until_s
            self._lend(now_s)
            self.starved = self._hunger is not None and (now_s >= patience_s or self._hunger.starved(now_s))
            if self.late or self.starved:
                self._process.kill()
                return

    def _lend(self, now_s: float) -> None:
        """Begin to lend when it is needed, until the end: what a loader gets then says nothing of what it would get without."""
        if self._lender is not None and self._hunger is not None and self._need is not None and self._need.starved(now_s):
            self._lender.begin()
            self._need = None
            # By what was lent, and not by what there was before.
            self._hunger.forget()


def _all_of(descriptor: int) -> bytes:
    parts = []
    while some := os.read(descriptor, 1 << 20):
        parts.append(some)
    return b"".join(parts)


def _name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
