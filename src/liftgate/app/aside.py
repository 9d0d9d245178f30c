"""Loading aside: in a process of its own at low priority, so that reading and compiling take nothing from the event loop (ADR 0034)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

from liftgate.app.control import encode
from liftgate.app.loading import Files

LONGEST_S = 300.0
"""How long a load may take before its process is ended."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_AGAIN = "the bundle in force stays; reload again"


class LoadFailed(Exception):
    """A load came to no end; the message says why in plain words."""


class Aside:
    """Starts loaders, one at a time. `stop` may be called from any thread."""

    def __init__(self, files: Files, longest_s: float = LONGEST_S) -> None:
        self._files, self._longest_s = files, longest_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = self._late = False

    @property
    def pid(self) -> int | None:
        """Of the loader that runs; None: none does."""
        process = self._process
        return None if process is None else process.pid

    def load(self) -> bytes:
        """Load everything and return what was found, as `handover.pack` wrote it. Blocks, without the interpreter. Raises LoadFailed."""
        mine, theirs = os.pipe()
        try:
            try:
                process = self._start(theirs)
            finally:
                os.close(theirs)
            self._late = False
            timer = threading.Timer(self._longest_s, self._give_up)
            timer.daemon = True
            timer.start()
            try:
                raw = _all_of(mine)
                code = process.wait()
            finally:
                timer.cancel()
                self._end()
        finally:
            os.close(mine)
        if code:
            raise LoadFailed(self._why(code))
        return raw

    def stop(self) -> None:
        """End the loader that runs, if one does, and start none any more."""
        with self._lock:
            self._stopped = True
        self._kill()

    def _start(self, theirs: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise LoadFailed(self._why(0))
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
        assert process.stdin is not None
        # The other end may be dead already: its exit code says why. The pipe stays open, whose end says that we are gone.
        with suppress(OSError):
            process.stdin.write(encode(self._files.plain()))
            process.stdin.flush()
        return process

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

    def _give_up(self) -> None:
        self._late = True
        self._kill()

    def _kill(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _why(self, code: int) -> str:
        if self._stopped:
            return "the server is stopping"
        if self._late:
            return f"loading did not end within {self._longest_s:g} s, and was ended; {_AGAIN}"
        if code < 0:
            memory = ": the machine may have run out of memory" if -code == signal.SIGKILL else ""
            return f"the loading process was ended by {_name(-code)} before it was done{memory}; {_AGAIN}"
        return f"the loading process ended with {code} before it was done; {_AGAIN}"


def _all_of(descriptor: int) -> bytes:
    parts = []
    while some := os.read(descriptor, 1 << 20):
        parts.append(some)
    return b"".join(parts)


def _name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
