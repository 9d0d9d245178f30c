"""What an event counts, as the bundle says; and what caps in shadow are charged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.adapters.memory_stores import MemoryProfileStore, MemoryReservations
from liftgate.bundle.load import load_bundle
from liftgate.domain.batch import Batch
from liftgate.domain.errors import ModelFailed
from liftgate.domain.request import Context, DecideRequest
from liftgate.domain.total_counter import total_count
from liftgate.pipeline.contact_ports import ContactEvent
from liftgate.pipeline.counting import Counting
from liftgate.pipeline.event_ports import EventKey
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Claim, ClaimStatus, Fetched, PersonKey
from tests.pipeline.workbench import BUNDLES, NOW_MS

DAY = 86_400_000
HEAD = "bundle: b\ncurrency: EUR\ntime_zone: UTC\nprofile_purpose: none\n"
REST = "placements:\n  all: {offers: all, slots: 2, select: {policy: epsilon_greedy, epsilon: 0.0}}\n"


class _NoModels:
    def score(self, model: Any, matrix: Any) -> Any:
        raise ModelFailed(model.name)


def live_of(folder: Path, offers: str) -> Live:
    """Return a bundle of some offers in force."""
    (folder / "bundle.yaml").write_text(HEAD + offers + REST, encoding="utf-8")
    return Live(load_bundle(folder), _NoModels())


CAPS = Counting(Live(load_bundle(BUNDLES / "caps"), _NoModels()))


def event(counting: Counting, kind: Any, offer_id: str = "", **fields: Any) -> ContactEvent | None:
    """Return what an event counts, now, unless said otherwise."""
    ordinary: dict[str, Any] = {"decision_id": "", "account_id": "", "channel": "", "time_zone": "", "occurred_at_ms": NOW_MS}
    return counting.event(kind, EventKey("p", "e"), offer_id=offer_id, now_ms=NOW_MS, **(ordinary | fields))


def paused(found: ContactEvent | None) -> list[str]:
    """Return the names of what an event may pause."""
    names = {cap.cap_id: cap.name.split(":")[0] for cap in CAPS.live.bundle.caps}
    return [] if found is None else [names[pause.cap_id] for pause in found.pauses]


def test_an_event_that_concerns_nothing_is_nothing() -> None:
    """Kinds that no rule counts, offers without rules for the kind, and offers that are not in the bundle cost nothing further."""
    assert event(CAPS, "complaint", "tired") is None
    assert event(CAPS, "exposure", "note") is None
    assert event(CAPS, "dismiss", "gone") is None
    assert event(CAPS, "click", "daily") is None


def test_kinds_count_where_caps_say_so() -> None:
    """Exposures for caps that count exposures, clicks for those that count clicks, each in the window of its own time."""
    clicked = event(CAPS, "click", "clicked", occurred_at_ms=NOW_MS - DAY)
    assert clicked is not None
    assert [cap.until_ms for cap in clicked.caps] == [NOW_MS + 6 * DAY]
    seen = event(CAPS, "exposure", "leased", decision_id="0" * 16 + "ab" * 8)
    assert seen is not None
    assert (len(seen.caps), len(seen.totals), seen.reservation_id) == (0, 1, b"\xab" * 8)
    assert NOW_MS + 7 * DAY <= seen.totals[0].bucket_until_ms <= NOW_MS + 7 * DAY + 7 * DAY // 64


def test_an_exposure_of_a_whole_answer_takes_what_is_held() -> None:
    """Without an offer, but with a decision, it commits leases and adds nothing; with neither it is nothing."""
    seen = event(CAPS, "exposure", decision_id="ab" * 16)
    assert seen is not None
    assert all(total.leased_only for total in seen.totals)
    assert event(CAPS, "exposure") is None


def test_a_groups_pause_counts_over_its_offers() -> None:
    """Any offer of the group counts towards the group's pause; another group's does not."""
    assert paused(event(CAPS, "dismiss", "story")) == paused(event(CAPS, "dismiss", "update")) == ["news"]
    assert paused(event(CAPS, "dismiss", "tired")) == ["tired"]


@pytest.mark.parametrize("channel", ["email", "", "somewhere"])
def test_a_channel_that_its_offers_do_not_name_cannot_be_paused(channel: str) -> None:
    """An unsubscription pauses the one channel that its offers go out on, wherever it came from."""
    assert paused(event(CAPS, "unsubscribe", "letter", channel=channel)) == ["email"]


def test_offers_for_every_channel_pause_the_channel_of_the_outcome(tmp_path: Path) -> None:
    """Where offers go out anywhere, a known channel is paused alone, any other with all that have no name, and none said: all."""
    offers = "offers:\n  any: {value: 1.0, pauses: [{of: complaint, for: 9d, scope: channel}]}\n  web: {value: 1.0, channels: [web, app]}\n"
    counting = Counting(live_of(tmp_path, offers))

    def on(channel: str) -> list[str]:
        found = event(counting, "complaint", "any", channel=channel)
        assert found is not None
        return sorted(str(pause.channel) for pause in found.pauses)

    assert (on("web"), on("fax"), on("")) == (["web"], [""], ["", "app", "web"])


def test_held_out_by_what_is_known_of_the_person() -> None:
    """Someone whom a layer holds out is flagged, so that an event without a lease counts among ghosts."""
    found = CAPS.event(
        "click",
        EventKey("person-8", "e"),
        decision_id="",
        offer_id="clicked",
        account_id="",
        channel="",
        time_zone="",
        occurred_at_ms=NOW_MS,
        now_ms=NOW_MS,
    )
    assert found is not None
    assert (found.held_out, found.unsure) == (True, False)


@pytest.mark.parametrize("scope", ["person", "account", "total"])
async def test_caps_in_shadow_are_charged_and_hold_nothing(tmp_path: Path, scope: str) -> None:
    """A shadowed cap of 1 lets five decisions through and counts all of them, in every scope."""
    live = live_of(tmp_path, f"offers:\n  o: {{value: 1.0, shadow: [caps], caps: [{{max: 1, per: 7d, scope: {scope}}}]}}\n")
    store = MemoryProfileStore()
    reservations = MemoryReservations(store.history, accounts=store.accounts, totals=store.totals)
    for i in range(5):
        request = DecideRequest(f"r{i}", "p", "all", account_id="home", context=Context(channel="web"))
        batch = Batch([request], np.array([NOW_MS], dtype=np.int64))
        batch.placement = np.zeros(1, dtype=np.intp)
        fetched = await store.fetch([PersonKey("p", False, account_id="home")], live.bundle.schema, None, live.caps.total_ids)
        live.caps.read(batch, fetched.history, fetched)
        assert batch.cap_room[0, 0] == 1 - i
        charges = live.caps.charging.charges((0,), request, NOW_MS, True)
        account = live.caps.account(batch, 0, (0,), NOW_MS, watched=True)
        totals = live.caps.charging.totals(batch, 0, (0,), NOW_MS)
        watch = live.caps.watches(batch)[0]
        claim = Claim("p", False, "", b"f" * 8, i.to_bytes(8, "big"), charges, NOW_MS, b"", b"", watch, account, totals)
        (outcome,) = await reservations.reserve([claim])
        assert outcome.status is ClaimStatus.MADE
    assert live.caps.holds.sum() == 0


def test_totals_count_alike_for_every_row() -> None:
    """One reading of a total counter is every row's room; where nothing was read it is as if nothing counted."""
    live = CAPS.live
    batch = Batch([DecideRequest("r", "p", "budget"), DecideRequest("s", "q", "budget")], np.full(2, NOW_MS, dtype=np.int64))
    nothing = Fetched(None, [None, None], [None, None])  # type: ignore[arg-type]
    live.caps.read(batch, [None, None], nothing)
    column = next(c for c, cap in enumerate(live.bundle.caps) if cap.name.startswith("budget"))
    assert batch.cap_room[:, column].tolist() == [2, 2]
    assert total_count(None, NOW_MS) == 0
