"""A log under its own bundle: all of it comes out as logged, whatever was away, stopped, full or lost when it was decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.domain.reason import Reason
from liftgate.replay.again import Again, Replayed
from liftgate.replay.logged import Logged, read_logged
from tests.pipeline.workbench import BUNDLES
from tests.replay.logbook import DEMO, write_log

EVERY = sorted(path.parent.name for path in BUNDLES.glob("*/bundle.yaml"))
TROUBLES = {
    "profiles away": Reason.PROFILE_STORE_UNAVAILABLE,
    "reservations away": Reason.RESERVATION_UNAVAILABLE,
    "every claim late": Reason.RESERVATION_LOST,
    "models fail": Reason.MODEL_UNAVAILABLE,
    "a stage fails": Reason.STAGE_FAILED,
}


def again(log: Path, bundle: Bundle) -> Replayed:
    """Replay a log under one bundle."""
    found = Again(lambda digest: (bundle, OnnxModels.load(bundle)) if digest == bundle.digest else f"no bundle {digest}")
    for logged in read_logged(log):
        found.add(logged)
    return found.found


def all_of_it(found: Replayed, count: int) -> None:
    """Hold that every decision came out as logged."""
    one = next(iter(found.bundles.values()))
    assert dict(one.not_again) == {}
    assert [(change.name, change.said, change.decisions) for change in found.changed.values()] == []
    assert (found.decisions, found.reproduced, found.differing) == (count, count, 0)


def reasons(log: Path) -> Counter[str]:
    """Return how often each fallback stands in a log."""
    return Counter(Reason(code).name for logged in read_logged(log) for code in logged.fallback.tolist())


@pytest.mark.parametrize("name", EVERY)
def test_every_case_bundle_comes_out_of_its_log(name: str, tmp_path: Path) -> None:
    """Bundles with every kind of rule, slates of several slots under caps that they share included, are reproduced in full."""
    bundle = load_bundle(BUNDLES / name)
    count = write_log(tmp_path, bundle, people=150, rounds=4, slots=3)
    all_of_it(again(tmp_path, bundle), count)


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", ["golden", "caps", "small"])
def test_what_went_wrong_goes_wrong_again(name: str, trouble: str, tmp_path: Path) -> None:
    """Fallbacks are reproduced: what was forced is forced, what was silent is silent, and every second round nothing is wrong."""
    bundle = load_bundle(BUNDLES / name)
    count = write_log(tmp_path, bundle, people=60, rounds=4, slots=2, troubles=(trouble, ""))
    all_of_it(again(tmp_path, bundle), count)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_troubles_are_in_the_log(trouble: str, tmp_path: Path) -> None:
    """The control: each trouble leaves its fallback in the demo's log, beside decisions without any; all come out again."""
    bundle = load_bundle(DEMO / "bundle", DEMO / "models")
    count = write_log(tmp_path, bundle, people=150, rounds=2, troubles=(trouble, ""))
    found = reasons(tmp_path)
    assert set(found) == {TROUBLES[trouble].name, "UNSPECIFIED"}
    assert found[TROUBLES[trouble].name] > 10
    all_of_it(again(tmp_path, bundle), count)


@pytest.mark.parametrize("stop", ["all", "model stopped: purchase_7d", "offer stopped: free-shipping"])
def test_what_was_stopped_by_hand_is_stopped_again(stop: str, tmp_path: Path) -> None:
    """Stops of profiles, of a model and of an offer stand in the record and are taken from there."""
    bundle = load_bundle(DEMO / "bundle", DEMO / "models")
    count = write_log(tmp_path, bundle, people=150, rounds=2, troubles=(stop, ""))
    kinds = {Reason(code).name for logged in read_logged(tmp_path) for code in np.unique(logged.candidate_reason).tolist()}
    names = {Reason(code).name for logged in read_logged(tmp_path) for code in np.unique(logged.reason).tolist()}
    assert kinds & {"STOPPED"} or names & {"PERSONALIZATION_STOPPED", "MODEL_STOPPED"}
    all_of_it(again(tmp_path, bundle), count)


def lying(log: Path, field: str) -> Iterator[Logged]:
    """Read a log with one thing in it made up."""
    for logged in read_logged(log):
        if field == "silent":
            logged.silent = {}
        elif field == "cap_room":
            logged.cap_room = []
        elif field == "fallback":
            logged.fallback = np.zeros_like(logged.fallback)
        elif field == "profile_state":
            logged.profile_state = np.where(logged.profile_state == 1, np.uint8(2), logged.profile_state)
        yield logged


@pytest.mark.parametrize(
    ("field", "name", "trouble"),
    [
        ("silent", "", "models fail"),
        ("fallback", "", "reservations away"),
        ("profile_state", "", ""),
        ("cap_room", "golden", ""),
    ],
)
def test_what_a_replay_is_told_is_needed(field: str, name: str, trouble: str, tmp_path: Path) -> None:
    """The control: without silent models, forced fallbacks, the profile's state or shared room, decisions come out otherwise."""
    bundle = load_bundle(BUNDLES / name) if name else load_bundle(DEMO / "bundle", DEMO / "models")
    write_log(tmp_path, bundle, people=150, rounds=4, slots=3, troubles=(trouble,))
    found = Again(lambda digest: (bundle, OnnxModels.load(bundle)))
    for logged in lying(tmp_path, field):
        found.add(logged)
    assert found.found.differing > 0


def test_each_digest_is_replayed_under_its_own_bundle(tmp_path: Path) -> None:
    """A log of two bundles is replayed under both; of one that is not to be had the decisions are counted with the reason."""
    golden, caps = load_bundle(BUNDLES / "golden"), load_bundle(BUNDLES / "caps")
    counts = [write_log(tmp_path, bundle, people=50, rounds=2) for bundle in (golden,)]
    other = tmp_path / "other"
    other.mkdir()
    counts.append(write_log(other, caps, people=50, rounds=2))
    found = Again(lambda digest: (golden, OnnxModels.load(golden)) if digest == golden.digest else "not there")
    for logged in (*read_logged(tmp_path), *read_logged(other)):
        found.add(logged)
    assert found.found.reproduced == counts[0]
    assert found.found.bundles[caps.digest].not_again == {"not there": counts[1]}
