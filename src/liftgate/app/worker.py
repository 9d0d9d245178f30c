"""One of several serving processes: `python -m liftgate.app.worker PAGE_FD`.

The supervisor starts it, with a socket between the two as its standard input.
"""

from __future__ import annotations

import socket
import sys

from liftgate.adapters.telemetry_metrics import LAYOUT
from liftgate.adapters.telemetry_page import Page
from liftgate.app.control import decode, read_orders
from liftgate.app.exit_code import CannotStart, ExitCode
from liftgate.app.link import Link
from liftgate.app.logging import start_logging, where
from liftgate.app.server import serve


def main(arguments: list[str]) -> int:
    """Take orders, serve, and return the exit code."""
    end = socket.socket(fileno=0)
    # Unbuffered: what follows the first line belongs to whoever listens on the event loop.
    with end.makefile("rb", buffering=0) as lines:
        first = lines.readline()
    if not first:
        return ExitCode.DRAINED  # the supervisor is gone
    settings, key, number = read_orders(decode(first))
    log = start_logging(settings.log_level, number)
    page = Page(LAYOUT, int(arguments[0]))

    link = Link(end)

    def ready(port: int) -> None:
        link.send({"event": "ready", "port": port})

    try:
        return serve(settings, key, page, log, ready, link)
    except CannotStart as err:
        log.error("cannot_start", why=str(err).splitlines())
        link.send({"event": "cannot_start", "why": str(err)})
        return ExitCode.CANNOT_START
    except Exception as err:
        log.error("failed", cause=type(err).__name__, at=where(err))
        return ExitCode.FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
