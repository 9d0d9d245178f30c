"""Holding back whatever is offered: do-not-contact lists and quiet hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from liftgate.domain.offer import Indices

HEADER = b"lists1"
"""First line of a stored membership; the names of the lists that the person is on follow, one a line."""


@dataclass(frozen=True, slots=True)
class ContactList:
    """A do-not-contact list: whom it names is not offered these."""

    name: str
    channels: frozenset[str] | None
    """Holds back on these channels; None: on all."""
    offers: Indices

    def on(self, channel: str) -> bool:
        """Say whether it holds back on a request's channel. Where the request names none nobody knows which: on every list's."""
        return self.channels is None or not channel or channel in self.channels


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Minutes of the local day in which nothing is shown."""

    starts: int
    """0..1439"""
    ends: int
    """0..1439, the first minute after; not above `starts`: on the next day."""
    channels: frozenset[str] | None
    """None: on all channels."""

    def on(self, channel: str) -> bool:
        """Say whether a request's channel keeps them. Where the request names none nobody knows which: it keeps them."""
        return self.channels is None or not channel or channel in self.channels

    def quiet(self, minute: int) -> bool:
        """Say whether a minute of the local day, 0..1439, lies in them."""
        if self.starts < self.ends:
            return self.starts <= minute < self.ends
        return minute >= self.starts or minute < self.ends


def membership(raw: bytes | None) -> frozenset[str] | None:
    """Return the lists that a stored value names, empty for None (nothing is stored); None: it cannot be read."""
    if raw is None:
        return frozenset()
    header, *names = raw.split(b"\n")
    try:
        return frozenset(name.decode("ascii") for name in names) if header == HEADER and all(names) else None
    except UnicodeDecodeError:
        return None


def stored(names: Sequence[str]) -> bytes:
    """Return the stored form of a membership."""
    return b"\n".join((HEADER, *(name.encode("ascii") for name in sorted(set(names)))))
