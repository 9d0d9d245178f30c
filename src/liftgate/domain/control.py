"""Controls: what people have stopped, and what they have reviewed, as one immutable snapshot; and the same as columns of a bundle.

The stored forms are JSON, one value a stop and one a review item. What cannot be read counts against serving: an unreadable stop stops,
an unreadable review item approves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from liftgate.domain.review import ReviewItem

KINDS = ("offer", "group", "model", "all")
"""What can be stopped; `all` is every use of profiles and has no name."""
MAX_REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Stop:
    """One thing that is stopped."""

    kind: str
    """One of KINDS."""
    name: str
    """Of the offer, group or model; empty for `all`."""
    reason: str
    by: str
    """The operator's name."""
    at_ms: int

    @property
    def subject(self) -> str:
        """`offer/NAME`, or `all`: the key under which it is stored."""
        return subject(self.kind, self.name)

    def stored(self) -> bytes:
        """Return the stored form."""
        return orjson.dumps({"v": 1, "reason": self.reason, "by": self.by, "at_ms": self.at_ms}, option=orjson.OPT_SORT_KEYS)


def subject(kind: str, name: str) -> str:
    """Return what a stop is stored under."""
    return f"{kind}/{name}" if name else kind


def parse_stop(key: str, raw: bytes) -> Stop:
    """Return the stop stored under a key, always one: what cannot be read stops all the same."""
    kind, _, name = key.partition("/")
    try:
        document: Any = orjson.loads(raw)
        reason, by, at_ms = document["reason"], document["by"], document["at_ms"]
        if document["v"] == 1 and isinstance(reason, str) and isinstance(by, str) and isinstance(at_ms, int):
            return Stop(kind, name, reason, by, at_ms)
    except (ValueError, KeyError, TypeError):
        pass
    return Stop(kind, name, "(the stored stop cannot be read)", "", 0)


@dataclass(frozen=True, slots=True, eq=False)
class Controls:
    """Everything in force by people's word. Taken once a batch."""

    known: bool = True
    """False: they could not be read, or not for too long. Then nothing is offered and nothing personal is used."""
    version: int = 0
    """Rises by one with every change; 0: nothing was ever changed."""
    stops: tuple[Stop, ...] = ()
    items: Mapping[str, ReviewItem] = field(default_factory=lambda: MappingProxyType({}))
    """Review items by the digest of what is reviewed."""

    def stop(self, kind: str, name: str) -> Stop | None:
        """Return the stop of something, None: it is not stopped."""
        return next((stop for stop in self.stops if (stop.kind, stop.name) == (kind, name)), None)


ALL_CLEAR = Controls()
"""Nothing is stopped and nothing is approved."""
UNKNOWN = Controls(known=False)


@dataclass(frozen=True, slots=True, eq=False)
class ControlColumns:
    """Controls against one bundle of K offers and M models. None where nothing of the kind is in force, so that it costs nothing."""

    known: bool = True
    version: int = 0
    personalization_stopped: bool = False
    """Profiles are masked and nobody is scored by a model that reads them."""
    stopped: NDArray[np.bool_] | None = None
    """[K] stopped by name, through the group, or with everything personal."""
    stopped_models: frozenset[str] = frozenset()
    approved_until_ms: NDArray[np.float64] | None = None
    """[K] served while now < this; inf where no approval is needed."""
    refusal: NDArray[np.uint8] | None = None
    """[K] the Reason where now has reached `approved_until_ms`."""


CLEAR_COLUMNS = ControlColumns()
UNKNOWN_COLUMNS = ControlColumns(known=False, personalization_stopped=True)
