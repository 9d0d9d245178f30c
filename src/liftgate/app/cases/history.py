"""What a person has had and done, as the contact history that it leaves: the entries that the service would have written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from liftgate.app.cases.moment import Contact, contact
from liftgate.bundle.compiled import Bundle
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.offer import Cap
from liftgate.domain.pause import Pause
from liftgate.pipeline.live import Live

Entry = tuple[bytes, float, float]
"""Cap id, until when it counts, end of the window."""


def packed_history(phrases: Sequence[str], live: Live, now_ms: int, time_zone: str) -> bytes:
    """Return a person's contact history. What happened after `now` has not happened."""
    past = _past(phrases, now_ms)
    return _packed([*_charges(past, live, time_zone, "person"), *_paused(past, live.bundle)])


def packed_account(phrases: Sequence[str], live: Live, now_ms: int) -> bytes:
    """Return an account's contact history."""
    return _packed(list(_charges(_past(phrases, now_ms), live, "", "account")))


def totals_used(used: Mapping[str, int], live: Live, now_ms: int) -> dict[tuple[bytes, bool], dict[float, float]]:
    """Return the counters of everybody's caps, by (cap id, ghost): end of the window to what is used of it."""
    bundle, found = live.bundle, {}
    for offer_id, count in used.items():
        for cap in (bundle.caps[c] for c in bundle.offer_caps[bundle.offer_index[offer_id]]):
            if cap.scope == "total":
                found[cap.cap_id, False] = {float(live.caps.charging.total_until(cap, now_ms)): float(count)}
    return found


def _past(phrases: Sequence[str], now_ms: int) -> list[Contact]:
    return [one for phrase in phrases if (one := contact(phrase, now_ms)).at_ms <= now_ms]


def _charges(past: Sequence[Contact], live: Live, time_zone: str, scope: str) -> Iterator[Entry]:
    for one in past:
        for entry in _charged(one, live, time_zone, scope):
            yield from [entry] * one.times


def _packed(entries: Sequence[Entry]) -> bytes:
    return b"".join(
        ENTRY.pack(cap_id, number.to_bytes(8, "little"), live_until, until) for number, (cap_id, live_until, until) in enumerate(entries)
    )


def _charged(what: Contact, live: Live, time_zone: str, scope: str) -> Iterator[Entry]:
    bundle = live.bundle
    own = [bundle.caps[c] for c in bundle.offer_caps[bundle.offer_index[what.offer_id]]]
    contacts = [cap for cap in bundle.caps if cap.channel is not None and cap.counts == "decision" and cap.channel == what.channel]
    for cap in (*own, *(contacts if what.channel else ())):
        if cap.scope != scope or not _counts(cap, what):
            continue
        until = live.caps.charging.until(cap, what.at_ms, time_zone)
        leased = cap.counts == "exposure" and what.outcome == ""
        yield cap.cap_id, float(what.at_ms + cap.lease_ms if leased else until), float(until)


def _counts(cap: Cap, what: Contact) -> bool:
    return what.outcome == "click" if cap.counts == "click" else what.decided and cap.counts != "outcome"


def _paused(past: Sequence[Contact], bundle: Bundle) -> Iterator[Entry]:
    named = {cap.channel for cap in bundle.caps if cap.channel}
    for pause in bundle.pauses:
        times = sorted(
            at
            for one in past
            if one.outcome == pause.of and bundle.offer_index[one.offer_id] in pause.offers and _on_channel(pause, one, named)
            for at in [one.at_ms] * one.times
        )
        enough = [
            last
            for first, last in zip(times, times[pause.after - 1 :], strict=False)
            if pause.after == 1 or last - first <= pause.within_ms
        ]
        if enough:
            until = float(enough[-1] + pause.lasts_ms)
            yield pause.cap_id, until, until


def _on_channel(pause: Pause, what: Contact, named: set[str]) -> bool:
    """Say whether what happened on a channel pauses that channel. Where nobody said which, no channel is paused."""
    return pause.channel is None or (bool(what.channel) and pause.channel == (what.channel if what.channel in named else ""))
