"""What can be shown, where, and to whom at most how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer. Its rules, model and caps stand as columns in the `Bundle`, at the same index."""

    offer_id: str
    group: str
    value: float
    """Worth of the outcome in the bundle's currency, minus cost; finite."""
    payload_json: str
    source: str
    """File and line where it is defined, for example `offers.yaml:12`."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where offers are shown."""

    placement_id: str
    offers: Indices
    """Indices into the bundle's offers, ascending."""
    default_offer: int
    """Index of the guarded default offer, -1: none."""
    slots: int
    """1..10"""
    epsilon: float
    """Mass spread evenly over the allowed offers, 0..1."""
    valid_for_ms: int


@dataclass(frozen=True, slots=True)
class Cap:
    """A frequency cap: at most `limit` counted events per person in a rolling window, over all its offers together."""

    cap_id: bytes
    """Eight bytes of BLAKE2b over the cap's owner, window and counted event."""
    name: str
    """In words: `free-shipping: at most 1 exposure per 7d`."""
    limit: int
    window_ms: int
    counts: Literal["decision", "exposure"]
    """decision: counts as soon as it is reserved. exposure: a lease until an exposure commits it."""
    lease_ms: int
    offers: Indices
    source: str


@dataclass(frozen=True, slots=True)
class HoldoutLayer:
    """A stable group of people who are measured and not treated."""

    name: str
    salt: str
    share: float
    boundary: int
    """Held out when the bucket (of `bucketing.SPACE`) lies below it."""
    answer: Literal["none", "default_offer"]
