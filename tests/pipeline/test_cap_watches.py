"""What claims watch: made once for all who have the same room, it is what each row by itself would watch."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from liftgate.domain.batch import Batch
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline import cap_watches
from liftgate.pipeline.ports import Watch
from tests.pipeline.test_counting import live_of
from tests.pipeline.workbench import NOW_MS

OFFERS = """contact_policy: {channels: {web: {max: 3, per: 7d}, app: {max: 2, per: 1d}}}
groups:
  g: {pauses: [{of: dismiss, after: 2, within: 7d, for: 30d, scope: group}], caps: [{max: 4, per: 7d}]}
exclusions: {pair: {offers: [a, b], within: 1h}}
offers:
  a: {value: 1.0, group: g, caps: [{max: 1, per: 7d}]}
  b: {value: 1.0, group: g, caps: [{max: 5, per: 1d}, {max: 9, per: 7d, scope: total}]}
  c: {value: 1.0, caps: [{max: 2, per: 7d, counts: exposure}]}
"""


def batch_of(rooms: np.ndarray, generator: random.Random) -> Batch:
    """Return rows with such rooms that ask on any channel for one or two slots."""
    requests = [
        DecideRequest(str(i), f"p{i}", "all", generator.randint(1, 2), Context(channel=generator.choice(["web", "app", "mail", ""])))
        for i in range(len(rooms))
    ]
    batch = Batch(requests, np.full(len(rooms), NOW_MS, dtype=np.int64))
    batch.placement, batch.cap_room = np.zeros(len(rooms), dtype=np.intp), rooms
    return batch


@pytest.mark.parametrize("seed", range(20))
def test_rows_watch_what_each_of_them_depends_on(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cap of the row's channel with room left, up to the count that leaves room for its slots, or to what is used if that is more."""
    # Most is forgotten again on the way.
    monkeypatch.setattr(cap_watches, "KNOWN", 40 if seed % 2 else 10**6)
    live, generator = live_of(tmp_path, OFFERS), random.Random(seed)
    caps, plan = live.bundle.caps, live.caps
    for _ in range(3):
        rooms = np.array([[generator.choice([-1, 0, 1, cap.limit - 1, cap.limit]) for cap in caps] for _ in range(30)], dtype=np.int64)
        batch = batch_of(rooms, generator)
        off = np.array(
            [[cap.channel not in (None, one.context.channel) and bool(one.context.channel) for cap in caps] for one in batch.requests]
        )
        rooms[off] = cap_watches.UNLIMITED
        for row, watch in enumerate(plan.watches(batch)):
            slots, want = batch.requests[row].slot_count, {}
            for c, cap in enumerate(caps):
                if cap.scope != "person" or off[row, c] or rooms[row, c] <= 0:
                    continue
                once = not plan.spends[:, c].any()
                want[cap.cap_id] = max(cap.limit - int(rooms[row, c]), cap.limit - (1 if once else slots))
            assert dict(watch.entries) == want
            assert watch == Watch(watch.entries)


def test_rows_with_the_same_room_share_a_watch(tmp_path: Path) -> None:
    """Twenty rows alike, with a cap used up, watch one and the same, in this batch and in the next."""
    live = live_of(tmp_path, OFFERS)
    room = [[cap.limit if cap.limit > 1 else 0 for cap in live.bundle.caps]] * 20
    found = []
    for _ in range(2):
        batch = batch_of(np.array(room, dtype=np.int64), random.Random(0))
        batch.requests = [DecideRequest(str(i), f"p{i}", "all", 1, Context(channel="web")) for i in range(20)]
        found += live.caps.watches(batch)
    assert len(set(map(id, found))) == 1
    assert found[0].entries
