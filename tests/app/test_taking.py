"""What was loaded aside is taken over whole and warm, and what it replaces goes without a full collection."""

from __future__ import annotations

import gc
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.adapters.operators import Known
from liftgate.app.aside import LoadFailed
from liftgate.app.handover import Handed, pack, unpack
from liftgate.app.loading import Files, Found
from liftgate.app.parting import part_with, parts_of
from liftgate.app.slices import sliced
from liftgate.app.taking import Taking
from liftgate.app.warm import warm
from liftgate.bundle.load import load_bundle
from liftgate.domain.errors import BadInput
from liftgate.pipeline.live import Live
from tests.app.test_handover import GOOD, SMALL, handed

NOW_MS = 1_800_000_000_000


class Aside:
    """Hands over what it is given, whatever lies on the disk."""

    def __init__(self, *raw: bytes) -> None:
        self._raw = iter(raw)
        self.meanwhile: Callable[[], None] = lambda: None

    def load(self) -> bytes:
        """See `app.aside.Aside`."""
        raw = next(self._raw)
        self.meanwhile()
        return raw


class Clock:
    """Stands still."""

    def now_ms(self) -> int:
        """See `pipeline.ports.Clock`."""
        return NOW_MS


def files(folder: Path) -> Files:
    """Return what a server of a bundle reads."""
    return Files(folder, None, None, None, folder / "log", False)


def read(aside: Any, folder: Path = SMALL, also: Any = lambda bundle: None) -> Found[Live]:
    """Take over, as a reload does."""
    return Taking(files(folder), aside, Clock(), also).read()


@pytest.fixture(autouse=True)
def _thawed() -> Any:
    yield
    gc.unfreeze()


def test_what_is_taken_is_put_in_force_as_it_was_loaded() -> None:
    """The bundle arrives with its digest, models that score, and operators; collector and switch interval are as before."""
    before = sys.getswitchinterval(), gc.isenabled(), sys.getprofile()
    known = Known((), "d" * 64)
    found = read(Aside(pack(Handed(load_bundle(SMALL), known))))
    assert found.loaded is not None
    assert (found.loaded.bundle.digest, found.known, found.mistakes) == (load_bundle(SMALL).digest, known, ())
    assert (sys.getswitchinterval(), gc.isenabled(), sys.getprofile()) == before


@pytest.mark.parametrize("raw", [b"", b"N.", pack(Handed(None, Known()))[:-3]])
def test_half_a_bundle_is_none(raw: bytes) -> None:
    """Bytes that are not whole come to no end with a cause; collector and switch interval are as before all the same."""
    before = sys.getswitchinterval(), gc.isenabled(), sys.getprofile()
    with pytest.raises(LoadFailed, match="is not whole"):
        read(Aside(raw))
    assert (sys.getswitchinterval(), gc.isenabled(), sys.getprofile()) == before


def test_the_cause_of_a_failure_is_passed_on() -> None:
    """An exception that the loader did not expect is told by class and place."""
    with pytest.raises(LoadFailed, match=r"^KeyError at liftgate\.x:1$"):
        read(Aside(pack(Handed(None, None, cause="KeyError at liftgate.x:1"))))


def test_a_model_that_changed_since_it_was_loaded_is_refused_or_loaded_again(tmp_path: Path) -> None:
    """What this process loads is hashed once more: other bytes are refused; when files change meanwhile the whole load begins anew."""
    folder = Path(shutil.copytree(SMALL, tmp_path / "bundle"))
    raw = pack(Handed(load_bundle(folder), Known()))
    (path,) = folder.rglob("model.onnx")
    good = path.read_bytes()
    path.write_bytes(good + b"x")
    found = read(Aside(raw), folder)
    assert (found.loaded, [mistake.file.endswith("model.onnx") for mistake in found.mistakes]) == (None, [True])
    assert "is not the file that model.yaml names" in found.mistakes[0].problem
    path.write_bytes(good)
    changing = Aside(raw, raw)

    def change() -> None:
        path.write_bytes(good + b"x" if path.read_bytes() == good else good)

    changing.meanwhile = change
    assert read(changing, folder).loaded is not None


