"""Other processes of the example: the `liftgate` command, and one `liftgate serve` for as long as it is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

COMMAND = (sys.executable, "-m", "liftgate.app.cli.main")
START_S = 60.0
STOP_S = 60.0


class Failed(Exception):
    """A step did not do what it should. The message says which, and the end of what it said."""


def environment() -> dict[str, str]:
    """Return this process's environment without settings that are meant for other servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LIFTGATE_")}


def liftgate(*arguments: str | Path) -> None:
    """Run a `liftgate` command and let it print. Raises Failed unless it ends with 0."""
    words = [str(word) for word in arguments]
    # Standard output is for the result alone.
    code = subprocess.run([*COMMAND, *words], stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment(), check=False).returncode
    if code:
        raise Failed(f"`liftgate {' '.join(words[:2])}` ended with exit code {code}")


@contextmanager
def serving(arguments: Sequence[str | Path], said: Path) -> Iterator[str]:
    """Give host:port of a server that is ready; on the way out drain it. Raises Failed when it does not start or stop well."""
    words = [str(word) for word in (*COMMAND, "serve", *arguments, "--port", "0", "--metrics-port", "0", "--lame-duck-s", "0")]
    with said.open("wb") as out:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment())
    try:
        yield _ready(process, said)
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_S)
        if code:
            raise Failed(f"the server ended with exit code {code}:\n{_tail(said)}")
    except subprocess.TimeoutExpired:
        raise Failed(f"the server did not drain within {STOP_S:.0f} s:\n{_tail(said)}") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], said: Path) -> str:
    deadline = monotonic() + START_S
    while process.poll() is None and monotonic() < deadline:
        for line in said.read_text(errors="replace").splitlines():
            if '"event": "serving"' in line and line.endswith("}"):
                found = json.loads(line)
                return f"{found['host']}:{found['port']}"
        sleep(0.05)
    raise Failed(f"the server did not start:\n{_tail(said)}")


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-12:])
