"""Arms of layers: frozen for other languages, exact at their edges, still in a ramp, even and independent over a million ids."""

from __future__ import annotations

import json
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liftgate.domain.bucketing import SPACE, Salt
from liftgate.domain.layer import OUTSIDE, Exclusive, Layer, LayerArm, in_use
from liftgate.domain.request import Context, DecideRequest
from liftgate.selection.layers import Assigner, Layers

VECTORS = Path(__file__).parents[1] / "cases" / "assignment.json"
MILLION = 1_000_000


def experiment(salt: str, *shares: float, coverage: float = 1.0, **more: Any) -> Layer:
    """Return an experiment whose arms `a0`, `a1`, ... own these shares, one after the other."""
    arms, end = [], 0
    for i, share in enumerate(shares):
        width = round(share * SPACE)
        arms.append(LayerArm(f"a{i}", end, width, in_use(width, coverage)))
        end += width
    return Layer(salt, "experiment", salt, tuple(arms), coverage=coverage, **more)


def of_vector(layer: dict[str, Any]) -> Layer:
    """Return the layer that a vector describes."""
    part = layer["exclusive"]
    return Layer(
        layer["name"],
        layer["kind"],
        layer["salt"][1],
        tuple(LayerArm(arm["name"], arm["from"], arm["owned"], arm["in_use"]) for arm in layer["arms"]),
        unit=layer["unit"],
        phase=layer["phase"],
        exclusive=part and Exclusive(part["salt"][1], part["from"], part["to"]),
    )


def bucket_by_the_book(salt: list[str], unit: str) -> int:
    """Return the bucket as `about` in the file says it, without our code."""
    raw = b"".join(len(part.encode()).to_bytes(4, "little") + part.encode() for part in (*salt, unit))
    return (int.from_bytes(blake2b(raw, digest_size=8).digest(), "little") * SPACE) >> 64


def test_golden_vectors_hold() -> None:
    """Every unit of tests/cases/assignment.json has the bucket and the arm that stand there, by our code and by the book."""
    layers = json.loads(VECTORS.read_text(encoding="utf-8"))["layers"]
    assert sum(len(layer["cases"]) for layer in layers) > 200
    for layer in layers:
        one = Assigner(of_vector(layer))
        assert list(one.layer.salt_parts) == layer["salt"]
        names = [arm["name"] for arm in layer["arms"]]
        for case in layer["cases"]:
            unit, bucket = case["unit"], case["bucket"]
            assert one.bucket(unit) == bucket == bucket_by_the_book(layer["salt"], unit)
            arm = one.arm(unit)
            assert (None if arm < 0 else names[arm]) == case["arm"]
            part = layer["exclusive"]
            found = [each["name"] for each in layer["arms"] if each["from"] <= bucket < each["from"] + each["in_use"]]
            if part:
                assert one.namespace_bucket(unit) == case["namespace_bucket"] == bucket_by_the_book(part["salt"], unit)
                found = found if part["from"] <= case["namespace_bucket"] < part["to"] else []
            assert found == ([case["arm"]] if case["arm"] else []) or not unit


