"""Requests that wait for their batch, and batch calls: the answers of a call are told together, by one future for all of them."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence

from liftgate.domain.request import DecideRequest
from liftgate.pipeline.caller import Caller
from liftgate.pipeline.live import Live

Key = tuple[str, str]
"""Person and request_id: what duplicates share."""
_ANSWERS = {bytes}


class Waiting:
    """One request, waiting or under way, and who waits for it."""

    __slots__ = ("call", "callers", "deadline", "key", "live", "place", "request")

    def __init__(
        self,
        request: DecideRequest,
        live: Live,
        deadline: float,
        key: Key | None,
        callers: tuple[Caller, ...],
        call: BatchCall | None = None,
        place: int = 0,
    ) -> None:
        """`deadline`: on the event loop's clock, seconds; infinite: none.

        `callers` wait for it, duplicates join them, and so does `call`, at its `place`, for a request of its own.
        """
        self.request, self.live, self.deadline, self.callers, self.call, self.place = request, live, deadline, callers, call, place
        self.key = key
        """Under which duplicates find it while it is under way; None: they do not."""

    @property
    def wanted(self) -> bool:
        """Say whether anybody waits for it still."""
        if self.call is not None and not self.call.left_alone:
            return True
        return not all(caller.done() for caller in self.callers)


class BatchCall:
    """Gathers the answers of so many requests. One event loop; each place is told once, and what it is told again is not heard."""

    __slots__ = ("_answers", "_left", "deadline", "future", "joined")

    def __init__(self, future: Future[list[bytes]], deadline: float, size: int) -> None:
        """`future` gets the answers in order once all are there, or the first error as soon as it comes.

        `deadline`: of its caller, on the event loop's clock, seconds; infinite: none. Requests that others joined may have later ones.
        """
        self.future, self.deadline = future, deadline
        self.joined = False
        """Others wait for some of its requests, too."""
        self._answers: list[bytes | Exception | None] = [None] * size
        self._left = size
        if not size:
            future.set_result([])

    @property
    def left_alone(self) -> bool:
        """Say whether its caller has gone. After an error it has not: its other requests are decided all the same."""
        return self.future.cancelled()

    def told(self, place: int) -> bool:
        """Say whether the place has its answer."""
        return self._answers[place] is not None

    def put(self, place: int, result: bytes | Exception) -> None:
        """Take the answer or the error of a place."""
        answers, future = self._answers, self.future
        if answers[place] is not None:
            return
        answers[place] = result
        self._left -= 1
        if type(result) is bytes:
            if not self._left and not future.done():
                future.set_result(answers)  # type: ignore[arg-type]  # an error would have ended it
        elif not future.done():
            future.set_exception(result)  # type: ignore[arg-type]  # what is not bytes is an error
            # Heard: its caller may have been told of another error before it waited.
            future.exception()

    def put_all(self, place: int, results: Sequence[object]) -> bool:
        """Take the answers of places one after the other, none of them told before. False: some are no answers, and nothing was taken."""
        if set(map(type, results)) != _ANSWERS:
            return False
        self._answers[place : place + len(results)] = results  # type: ignore[assignment]  # all bytes, looked at above
        self._left -= len(results)
        if not self._left and not self.future.done():
            self.future.set_result(self._answers)  # type: ignore[arg-type]  # all are there, and an error would have ended it
        return True


class Place:
    """A place of a batch call whose request joined another's: `caller.Caller`."""

    __slots__ = ("_call", "_place")

    def __init__(self, call: BatchCall, place: int) -> None:
        self._call, self._place = call, place

    def done(self) -> bool:
        """See `caller.Caller`."""
        return self._call.left_alone or self._call.told(self._place)

    def set_result(self, answer: bytes, /) -> None:
        """See `caller.Caller`."""
        self._call.put(self._place, answer)

    def set_exception(self, error: Exception, /) -> None:
        """See `caller.Caller`."""
        self._call.put(self._place, error)
