"""Events: what happened to a person, as everything behind the wire sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

EMAIL = "email"
"""The channel of e-mail events that name none."""
CART_ACTIONS = ("add", "remove", "view", "checkout")
"""What a cart action may be called."""

Property = str | int | float | bool


class EventKind(IntEnum):
    """What happened. In bundles, files and commands a kind is its name in lower case."""

    UNSPECIFIED = 0
    EXPOSURE = 1
    CLICK = 2
    PURCHASE = 3
    DISMISS = 4
    UNSUBSCRIBE = 5
    COMPLAINT = 6
    CART_ACTION = 7
    EMAIL_SENT = 8
    EMAIL_DELIVERED = 9
    EMAIL_OPENED = 10
    EMAIL_CLICKED = 11
    EMAIL_BOUNCED = 12
    EMAIL_UNSUBSCRIBED = 13
    EMAIL_COMPLAINED = 14
    REFUND = 15
    CUSTOM = 16


class Reliability(IntEnum):
    """How far a signal can be trusted to mean that the person did it. The higher, the less."""

    UNSPECIFIED = 0
    """Written by a version without classes: reliable."""
    RELIABLE = 1
    UNRELIABLE = 2
    BOT = 3


KIND_NAMES: Mapping[str, EventKind] = {kind.name.lower(): kind for kind in EventKind if kind}
"""Every kind by the name that bundles and files use."""
CLASS_NAMES: Mapping[str, Reliability] = {each.name.lower(): each for each in Reliability if each}
"""Every class by the name that bundles use."""
MONEY_KINDS = frozenset({EventKind.PURCHASE, EventKind.REFUND, EventKind.CART_ACTION, EventKind.CUSTOM})
"""Kinds that may carry money."""
# Plain numbers and texts: looking a member up on its enum costs microseconds before Python 3.12.
_CUSTOM, _NAMES = int(EventKind.CUSTOM), tuple(kind.name.lower() for kind in EventKind)


@dataclass(slots=True)
class Event:
    """One event that can be taken: checked, its defaults filled in. Empty text: not known."""

    event_id: str
    kind: int
    """An EventKind, plain: looking a member up costs more than the rest of the line."""
    person_id: str
    occurred_at_ms: int
    received_at_ms: int
    reliability: int
    """A Reliability."""
    decision_id: str = ""
    offer_id: str = ""
    value: float | None = None
    """Money, in `currency`; None: none was sent. Of a refund positive."""
    currency: str = ""
    account_id: str = ""
    channel: str = ""
    time_zone: str = ""
    name: str = ""
    """Of custom events and cart actions."""
    slot: int = 0
    """From 1; 0: not known."""
    placement_id: str = ""
    device: str = ""
    jurisdiction: str = ""
    properties: Mapping[str, Property] = field(default_factory=dict)
    """Those that the bundle declares, typed as declared: an int for `int` and `timestamp` (ms), a float for `float`."""
    late: bool = False
    """Beyond the bundle's `events.late_after`: stored, and part of no feature."""

    @property
    def signal(self) -> str:
        """The name under which bundles speak of it: the custom event's own, else the kind's."""
        return self.name if self.kind == _CUSTOM else _NAMES[self.kind]
