"""Decisions of a log, decided again: the old bundle gives what the log says, and what is not in the record is said, not guessed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.replay.compare import NOT_THERE, Comparison, compare
from liftgate.replay.logged import Logged, read_logged
from liftgate.replay.people import People
from tests.pipeline.workbench import BUNDLES
from tests.replay.logbook import DEMO, write_log


@dataclass
class Day:
    """A logged day under the demo's bundle."""

    log: Path
    bundle: Bundle
    models: OnnxModels
    count: int

    def read(self) -> Iterator[Logged]:
        """Read the log."""
        return read_logged(self.log)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """2,400 decisions for 400 people of every kind."""
    directory = tmp_path_factory.mktemp("log")
    bundle = load_bundle(DEMO / "bundle", DEMO / "models")
    return Day(directory, bundle, OnnxModels.load(bundle), write_log(directory, bundle))


def edited(tmp_path: Path, *edits: tuple[str, str]) -> Bundle:
    """Return the demo's bundle with texts replaced; each must be there once."""
    folder = tmp_path / "bundle"
    shutil.copytree(DEMO / "bundle", folder, dirs_exist_ok=True)
    for before, after in edits:
        files = [path for path in folder.glob("*.yaml") if before in path.read_text(encoding="utf-8")]
        assert len(files) == 1, before
        text = files[0].read_text(encoding="utf-8")
        assert text.count(before) == 1, before
        files[0].write_text(text.replace(before, after), encoding="utf-8")
    return load_bundle(folder, DEMO / "models")


def against(day: Day, bundle: Bundle) -> Comparison:
    """Compare the day's bundle with another."""
    return compare(day.read(), (day.bundle, day.models), (bundle, OnnxModels.load(bundle)))


def test_the_old_bundle_decides_again_what_the_log_says(day: Day) -> None:
    """Every decision comes out anew with the same answer, reasons, propensities and probabilities, capped and held-out ones too."""
    found = against(day, day.bundle)
    assert found.read == day.count
    assert (found.reproduced, found.not_reproduced, dict(found.not_again)) == (day.count, 0, {})
    assert (found.compared, found.changed, dict(found.reasons)) == (day.count, 0, {})
    assert found.people.count == 400
    assert found.value_before == found.value_after > 0
    reasons = {code for logged in day.read() for code in np.unique(logged.candidate_reason).tolist()}
    assert len(reasons) >= 12


@pytest.mark.parametrize("name", sorted(path.parent.name for path in BUNDLES.glob("*/bundle.yaml")))
def test_every_kind_of_rule_is_decided_again(name: str, tmp_path: Path) -> None:
    """Bundles with every kind of rule come out of their logs anew, but for slates under a cap that offers share, which are counted."""
    bundle = load_bundle(BUNDLES / name)
    count = write_log(tmp_path, bundle, people=150, rounds=4, slots=3)
    models = OnnxModels.load(bundle)
    found = compare(read_logged(tmp_path), (bundle, models), (bundle, models))
    assert (found.read, found.not_reproduced, found.changed) == (count, 0, 0)
    assert found.reproduced == count - sum(found.not_again.values()) > 0.9 * count
    assert set(found.not_again) <= {"a slate of several slots under a cap that its offers share"}


def test_a_log_that_lies_is_not_reproduced(day: Day) -> None:
    """The control: a record with another probability, reason, answer or propensity than was decided is noticed, each by itself."""

    def lying(field: str) -> Iterator[Logged]:
        for logged in day.read():
            if field == "offered":
                logged.offered = [["welcome"] if offers else offers for offers in logged.offered]
            elif field == "candidate_reason":
                logged.candidate_reason = np.where(logged.candidate_reason == 23, np.uint8(24), logged.candidate_reason)
            else:
                setattr(logged, field, getattr(logged, field) * 0.999)
            yield logged

    for field in ("offered", "candidate_reason", "propensity", "probability"):
        found = compare(lying(field), (day.bundle, day.models), (day.bundle, day.models))
        assert found.not_reproduced > 100, field
        assert 1 <= len(found.mismatches) <= 3


