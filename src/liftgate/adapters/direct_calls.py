"""Calls that need no task, context or future of their own: from the wire to their batch and back. The native transport makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Protocol

import grpc

from liftgate.adapters.grpc_errors import CallObserver, Report, trailers_of, what_failed
from liftgate.domain.errors import Overloaded

Metadata = Sequence[tuple[str, str | bytes]]

_OK, _CANCELLED, _LATE, _OVERLOADED, _INTERNAL = (
    int(code.value[0])
    for code in (
        grpc.StatusCode.OK,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
    )
)


class Line(Protocol):
    """Where calls come from, by number."""

    def respond(self, number: int, answer: bytes) -> None:
        """Send a call's answer and forget the call."""
        ...

    def fail(self, number: int, code: int, message: str, trailers: Metadata) -> None:
        """Send a status instead and forget the call."""
        ...

    def forget(self, number: int) -> None:
        """Nothing is sent any more."""
        ...


class DirectCall:
    """One call under way. Whoever decides ends it once, by `set_result` or `set_exception`, on the event loop's thread."""

    __slots__ = ("_line", "_method", "_number", "_over", "_started", "metadata", "remaining")

    def __init__(self, line: Line, method: DirectMethod, number: int, metadata: Metadata, remaining: float | None) -> None:
        self._line, self._method, self._number = line, method, number
        self.metadata = metadata
        self.remaining = remaining
        """Seconds that the caller left when the call came in; None: no deadline."""
        self._started = perf_counter()
        self._over = False
        method.observer.began()

    def done(self) -> bool:
        """Say whether it has been answered, or its caller has gone."""
        return self._over

    def set_result(self, answer: bytes) -> None:
        """Answer it."""
        if not self._over:
            self._end(_OK)
            self._line.respond(self._number, answer)

    def set_exception(self, error: Exception) -> None:
        """End it as the table of errors says."""
        if self._over:
            return
        code, message, trailers = trailers_of(error)
        self._end(code)
        if code == _INTERNAL and self._method.report is not None:
            self._method.report(self._method.name, what_failed(error))
        self._line.fail(self._number, code, message, trailers)

    def leave(self) -> None:
        """The caller has gone, its time is up, or the server stops: nothing more is sent."""
        if not self._over:
            late = self.remaining is not None and perf_counter() - self._started >= self.remaining
            self._end(_LATE if late else _CANCELLED)
            self._line.forget(self._number)

    def _end(self, code: int) -> None:
        self._over = True
        self._method.observer.answered(self._method.name, code, perf_counter() - self._started)


@dataclass(frozen=True, slots=True)
class DirectMethod:
    """A method that takes calls without waiting for their answers."""

    name: str
    take: Callable[[bytes, DirectCall], None]
    """Begins to answer one encoded request. What it raises ends the call."""
    observer: CallObserver
    report: Report | None = None
    gathered: Callable[[], None] | None = None
    """Called once all calls that came together, of whatever methods, have been handed over; None: nobody wants to know."""
    refuses: Callable[[float | None], bool] | None = None
    """Says, by the seconds that its caller left, whether a call is refused for overload before it is read; None: none is.

    Of calls that came together, one with less time than a refused one is refused, too, and not asked about."""

    def turned_away(self, calls: int) -> None:
        """Count calls that were refused for overload."""
        self.observer.turned_away(self.name, _OVERLOADED, calls)


@cache
def refusal() -> tuple[int, str, Metadata]:
    """Return what a call is sent that is refused for overload: status number, message, trailing metadata."""
    return trailers_of(Overloaded())