def test_what_another_part_says_of_the_bundle_is_a_mistake() -> None:
    """Who is told of a bundle before it is taken may refuse it, line by line."""

    def also(bundle: object) -> None:
        raise BadInput("one\ntwo")

    found = read(Aside(pack(Handed(load_bundle(SMALL), Known()))), also=also)
    assert (found.loaded, [mistake.problem for mistake in found.mistakes]) == (None, ["one", "two"])


@pytest.mark.parametrize("folder", GOOD, ids=lambda folder: folder.name)
def test_a_bundle_that_was_in_use_goes_by_reference_counts(folder: Path) -> None:
    """With the collector off nothing of a bundle that has decided stays behind in cycles: frozen ones would stay for ever."""
    whole = load_bundle(folder)
    warm(Live(whole, OnnxModels.load(whole)), NOW_MS)  # what the process remembers of any bundle is there now
    raw = pack(Handed(whole, None))
    gc.collect()
    gc.disable()
    try:
        bundle = unpack(raw).bundle
        assert bundle is not None
        live = Live(bundle, OnnxModels.load(bundle))
        warm(live, NOW_MS)
        del bundle, live
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [one for one in gc.garbage if type(one).__module__.startswith("liftgate.") or isinstance(one, FunctionType)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


@pytest.mark.parametrize("folder", GOOD, ids=lambda folder: folder.name)
def test_parts_come_after_what_they_hold(folder: Path) -> None:
    """Released from the end of the list, no part takes another with it: whoever refers to it has gone before. Each is there once."""
    bundle = load_bundle(folder)
    live = Live(bundle, OnnxModels.load(bundle))
    warm(live, NOW_MS)
    parts = parts_of(live)
    place = {id(part): i for i, part in enumerate(parts)}
    assert len(place) == len(parts)
    assert parts[-1] is live
    assert id(bundle) in place
    assert [type(part) for i, part in enumerate(parts) if any(place.get(id(held), -1) > i for held in gc.get_referents(part))] == []


def test_one_that_is_parted_with_stays_whole_for_those_that_hold_it() -> None:
    """A walk that has it goes on with it after its parts were given up; the thread that frees it ends by itself."""
    bundle = handed(load_bundle(SMALL))
    live = Live(bundle, OnnxModels.load(bundle))
    parts = parts_of(live)
    while parts:
        parts.pop()
    warm(live, NOW_MS)
    part_with(live)
    assert any(thread.name == "parting" and thread.daemon for thread in threading.enumerate())
    del bundle, live


def test_slices_interrupt_work_that_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that only computes rests by itself, again and again; without slices it never does."""
    rests: list[float] = []

    def work() -> int:
        return sum(divmod(i, 7)[0] for i in range(2_000))

    monkeypatch.setattr("liftgate.app.slices.sleep", rests.append)
    work()
    assert rests == []
    with sliced(busy_s=0.0, rest_s=0.5):
        work()
    assert len(rests) > 100
    assert set(rests) == {0.5}
    assert sys.getprofile() is None


def test_rests_are_longer_beside_a_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process worked for most of a rest, its other threads have a queue: the rest goes on. An idle one is not waited for."""
    rests: list[float] = []
    # Processor time of the process, and how much of it comes with each rest; s.
    used = worked = 0.0

    def rest(seconds: float) -> None:
        nonlocal used
        rests.append(seconds)
        used += worked

    monkeypatch.setattr("liftgate.app.slices.sleep", rest)
    monkeypatch.setattr("liftgate.app.slices.process_time", lambda: used)
    for share, expected in ((0.2, {0.5}), (0.3, {0.5, 7.5})):
        rests.clear()
        worked = share
        with sliced(busy_s=0.0, rest_s=0.5, busy_rest_s=8.0):
            sum(divmod(i, 7)[0] for i in range(2_000))
        assert set(rests) == expected