def test_a_changed_condition_moves_only_what_it_governs(day: Day, tmp_path: Path) -> None:
    """A laxer condition lets its offer pass where it was not eligible, other offers' reasons stay, and shares move to it."""
    found = against(day, edited(tmp_path, ('\'profile.country in ["DE", "NL"]\'', '\'profile.country in ["DE", "NL", "AT"]\'')))
    assert found.compared == day.count - sum(found.unknowable.values())
    moves = {(before, after) for _, before, after in found.reasons}
    assert {offer for offer, _, _ in found.reasons} == {"express-upgrade"}
    assert ("NOT_ELIGIBLE", "ALLOWED") in moves
    assert all(before == "NOT_ELIGIBLE" for before, _ in moves)
    share = found.offers["express-upgrade"]
    assert share.after > share.before
    assert 0 < found.changed <= found.compared
    assert found.changed_people.count <= found.changed
    assert {example.before == example.after for example in found.examples} == {False}
    # Where nothing else under the group's cap passed, the record does not say whether it had room.
    assert list(found.unknowable) == ["not in the record: contact history and lists, as far as express-upgrade needs them"]


def test_a_changed_value_changes_the_expected_value_and_no_reason(day: Day, tmp_path: Path) -> None:
    """Worth more, an offer is chosen more often; who may have it stays."""
    found = against(day, edited(tmp_path, ("    value: 7.50\n", "    value: 9.90\n")))
    assert not found.reasons
    assert not found.unknowable
    assert found.offers["click-and-collect"].after > found.offers["click-and-collect"].before
    assert found.value_after > found.value_before


def test_a_new_feature_is_not_guessed(day: Day, tmp_path: Path) -> None:
    """A condition on a feature that the record does not have leaves its offer open, and every decision where that matters is counted."""
    edits = (
        ("  age: {type: int}", "  shoe_size: {type: int}\n  age: {type: int}"),
        ('\'context.channel == "web" && context.device == "mobile"\'', "'profile.shoe_size > 40'"),
    )
    found = against(day, edited(tmp_path, *edits))
    (why,) = found.unknowable
    assert why == "not in the record: profile.shoe_size as the bundle would have read it"
    assert not any(offer == "app-install" and after == "ALLOWED" for offer, _, after in found.reasons)


def test_a_stale_value_is_not_known_and_a_fresh_one_is(day: Day, tmp_path: Path) -> None:
    """The record keeps the default that stood in for a stale value: a longer `max_age` leaves such decisions open, a shorter one none."""
    written = "days_since_purchase: {type: float, default: 365.0, max_age: 7d}"
    longer = against(day, edited(tmp_path / "a", (written, written.replace("7d", "9d"))))
    assert "not in the record: profile.days_since_purchase as the bundle would have read it" in longer.unknowable
    assert "not in the record: what model purchase_7d would have been fed" in longer.unknowable
    shorter = against(day, edited(tmp_path / "b", (written, written.replace("7d", "3d"))))
    assert {why.split(",")[0] for why in shorter.unknowable} <= {"not in the record: contact history and lists"}
    assert ("win-back", "NOT_ELIGIBLE", "ALLOWED") in shorter.reasons


def test_a_raised_cap_lets_pass_whom_it_let_pass_and_leaves_the_others_open(day: Day, tmp_path: Path) -> None:
    """With a larger `max` everyone who had room has room; of those who had none it cannot be told."""
    found = against(day, edited(tmp_path, ("    caps: [{max: 2, per: 7d}]", "    caps: [{max: 3, per: 7d}]")))
    assert not found.reasons
    assert found.unknowable
    assert all("contact history" in why for why in found.unknowable)
    assert sum(found.unknowable.values()) < day.count / 2


def test_a_removed_cap_lets_pass(day: Day, tmp_path: Path) -> None:
    """Without its only cap an offer passes where the cap denied it: nothing else stands in its way."""
    found = against(day, edited(tmp_path, ("    caps: [{max: 1, per: 30d}]\n", "")))
    assert set(found.reasons) == {("birthday-gift", "FREQUENCY_CAP", "ALLOWED")}
    assert not found.unknowable


def test_a_moved_layer_leaves_the_groups_open(day: Day, tmp_path: Path) -> None:
    """The record has no person ids: under another salt nobody's group is known, under a larger share only that of the held-out."""
    salted = against(day, edited(tmp_path / "a", ("salt: shop-universal-2026h2", "salt: other")))
    assert salted.compared == 0
    assert sum(salted.unknowable.values()) == day.count
    grown = against(day, edited(tmp_path / "b", ("share: 0.10", "share: 0.20")))
    assert 0 < grown.compared == day.count - grown.treated - sum(grown.unknowable.values()) < day.count / 5


def test_an_offer_that_is_taken_out_is_no_candidate_any_more(day: Day, tmp_path: Path) -> None:
    """A removed offer's reasons all move to `not a candidate`, and its share is 0."""
    text = (DEMO / "bundle" / "offers.yaml").read_text(encoding="utf-8")
    start = text.index("  click-and-collect:")
    found = against(day, edited(tmp_path, (text[start : text.index("  app-install:")], "")))
    assert found.offers["click-and-collect"].after == 0
    assert {after for offer, _, after in found.reasons if offer == "click-and-collect"} == {NOT_THERE}


