"""The only hash: frozen, uniform, independent between salts, and still when a share grows."""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.domain.bucketing import SPACE, Salt, bucket, columns_of, uniforms
from liftgate.domain.layer import HOLDOUT, Layer, first_and_rest
from liftgate.selection.layers import Layers

VECTORS = Path(__file__).parents[1] / "cases" / "bucketing.csv"


def test_golden_vectors_hold() -> None:
    """Every frozen vector of tests/cases/bucketing.csv comes out the same on this machine."""
    rows = list(csv.DictReader(VECTORS.open(encoding="utf-8")))
    assert len(rows) >= 50
    for row in rows:
        salt = Salt(*row["salt"].split("/"))
        assert salt.hash64(row["unit"]) == int(row["hash64"])
        assert salt.bucket(row["unit"], int(row["n"])) == int(row["bucket"])


@given(st.text(), st.integers(1, 2**32))
def test_bucket_lies_in_range(unit: str, n: int) -> None:
    """Any unit, empty or odd text included, gets a bucket in [0, n)."""
    assert 0 <= bucket("salt", unit, n) < n


@given(st.lists(st.tuples(st.text(), st.text(), st.booleans()), max_size=9))
def test_columns_are_what_single_calls_give(units: list[tuple[str, str, bool]]) -> None:
    """Buckets and draws of many units are those of each alone, bit for bit; without a salt a draw is 0."""
    salt = Salt("select", "a", "0")
    firsts = [first for first, _, _ in units]
    assert salt.buckets(firsts, 1000) == [salt.bucket(first, 1000) for first in firsts]
    raw = [first.encode("utf-8", "surrogatepass") for first in firsts]
    drawn = uniforms([salt if salted else None for *_, salted in units], raw, [second for _, second, _ in units])
    assert drawn.tolist() == [salt.uniform(first, second) if salted else 0.0 for first, second, salted in units]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=9), st.integers(1, 2**32 - 1))
def test_buckets_of_a_column_are_exact(hashes: list[int], n: int) -> None:
    """(h * n) >> 64 by halves is what it is at once, at both ends of the hashes and between them."""
    edges = [0, 1, 2**32 - 1, 2**32, 2**64 - 1, *hashes]
    raw = b"".join(one.to_bytes(8, "little") for one in edges)
    assert columns_of(raw, 1, n).tolist() == [[(one * n) >> 64 for one in edges]]


def test_parts_are_length_prefixed() -> None:
    """Salts that read the same when glued together hash differently, and empty parts are refused."""
    assert Salt("ab", "c").hash64("x") != Salt("a", "bc").hash64("x")
    assert Salt("a").hash64("bx") != Salt("ab").hash64("x")
    with pytest.raises(ValueError, match="salt needs"):
        Salt("a", "")


def test_buckets_are_uniform_and_independent_between_salts() -> None:
    """Over 200,000 ids 16 buckets are even, and each pair of salts is independent (chi-square, alpha 1e-4 corrected)."""
    n, k = 200_000, 16
    columns = [np.array([Salt("layer", name).bucket(f"person-{i}", k) for i in range(n)]) for name in ("a", "b", "a2")]
    for column in columns:
        counts = np.bincount(column, minlength=k)
        assert ((counts - n / k) ** 2 / (n / k)).sum() < 50.5  # 15 degrees of freedom, 1e-5
    for one, other in combinations(columns, 2):
        table = np.bincount(one * k + other, minlength=k * k)
        assert ((table - n / k**2) ** 2 / (n / k**2)).sum() < 357  # 255 degrees of freedom, 3e-5


def _layer(boundary: int) -> Layer:
    return Layer("universal", "holdout", "universal-2026h2", first_and_rest(HOLDOUT, boundary), share=boundary / SPACE)


@given(st.integers(0, SPACE), st.integers(0, SPACE))
def test_a_growing_share_moves_nobody_who_is_in(one: int, other: int) -> None:
    """Whoever is held out at a share is held out at every larger one."""
    people = [f"person-{i}" for i in range(200)]
    small = Layers([_layer(min(one, other))]).held_out(people)
    large = Layers([_layer(max(one, other))]).held_out(people)
    assert not (small & ~large).any()


def test_share_is_exact_at_its_boundary() -> None:
    """A person whose bucket equals the boundary is not held out; one below it is."""
    salt = Salt("layer", "universal-2026h2")
    at = salt.bucket("person-1")
    assert not Layers([_layer(at)]).held_out(["person-1"])[0, 0]
    assert Layers([_layer(at + 1)]).held_out(["person-1"])[0, 0]
    assert not Layers([_layer(0)]).held_out([f"person-{i}" for i in range(1000)]).any()
    assert Layers([_layer(SPACE)]).held_out([f"person-{i}" for i in range(1000)]).all()
