"""A bundle that was loaded in another process is the bundle: nothing of it is lost, shared or made writable on its way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from liftgate.adapters.operators import Known
from liftgate.app.handover import Handed, pack, unpack
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.conditions_program import ColumnCondition
from liftgate.bundle.load import check_bundle, load_bundle
from liftgate.bundle.mistake import Mistake

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "tests/cases/bundles/small"
GOOD = sorted(
    folder
    for folder in {path.parent for base in ("tests/cases", "src/liftgate/demo", "examples") for path in (ROOT / base).rglob("bundle.yaml")}
    if check_bundle(folder).bundle is not None
)


def differences(one: Any, other: Any, at: str = "bundle") -> list[str]:
    """Return every place where two values differ, however deep."""
    if type(one) is not type(other):
        return [f"{at}: {type(one).__name__}, {type(other).__name__}"]
    if isinstance(one, ColumnCondition):
        return differences((one.text, one.key, one.program, one.by_row), (other.text, other.key, other.program, other.by_row), at)
    if type(one).__module__.startswith("liftgate.") and not isinstance(one, Enum):
        names = sorted({*getattr(one, "__dict__", ()), *(name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ()))})
        return [each for name in names for each in differences(getattr(one, name), getattr(other, name), f"{at}.{name}")]
    if isinstance(one, Mapping):
        found = [] if list(one) == list(other) else [f"{at}: keys"]
        return found + [each for key in one if key in other for each in differences(one[key], other[key], f"{at}[{key!r}]")]
    if isinstance(one, (tuple, list)):
        found = [] if len(one) == len(other) else [f"{at}: length"]
        return found + [each for i, (a, b) in enumerate(zip(one, other, strict=False)) for each in differences(a, b, f"{at}[{i}]")]
    if isinstance(one, np.ndarray):
        same = one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        return [] if same and one.flags.writeable == other.flags.writeable else [f"{at}: array"]
    if isinstance(one, ZoneInfo):
        return [] if one.key == other.key else [f"{at}: time zone"]
    return [] if one == other or (one != one and other != other) else [f"{at}: {one!r}, {other!r}"]


def handed(bundle: Bundle) -> Bundle:
    """Return the bundle as it comes over."""
    arrived = unpack(pack(Handed(bundle, Known()))).bundle
    assert arrived is not None
    return arrived


@pytest.mark.parametrize("folder", GOOD, ids=lambda folder: folder.name)
def test_every_bundle_arrives_whole(folder: Path) -> None:
    """Every good bundle of tests, demo and examples arrives with each field, type, order and write protection that it had."""
    bundle = load_bundle(folder)
    assert differences(bundle, handed(bundle)) == []


def test_the_comparison_sees_a_change() -> None:
    """The control: an offer worth something else, an array that may be written and another condition are each found."""
    bundle = load_bundle(SMALL)
    dearer = dataclasses.replace(bundle, offers=(dataclasses.replace(bundle.offers[0], value=99.0), *bundle.offers[1:]))
    assert [place.split(":")[0] for place in differences(bundle, dearer)] == ["bundle.offers[0].value"]
    assert differences(bundle, dataclasses.replace(bundle, value=bundle.value.copy())) == ["bundle.value: array"]
    assert differences(bundle, dataclasses.replace(bundle, eligible_if=())) == ["bundle.eligible_if: length"]


def test_what_else_a_loader_says_arrives() -> None:
    """Operators, mistakes in their order, and the cause of a failure come over beside a bundle that is missing."""
    mistakes = (Mistake("offers.yaml", 3, "offers.a", "is wrong", "mend it"), Mistake("bundle", 0, "", "b", "c"))
    said = Handed(None, Known((), "d" * 64), mistakes, "KeyError at liftgate.x:1")
    assert unpack(pack(said)) == said


def test_bytes_that_are_cut_short_are_no_bundle() -> None:
    """Whatever length a loader got to write before it died, and anything that is no bundle, is refused with ValueError."""
    raw = pack(Handed(load_bundle(SMALL), Known()))
    for length in {0, 1, 2, 10, *range(0, len(raw), 997), len(raw) - 1}:
        with pytest.raises(ValueError, match=r"^\w+$"):
            unpack(raw[:length])
    with pytest.raises(ValueError, match="NoneType"):
        unpack(b"N.")
    assert unpack(raw).bundle is not None
