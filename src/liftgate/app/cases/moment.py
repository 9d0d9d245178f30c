"""Times and contact history in plain words: `2 days ago`, `had free-shipping 3 times 1 hour ago`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from liftgate.bundle.duration import timestamp_ms

_UNITS_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}
_SHORT = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_AGO = re.compile(r"(\d+) ?(second|minute|hour|day|week)s? ago|(\d+)(s|m|h|d) ago")
_IN = re.compile(r"in (\d+) ?(second|minute|hour|day|week)s?|in (\d+)(s|m|h|d)")
_TIMES = {"once": 1, "twice": 2}
_VERBS = {
    "had": "exposure",
    "saw": "exposure",
    "was offered": "",
    "clicked": "click",
    "bought": "purchase",
    "dismissed": "dismiss",
    "unsubscribed from": "unsubscribe",
    "complained about": "complaint",
}
"""To the outcome that it means; empty: offered, and not seen (yet)."""
_PHRASE = re.compile(
    rf"(?P<verb>{'|'.join(_VERBS)}) (?P<offer>\S+)(?: (?P<times>once|twice|\d+ times))? (?P<when>.+?)(?: on (?P<channel>\S+))?"
)
EXAMPLE = "2 days ago"
PHRASE_EXAMPLE = "had free-shipping 2 days ago"


def moment_ms(text: str, now_ms: int) -> int:
    """Return milliseconds since the epoch of `2 days ago`, `in 3 hours`, `just now` or an ISO 8601 time. Raises ValueError."""
    if text in ("just now", "now"):
        return now_ms
    for pattern, sign in ((_AGO, -1), (_IN, 1)):
        match = pattern.fullmatch(text)
        if match:
            count, unit = (match[1], match[2]) if match[1] else (match[3], _SHORT[match[4]])
            return now_ms + sign * int(count) * _UNITS_MS[unit]
    try:
        return timestamp_ms(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment: it wants `{EXAMPLE}`, `in 3 hours`, or a time with a zone") from None


@dataclass(frozen=True, slots=True)
class Contact:
    """Something that happened between the person and an offer."""

    offer_id: str
    outcome: str
    """exposure, click, purchase, dismiss, unsubscribe or complaint; empty: offered, and not seen (yet)."""
    times: int
    at_ms: int
    channel: str
    """Empty: not said."""

    @property
    def decided(self) -> bool:
        """It was a decision of its own; what is done with it later is none."""
        return self.outcome in ("", "exposure")


def contact(phrase: str, now_ms: int) -> Contact:
    """Return what a phrase says. Raises ValueError with what is wanted."""
    match = _PHRASE.fullmatch(" ".join(phrase.split()))
    if match is None:
        raise ValueError(f"{phrase!r} is not understood: it wants `had OFFER {EXAMPLE}`, `dismissed OFFER twice {EXAMPLE} on email`")
    times = match["times"]
    count = 1 if times is None else _TIMES.get(times) or int(times.split()[0])
    if not 1 <= count <= 1_000:
        raise ValueError(f"{phrase!r}: wants between 1 and 1000 times")
    return Contact(match["offer"], _VERBS[match["verb"]], count, moment_ms(match["when"], now_ms), match["channel"] or "")
