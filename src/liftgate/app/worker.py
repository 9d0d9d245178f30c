"""One of several serving processes: `python -m liftgate.app.worker PAGE_FD`.

The supervisor starts it, with a socket between the two as its standard input.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from liftgate.adapters.telemetry_metrics import LAYOUT
from liftgate.adapters.telemetry_page import Page
from liftgate.app.control import decode, encode, read_orders
from liftgate.app.exit_code import CannotStart, ExitCode
from liftgate.app.logging import start_logging, where
from liftgate.app.server import Told, serve


def main(arguments: list[str]) -> int:
    """Take orders, serve, and return the exit code."""
    link = socket.socket(fileno=0)
    with link.makefile("rb") as lines:
        first = lines.readline()
    if not first:
        return ExitCode.DRAINED  # the supervisor is gone
    settings, key, number = read_orders(decode(first))
    log = start_logging(settings.log_level, number)
    page = Page(LAYOUT, int(arguments[0]))

    def attach(told: Told) -> None:
        # The supervisor sends nothing more: readable means that it is gone, and then nobody watches over this process.
        asyncio.get_running_loop().add_reader(link, lambda: _gone(link, told))

    def ready(port: int) -> None:
        link.sendall(encode({"event": "ready", "port": port}))

    try:
        return serve(settings, key, page, log, ready, attach)
    except CannotStart as err:
        log.error("cannot_start", why=str(err).splitlines())
        link.sendall(encode({"event": "cannot_start", "why": str(err)}))
        return ExitCode.CANNOT_START
    except Exception as err:
        log.error("failed", cause=type(err).__name__, at=where(err))
        return ExitCode.FAILED


def _gone(link: socket.socket, told: Told) -> None:
    asyncio.get_running_loop().remove_reader(link)
    told.on_stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
