"""The stages of a decision: one name each for the function, the span, the metric label and the docs heading."""

from __future__ import annotations

from enum import IntEnum


class Stage(IntEnum):
    """Numbers equal `protos/liftgate/v1/reason.proto`."""

    ASSIGN = 1
    FETCH = 2
    GUARD = 3
    SCORE = 4
    SELECT = 5
    ENCODE = 6
    RESERVE = 7
    RECORD = 8

    @property
    def label(self) -> str:
        """The name as spans, metrics and docs write it."""
        return self.name.lower()


ASSIGN, FETCH, GUARD, SCORE, SELECT, ENCODE, RESERVE, RECORD = Stage
"""Names of this module: looking a member up on its enum costs more before Python 3.12, eight times a batch."""
ENDED = RECORD + 1
"""No stage: what comes after the last."""