def test_consent_asked_for_anew_is_judged_by_what_was_logged(day: Day, tmp_path: Path) -> None:
    """An offer that begins to need a purpose that the record knows is denied to whoever had not granted it."""
    found = against(day, edited(tmp_path, ("  everyone: {} ", "  everyone: {purposes: [personalization]} ")))
    assert ("gift-card", "ALLOWED", "CONSENT_DENIED") in found.reasons
    assert not found.unknowable


def other_text(tmp_path: Path, name: str, before: str, after: str) -> Bundle:
    """Return a case bundle with one text replaced."""
    folder = tmp_path / name
    shutil.copytree(BUNDLES / name, folder)
    text = (folder / "bundle.yaml").read_text(encoding="utf-8")
    assert before in text
    (folder / "bundle.yaml").write_text(text.replace(before, after), encoding="utf-8")
    return load_bundle(folder)


def test_an_approval_is_not_taken_for_granted_where_nobody_asked(tmp_path: Path) -> None:
    """Whom consent had denied a sensitive offer was never asked for its approval: without the consent it is not known."""
    bundle = load_bundle(BUNDLES / "reviewed")
    write_log(tmp_path / "log", bundle, people=150, rounds=4)
    freer = other_text(tmp_path, "reviewed", ", eligible_if: 'profile.age >= 18', purposes: [personalization]}", "}")
    models = OnnxModels.load(bundle)
    found = compare(read_logged(tmp_path / "log"), (bundle, models), (freer, OnnxModels.load(freer)))
    assert found.not_reproduced == 0
    assert not any(after == "ALLOWED" for _, _, after in found.reasons)
    assert sum(found.unknowable.values()) > 50


def test_without_review_an_offer_that_waited_for_approval_waits_no_more(tmp_path: Path) -> None:
    """An offer that is sensitive no longer is not held back for want of approval; where it still is, it waits as it did."""
    bundle = load_bundle(BUNDLES / "reviewed")
    write_log(tmp_path / "log", bundle, people=150, rounds=4)
    models = OnnxModels.load(bundle)
    freed = other_text(tmp_path, "reviewed", "sensitive: [credit], ", "")
    found = compare(read_logged(tmp_path / "log"), (bundle, models), (freed, OnnxModels.load(freed)))
    assert any(before == "NOT_APPROVED" and after == "ALLOWED" for _, before, after in found.reasons)
    again = compare(read_logged(tmp_path / "log"), (bundle, models), (bundle, models))
    assert not again.reasons


def test_what_ran_in_shadow_is_not_known_when_it_is_enforced(tmp_path: Path) -> None:
    """A counter that only noted says nothing of who would have been denied: under a bundle that enforces it, that is left open."""
    bundle = load_bundle(DEMO / "bundle", DEMO / "models")
    folder = tmp_path / "noted"
    shutil.copytree(DEMO / "bundle", folder)
    (folder / "shadow.yaml").write_text("guardrails: {caps: shadow}\n", encoding="utf-8")
    noted = load_bundle(folder, DEMO / "models")
    write_log(tmp_path / "log", noted, people=100, rounds=3)
    models = OnnxModels.load(noted)
    found = compare(read_logged(tmp_path / "log"), (noted, models), (bundle, models))
    assert found.not_reproduced == 0
    assert not found.reasons
    assert all("contact history" in why for why in found.unknowable)
    assert sum(found.unknowable.values()) > 50


def test_another_bundles_decisions_are_left_aside(day: Day, tmp_path: Path) -> None:
    """What the log holds of other bundles is counted by digest and not judged."""
    other = edited(tmp_path, ("    value: 7.50\n", "    value: 9.90\n"))
    found = compare(day.read(), (other, OnnxModels.load(other)), (day.bundle, day.models))
    assert found.other_bundle == {day.bundle.digest: day.count}
    assert found.decided_again == found.compared == 0


@pytest.mark.parametrize("count", [10, 1_000, 50_000])
def test_people_are_counted_in_bounded_memory(count: int) -> None:
    """Distinct pseudonyms are counted exactly while they fit, and within some percent above; repeats count once."""
    people = People(most=4_096)
    numbers = np.random.default_rng(1).integers(0, 2**64, count, dtype=np.uint64)
    for part in np.array_split(np.concatenate((numbers, numbers)), 7):
        people.add(part)
    assert people.exact is (count <= 4_096)
    assert abs(people.count - count) <= (0 if people.exact else 0.05 * count)
