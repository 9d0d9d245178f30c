"""Logged vectors stay the ones that were drawn from while reservations lose: in slates, under every policy, in every arm."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.ports import Charge, Claim
from liftgate.v1.record_pb2 import DecisionRecord
from tests.pipeline.conftest import valkey, valkey_url  # noqa: F401  # the fixtures
from tests.pipeline.workbench import NOW_MS, Bench, workbench

BUNDLE = """
bundle: late
currency: EUR
time_zone: UTC
profile_purpose: none
groups:
  credit: {caps: [{max: 2, per: 7d}], select: {policy: softmax, temperature: 1.0, floor: 0.1}}
offers:
  best: {value: 3.0, caps: [{max: 1, per: 7d}]}
  loan: {value: 2.5, group: credit}
  card: {value: 2.0, group: credit, caps: [{max: 1, per: 7d}]}
  gift: {value: 1.5}
  note: {value: 1.0}
placements:
  home: {offers: all, slots: 3, default_offer: [gift, note], select: {policy: epsilon_greedy, epsilon: 0.4}, diversity: {max_per_group: 1}}
  side: {offers: [best, gift, note], slots: 2, select: {policy: softmax, temperature: 1.0}}
layers:
  trial:
    kind: experiment
    placements: [home]
    salt: trial
    arms:
      usual: 0.2
      softmax: {share: 0.2, select: {policy: softmax, temperature: 1.0, floor: 0.05}}
      thompson: {share: 0.2, select: {policy: thompson, floor: 0.08}}
      fixed: {share: 0.2, select: {policy: fixed, weights: {best: 5, loan: 2, card: 2, gift: 1, note: 1}}}
      worth: {share: 0.2, values: {note: 6.0}, offers: [best, card, gift, note]}
  random: {kind: ablation, placements: [side], salt: random, arms: {random_allowed: 0.5}}
  shy: {kind: holdout, groups: [credit], salt: shy, share: 0.2, answer: next_best}
"""
PEOPLE = 2_000


async def _records(bench: Bench, placement: str, slots: int) -> tuple[list[DecisionRecord], int]:
    """Decide for everyone, half of whom somebody else takes a place from just before the reservation; return how many came too late."""
    bundle = bench.live.bundle
    charges = []
    for name, place in (("best", 0), ("card", -1), ("loan", 0)):
        cap = bundle.caps[bundle.offer_caps[bundle.offer_index[name]][place]]
        until = NOW_MS + 3_600_000.0
        charges.append(Charge(cap.cap_id, 99, until, until))
    before = len(bench.records)
    for start in range(0, PEOPLE, 100):
        some = [f"{placement}-{i}" for i in range(start, start + 100)]
        rivals = [
            Claim(person, False, "", b"rival...", b"rivalid.", (charges[i % 3],), NOW_MS, b"", b"") for i, person in enumerate(some[::2])
        ]
        bench.faults.rivals = rivals
        requests = [DecideRequest(f"r-{person}", person, placement, slot_count=slots, idempotent=False) for person in some]
        await asyncio.gather(*(bench.batcher.submit(request, bench.live) for request in requests))
    rows = bench.records[before:]
    return rows, sum(row.reservation_attempts > 1 for row in rows)


def _weights(row: DecisionRecord, vectors: list[list[float]]) -> list[float]:
    """Return for each drawn slot the weight of a uniform target over what the slot's vector allows."""
    drawn = list(row.would_offer or row.offered)
    found = []
    for slot, offer in enumerate(drawn):
        vector = np.array(vectors[slot])
        if not vector.any():
            continue
        chance = vector[list(row.candidate_offer_id).index(offer)]
        found.append(float(1 / (vector > 0).sum() / chance) if chance else float("inf"))
    return found


@pytest.mark.parametrize(("placement", "slots"), [("home", 3), ("side", 2)])
async def test_weights_have_mean_one_in_every_slot_and_arm(
    placement: str,
    slots: int,
    valkey_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Weights average 1 within 3 s.e. in each slot under each policy; with the vectors of who lost nothing they do not."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    async with workbench(valkey_url, tmp_path, folder) as bench:
        rows, late = await _records(bench, placement, slots)
    assert late > PEOPLE / 10
    weights: dict[tuple[str, int], list[float]] = defaultdict(list)
    untouched: dict[str, list[list[float]]] = {}
    for row in rows:
        arm = next((one.arm for one in row.assignments if one.layer in ("trial", "random")), "")
        vectors = [list(slot.probability) for slot in row.slots]
        for slot, weight in enumerate(_weights(row, vectors)):
            weights[arm, slot].append(weight)
        if row.reservation_attempts == 1 and Reason.FREQUENCY_CAP not in list(row.candidate_reason):  # type: ignore[comparison-overlap]
            untouched.setdefault(arm, vectors)
    assert len(weights) == slots * (5 if placement == "home" else 2)
    off = {}
    for which, sample in weights.items():
        column = np.array(sample)
        error = column.std() / np.sqrt(len(column))
        if abs(column.mean() - 1) > 3 * error + 1e-12:
            off[which] = (column.mean(), error)
    assert off == {}
    # The control: had what was drawn from first been logged, weights of those who came too late would tell.
    naive = [
        _weights(row, untouched[arm])[0]
        for row in rows
        if row.reservation_attempts > 1 and (arm := next(one.arm for one in row.assignments if one.layer in ("trial", "random")))
    ]
    column = np.array(naive)
    assert abs(column.mean() - 1) > 4 * column.std() / np.sqrt(len(column))