@given(st.lists(st.tuples(st.text(max_size=9), st.sampled_from(["", "home"]), st.sampled_from([0, 1]), st.integers(0, 3)), max_size=40))
def test_arms_of_a_batch_are_those_of_each_alone(rows: list[tuple[str, str, int, int]]) -> None:
    """However many come together: layers of several kinds of unit, with empty ids, namespaces, dates, places and channels."""
    layers = [
        experiment("whole", 0.5, 0.5),
        experiment("some", 0.2, 0.3, coverage=0.5, unit="account"),
        experiment("none", 0.0),
        experiment("shared", 0.5, 0.5, exclusive=Exclusive("space", 0, SPACE // 2)),
        experiment("dated", 0.5, 0.5, starts_at_ms=1.0, ends_at_ms=3.0),
        experiment("placed", 0.5, 0.5, placements=(1,)),
        experiment("anywhere", 0.5, 0.5, placements=(0, 1), channels=("home", "")),
        experiment("channelled", 0.5, 0.5, channels=("home",)),
    ]
    requests = [DecideRequest("p", person, "r", 1, Context(channel=said), account_id=person) for person, said, _, _ in rows]
    place, now_ms = np.array([row[2] for row in rows], dtype=np.intp), np.array([row[3] for row in rows], dtype=np.int64)
    each = list(map(Assigner, layers))
    alone = [[one.arm(person) if one.concerns(at_place, said, at) else OUTSIDE for one in each] for person, said, at_place, at in rows]
    found = Layers(layers).assign(requests, place, now_ms)
    assert found.shape == (len(rows), len(layers))
    assert found.tolist() == alone


def test_an_arm_begins_at_its_first_bucket_and_ends_before_the_next() -> None:
    """A unit whose bucket is an arm's first is in, one at its end is not: `<`, not `<=`."""
    at = Salt("layer", "edge").bucket("person-1")
    for start, used, there in ((at, 1, True), (at - 5, 6, True), (at - 5, 5, False), (at + 1, 5, False), (at, 0, False)):
        layer = Layer("edge", "experiment", "edge", (LayerArm("a", start, 10, used),))
        assert (Assigner(layer).arm("person-1") == 0) is there
    neighbours = (LayerArm("b", at, 3, 3), LayerArm("a", at - 3, 3, 3))
    assert Assigner(Layer("edge", "experiment", "edge", neighbours)).arm("person-1") == 0


def test_all_and_nothing() -> None:
    """An arm of everything has everybody, an arm of nothing nobody, and an empty unit is in no arm."""
    people = [f"person-{i}" for i in range(2000)]
    assert {Assigner(experiment("all", 1.0)).arm(person) for person in people} == {0}
    assert {Assigner(experiment("none", 0.0, 0.0)).arm(person) for person in people} == {OUTSIDE}
    assert Assigner(experiment("all", 1.0)).arm("") == OUTSIDE


WIDTHS = st.lists(st.integers(0, 250_000), min_size=1, max_size=4)
COVERAGES = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(WIDTHS, COVERAGES, st.text(min_size=1, max_size=8))
def test_a_ramp_moves_nobody_who_is_in(widths: list[int], coverages: tuple[float, float], salt: str) -> None:
    """Whoever is in an arm at one coverage is in the same arm at every larger one."""
    small, large = sorted(coverages)
    shares = [width / SPACE for width in widths]
    before, after = (Assigner(experiment(salt, *shares, coverage=coverage)) for coverage in (small, large))
    for i in range(150):
        was = before.arm(f"person-{i}")
        assert was in (OUTSIDE, after.arm(f"person-{i}"))


def test_ranges_without_starts_of_their_own_would_move_people() -> None:
    """The control arm: where the second arm begins at the first one's used end, a ramp moves people from one to the other."""

    def cramped(coverage: float) -> Assigner:
        used = in_use(500_000, coverage)
        return Assigner(Layer("x", "experiment", "x", (LayerArm("a", 0, used, used), LayerArm("b", used, used, used))))

    before, after = cramped(0.2), cramped(0.4)
    moved = [i for i in range(2000) if before.arm(f"person-{i}") not in (OUTSIDE, after.arm(f"person-{i}"))]
    assert len(moved) > 100


def test_another_phase_draws_afresh() -> None:
    """Phase 1 is the salt alone, as it was before there were phases; phase 2 is independent of it."""
    first, second = Assigner(experiment("x", 0.5, 0.5)), Assigner(experiment("x", 0.5, 0.5, phase=2))
    assert first.layer.salt_parts == ("layer", "x")
    people = [f"person-{i}" for i in range(20_000)]
    stayed = sum(first.arm(person) == second.arm(person) for person in people)
    assert abs(stayed - 10_000) < 4.5 * np.sqrt(5_000)


def request(**named: str) -> DecideRequest:
    """Return a request that names these units."""
    channel = named.pop("channel", "")
    return DecideRequest("r", named.pop("person_id", "ada"), "home", context=Context(channel=channel), **named)  # type: ignore[arg-type]


def arms(layer: Layer, *requests: DecideRequest, placement: int = 0, now_ms: int = 0) -> list[int]:
    """Return the arm of each request."""
    n = len(requests)
    found = Layers([layer]).assign(requests, np.full(n, placement), np.full(n, now_ms))
    assert found.dtype == np.int16
    column: list[int] = found[:, 0].tolist()
    return column


@pytest.mark.parametrize("unit", ["account", "session", "visitor"])
def test_a_layer_looks_at_its_unit_alone(unit: Any) -> None:
    """The arm follows the declared unit whatever else is known; a request that does not name it is not in the layer."""
    layer = experiment("x", 0.5, 0.5, unit=unit)
    named = [request(**{f"{unit}_id": f"u-{i}", "person_id": person}) for i in range(50) for person in ("ada", "anonymous-1")]
    found = arms(layer, *named)
    assert found[::2] == found[1::2] == [Assigner(layer).arm(f"u-{i}") for i in range(50)]
    assert set(found) == {0, 1}
    assert arms(layer, request()) == [OUTSIDE]


def test_a_layer_concerns_its_dates_placements_and_channels() -> None:
    """It begins at `from`, has ended at `until`, and looks at no other placement or channel; a request without a channel is on none."""
    layer = experiment("x", 1.0, starts_at_ms=10, ends_at_ms=20, placements=(1,), channels=("web",))
    web = request(channel="web")
    assert [arms(layer, web, placement=1, now_ms=at)[0] for at in (9, 10, 19, 20)] == [OUTSIDE, 0, 0, OUTSIDE]
    assert arms(layer, web, placement=0, now_ms=15) == [OUTSIDE]
    assert arms(layer, request(channel="email"), request(), placement=1, now_ms=15) == [OUTSIDE, OUTSIDE]


@pytest.fixture(scope="module")
def million() -> dict[str, NDArray[np.int64]]:
    """Return the buckets of a million ids under six salts: layers, phases and a namespace."""
    salts = {"a": ("layer", "a"), "b": ("layer", "b"), "a2": ("layer", "a", "2"), "ns": ("exclusive", "a"), "a-1": ("layer", "a-1")}
    ids = [f"person-{i}" for i in range(MILLION)]
    return {name: np.fromiter(map(Salt(*parts).bucket, ids), np.int64, MILLION) for name, parts in salts.items()}


def chi_square(counts: NDArray[np.int64], expected: float) -> float:
    """Return the statistic against equal counts."""
    return float(((counts - expected) ** 2 / expected).sum())


def test_a_million_ids_are_even(million: dict[str, NDArray[np.int64]]) -> None:
    """Over 1,000 cells the buckets of a million consecutive ids are uniform (chi-square, 1e-5 after correction)."""
    for buckets in million.values():
        counts = np.bincount(buckets * 1_000 // SPACE, minlength=1_000)
        assert chi_square(counts, MILLION / 1_000) < 1_218.8  # 999 degrees of freedom, 1e-5 / 5


def test_a_million_ids_are_independent_between_layers(million: dict[str, NDArray[np.int64]]) -> None:
    """Each pair of layers, of phases, and of a layer and its namespace fills a 20 x 20 table evenly (chi-square, 1e-5 after correction)."""
    cells = {name: buckets * 20 // SPACE for name, buckets in million.items()}
    for one, other in combinations(cells.values(), 2):
        assert chi_square(np.bincount(one * 20 + other, minlength=400), MILLION / 400) < 547.9  # 399 degrees of freedom, 1e-5 / 10


def test_layers_of_one_salt_would_be_dependent(million: dict[str, NDArray[np.int64]]) -> None:
    """The control arm: the same salt twice fails the test of independence at once."""
    cells = million["a"] * 20 // SPACE
    assert chi_square(np.bincount(cells * 20 + cells, minlength=400), MILLION / 400) > 1e6


def test_layers_of_one_namespace_never_share_a_unit() -> None:
    """Nobody is in two exclusive layers, together they have everybody, and each divides its own evenly."""
    lower = Assigner(experiment("x", 0.5, 0.5, exclusive=Exclusive("hero", 0, 300_000)))
    upper = Assigner(experiment("y", 0.5, 0.5, exclusive=Exclusive("hero", 300_000, SPACE)))
    found = np.array([(lower.arm(f"person-{i}"), upper.arm(f"person-{i}")) for i in range(50_000)])
    assert ((found >= 0).sum(axis=1) == 1).all()
    counts = np.array([(found[:, side] == arm).sum() for side in (0, 1) for arm in (0, 1)])
    expected = np.array([7_500, 7_500, 17_500, 17_500])
    assert float(((counts - expected) ** 2 / expected).sum()) < 25  # 3 degrees of freedom, 2e-5
