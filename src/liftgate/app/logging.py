"""JSON log lines on stderr. They may hold request_id and trace_id, never a person's id and never the text of a strange exception."""

from __future__ import annotations

import logging as stdlib
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
Logger = Any
"""A structlog logger."""


def start_logging(level: str, worker: int | None = None, stream: TextIO | None = None) -> Logger:
    """Set up this process's log and return it. `worker` is named in every line where there are several."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _Lines(stream or sys.stderr),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger()
    if worker is not None:
        log = log.bind(worker=worker)
    stdlib.basicConfig(handlers=[_Libraries(log)], level=stdlib.WARNING, force=True)
    return log


def warner(log: Logger) -> Any:
    """Return a function that says an event with its fields as a warning."""

    def warn(event: str, fields: Mapping[str, object]) -> None:
        log.warning(event, **fields)

    return warn


def teller(log: Logger) -> Any:
    """Return a function that says an event with its fields for the record, not as a warning."""

    def tell(event: str, fields: Mapping[str, object]) -> None:
        log.info(event, **fields)

    return tell


def where(error: BaseException) -> str:
    """Return the innermost frames of an exception as `module:line`, without its text, which may hold what a caller sent."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(frames[-4:])


class _Lines:
    """Writes whole lines. When nobody reads them any more they are lost, and a decision is not."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = log = msg


class _Libraries(stdlib.Handler):
    """What libraries say, cut down to who said it, where, and the class of the exception: their texts may quote a caller."""

    def __init__(self, log: Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: stdlib.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        fields = {"logger": record.name, "said_at": f"{record.module}:{record.lineno}"}
        if error is not None:
            fields |= {"cause": type(error).__name__, "at": where(error)}
        self._log.log(max(record.levelno, stdlib.WARNING), "library_warning", **fields)
