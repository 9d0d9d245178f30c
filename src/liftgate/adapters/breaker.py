"""A circuit breaker: after a row of failures nobody waits for a dead dependency; one probe at a time looks whether it is back."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class Breaker:
    """Closed: calls pass. Open: they fail at once, but for one probe every `probe_every_s`. A success closes it.

    Not locked: it belongs to one event loop. `clock` gives seconds, monotonic.
    """

    __slots__ = ("_clock", "_next_probe", "_probe_every_s", "_threshold", "failures")

    def __init__(self, failures: int = 5, probe_every_s: float = 0.25, clock: Callable[[], float] = monotonic) -> None:
        if failures < 1 or probe_every_s <= 0:
            raise ValueError("a breaker needs at least one failure and a positive time between probes")
        self._threshold = failures
        self._probe_every_s = probe_every_s
        self._clock = clock
        self.failures = 0
        """In a row, up to now. None: `admit` says yes, and `succeeded` changes nothing."""
        self._next_probe = 0.0

    @property
    def is_open(self) -> bool:
        """True while calls fail at once."""
        return self.failures >= self._threshold

    def admit(self) -> bool:
        """Say whether a call may go out now. While open, True makes the caller the probe."""
        if self.failures < self._threshold:
            return True
        now = self._clock()
        if now < self._next_probe:
            return False
        self._next_probe = now + self._probe_every_s
        return True

    def succeeded(self) -> None:
        """Count an answer: closes the breaker."""
        self.failures = 0

    def failed(self) -> None:
        """Count an error or a timeout: the last of a row opens the breaker."""
        self.failures += 1
        if self.failures == self._threshold:
            self._next_probe = self._clock() + self._probe_every_s
