"""What an event counts: the caps that count its kind, and the pauses that it may start, as the bundle in force says."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.domain.contact_history import reservation_of
from liftgate.domain.decision import is_deferred
from liftgate.domain.offer import Cap
from liftgate.domain.pause import OutcomeKind, Pause
from liftgate.pipeline.cap_charges import receipt_id
from liftgate.pipeline.contact_ports import CapCount, ContactEvent, TotalCount
from liftgate.pipeline.event_ports import EventKey
from liftgate.pipeline.live import Live


class Counting:
    """Events of one bundle. An event that concerns no cap and no pause costs a look into a set."""

    def __init__(self, live: Live) -> None:
        self.live = live
        bundle = live.bundle
        caps = bundle.caps
        listed = sorted({c for own in bundle.offer_caps for c in own})
        self._kinds = {caps[c].counts for c in listed} | {pause.of for pause in bundle.pauses}
        self._of_offer = {kind: [[c for c in own if caps[c].counts == kind] for own in bundle.offer_caps] for kind in ("exposure", "click")}
        self._leased = [c for c in listed if caps[c].counts == "exposure"]
        self._rule = {cap.cap_id: cap.source for cap in caps}
        self._decided = [[c for c in own if caps[c].counts == "decision"] for own in bundle.offer_caps]
        self._contacts = [c for c, cap in enumerate(caps) if cap.channel is not None and cap.counts == "decision"]

    def may_count(self, kind: OutcomeKind) -> bool:
        """Say whether `event` may say anything of a kind."""
        return kind == "exposure" or kind in self._kinds

    def event(
        self,
        kind: OutcomeKind,
        key: EventKey,
        *,
        decision_id: str,
        offer_id: str,
        account_id: str,
        channel: str,
        time_zone: str,
        occurred_at_ms: int,
        now_ms: int,
        own: bytes | None = None,
    ) -> ContactEvent | None:
        """Return what to count; None: nothing. `own` is the person's key, where they have one."""
        deferred = kind == "exposure" and is_deferred(decision_id)
        if kind not in self._kinds and not deferred:
            return None
        bundle = self.live.bundle
        offer = bundle.offer_index.get(offer_id)
        columns: Sequence[int] = ()
        if offer is not None and kind in self._of_offer:
            columns = self._of_offer[kind][offer]
        elif not offer_id and kind == "exposure" and decision_id:
            # The whole answer was seen: whatever is held for it.
            columns = self._leased
        caps = [bundle.caps[c] for c in columns]
        activated = self._activated(offer, offer_id, channel) if deferred else {}
        pauses = tuple(_on_channel([p for p in bundle.pauses if p.of == kind and offer in p.offers], channel, self._rule))
        if not caps and not pauses and not activated:
            return None
        held_out, certain = self.live.layers.held_out_of_everything(key.person_id, account_id, occurred_at_ms)
        leased_only = offer is None
        partly = bool(self.live.layers.withholding) and not held_out
        every = [(cap, leased_only, False) for cap in caps] + [(bundle.caps[c], leased, True) for c, leased in activated.items()]
        return ContactEvent(
            key=key,
            reservation_id=reservation_of(decision_id, own) if decision_id else b"",
            now_ms=now_ms,
            occurred_at_ms=occurred_at_ms,
            held_out=held_out or (partly and offer is not None and self.live.layers.withheld_from(key.person_id, account_id, offer)),
            unsure=held_out and (not certain or bundle.consent.experiment_purpose >= 0),
            account_id=account_id,
            caps=tuple(self._cap(*one, occurred_at_ms, time_zone) for one in every if one[0].scope == "person"),
            account_caps=tuple(self._cap(*one, occurred_at_ms, "") for one in every if one[0].scope == "account"),
            totals=tuple(
                TotalCount(cap.cap_id, receipt_id(cap), self.live.caps.charging.total_until(cap, occurred_at_ms), leased, once)
                for cap, leased, once in every
                if cap.scope == "total"
            ),
            pauses=pauses,
            partly=partly,
            both=partly and not offer_id,
        )

    def _activated(self, offer: int | None, offer_id: str, channel: str) -> dict[int, bool]:
        """Return what a deferred decision counts once it was seen: caps, each with whether only a lease that is held counts."""
        caps = self.live.bundle.caps
        found: dict[int, bool] = {}
        if offer is not None:
            found = dict.fromkeys(self._decided[offer], False)
        elif not offer_id:
            found = {c: True for own in self._decided for c in own}
        for c in self._contacts:
            # On which channel it was decided only its lease says, where the event does not.
            if not channel or caps[c].channel == channel:
                found[c] = not channel or offer is None
        return found

    def _cap(self, cap: Cap, leased_only: bool, once: bool, occurred_at_ms: int, time_zone: str) -> CapCount:
        until = self.live.caps.charging.until(cap, occurred_at_ms, time_zone)
        return CapCount(cap.cap_id, until, leased_only, cap.period is not None and cap.zone == "person" and not time_zone, once)


def _on_channel(pauses: Sequence[Pause], channel: str, rule: dict[bytes, str]) -> list[Pause]:
    """Return what an outcome on a channel may start: of rules that pause channels, that one; all of the rule's where it has no such."""
    named = {rule[pause.cap_id] for pause in pauses if channel and pause.channel == channel}
    other = {rule[pause.cap_id] for pause in pauses if channel and pause.channel == ""} - named
    found = []
    for pause in pauses:
        source = rule[pause.cap_id]
        if pause.channel is None or (source not in named and source not in other) or pause.channel == (channel if source in named else ""):
            found.append(pause)
    return found
