"""What can be shown, where, and to whom at most how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.calendar import Period
from liftgate.domain.policy import Policy
from liftgate.domain.reason import Reason

Indices = NDArray[np.intp]
Mode = Literal["online", "apprentice", "logging_only"]
"""What a placement answers: what was chosen; the caller's own choice, as far as guardrails allow; nothing."""


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
    """Index of the guarded default offer, the first slot's, -1: none."""
    slots: int
    """1..10"""
    policy: Policy
    valid_for_ms: int
    max_per_group: int = 0
    """Most offers of one group in one answer, 1..10; 0: no limit."""
    mode: Mode = "online"
    later_defaults: tuple[int, ...] = ()
    """Indices of the guarded default offers of slot 2, slot 3, ..."""

    @property
    def defaults(self) -> tuple[int, ...]:
        """Every default offer, by slot."""
        return (self.default_offer, *self.later_defaults) if self.default_offer >= 0 else ()

    @property
    def epsilon(self) -> float:
        """Mass that epsilon-greedy spreads evenly over the allowed offers, 0..1; 0 for other policies."""
        return self.policy.epsilon


@dataclass(frozen=True, slots=True)
class Cap:
    """One counter that holds offers back: at most `limit` counted events in a window, over all its offers together.

    A pause is one too: it is full while it lasts, and nothing that is chosen counts against it.
    """

    cap_id: bytes
    """Eight bytes of BLAKE2b over the cap's owner, window and counted event."""
    name: str
    """In words: `free-shipping: at most 1 exposure per 7d`."""
    limit: int
    window_ms: int
    """Length of a rolling window; 0: see `period`."""
    counts: Literal["decision", "exposure", "click", "outcome"]
    """decision: counts as soon as it is reserved. exposure: a lease until an exposure commits it. click, outcome: counts when reported."""
    lease_ms: int
    offers: Indices
    """The offers that it holds back, and on which it is charged where decisions or exposures count."""
    source: str
    period: Period | None = None
    """The calendar window; None: a rolling one."""
    zone: Literal["bundle", "person"] = "bundle"
    scope: Literal["person", "account", "total"] = "person"
    even: bool = False
    """Paced evenly over its calendar window."""
    soft: bool = False
    """While the store is away it holds nothing back."""
    channel: str | None = None
    """Applies to requests on this channel, and is charged once a decision; empty: on a channel that no other cap names; None: on any."""
    reason: Reason = Reason.FREQUENCY_CAP
    shadow: bool = False
    """Counts, and holds nothing back."""
