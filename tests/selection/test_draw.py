"""Draws: frozen for other languages, by our code and by the book."""

from __future__ import annotations

import json
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path

import numpy as np

from liftgate.bundle.load import load_bundle
from liftgate.domain.bucketing import Salt
from liftgate.pipeline.live import Live
from liftgate.selection.draw import draw
from tests.pipeline.workbench import BUNDLES

CASES = json.loads((Path(__file__).parents[1] / "cases" / "draws.json").read_text(encoding="utf-8"))


def by_the_book(*parts: str) -> int:
    """Return the 64 bits as `about` in the file says it, without our code."""
    raw = b"".join(len(part.encode()).to_bytes(4, "little") + part.encode() for part in parts)
    return int.from_bytes(blake2b(raw, digest_size=8).digest(), "little")


def test_the_numbers_that_slots_are_drawn_with_hold() -> None:
    """Every number of tests/cases/draws.json comes out the same, by our code and by the book."""
    assert len(CASES["draws"]) >= 50
    for case in CASES["draws"]:
        salt = Salt("select", case["bundle"], case["placement"], str(case["slot"]))
        bits = by_the_book("select", case["bundle"], case["placement"], str(case["slot"]), case["person"], case["request_id"])
        assert salt.hash64(case["person"], case["request_id"]) == bits == int(case["hash64"])
        assert salt.uniform(case["person"], case["request_id"]) == case["draw"] == (bits >> 11) / 2**53


def test_a_bundle_draws_by_these_salts() -> None:
    """What a server draws placements' slots by is the salt that the file describes."""
    live = Live(load_bundle(BUNDLES / "policies"), models=None)  # type: ignore[arg-type]
    for placement, salts in zip(live.bundle.placements, zip(*live.draw_salts, strict=True), strict=True):
        assert [salt.parts for salt in salts if salt is not None] == [
            ("select", "policies", placement.placement_id, str(s)) for s in range(placement.slots)
        ]


def test_what_a_number_draws_holds() -> None:
    """Every vector and number of the file draws the offer and the branch that stand there, by our code and by the book."""
    for case in CASES["vectors"]:
        chosen, explored = draw(np.array([case["explore"]]), np.array([case["exploit"]]), np.array([case["draw"]]))
        wanted = -1 if case["offer"] is None else case["offer"]
        assert (int(chosen[0]), bool(explored[0])) == (wanted, case["explored"])
        sums = list(accumulate([*case["explore"], *case["exploit"]]))
        if sums[-1] > 0:
            cell = next(i for i, total in enumerate(sums) if total > case["draw"] * sums[-1])
            assert (cell % len(case["explore"]), cell < len(case["explore"])) == (wanted, case["explored"])
        else:
            assert wanted == -1
