"""Every kind of mistake in a bundle is found, placed and explained; hostile files do no harm."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from liftgate.bundle.load import Checked, check_bundle, load_bundle
from liftgate.bundle.mistake import BundleError
from tests.bundle.bad_bundles import CASES, FOLDER, said

SMALL = FOLDER.parent / "bundles" / "small"


@pytest.mark.parametrize("name", CASES)
def test_every_mistake_is_explained(name: str) -> None:
    """`liftgate bundle check` says of each bad bundle exactly what stands in its expected.txt, and fails."""
    code, text = said(name)
    assert text == (FOLDER / name / "expected.txt").read_text(encoding="utf-8")
    assert code == 1


@pytest.mark.parametrize("name", CASES)
def test_a_bad_bundle_never_loads(name: str) -> None:
    """A bundle with a mistake raises BundleError with all mistakes in order, each with a problem and a mend."""
    with pytest.raises(BundleError) as caught:
        load_bundle(FOLDER / name)
    mistakes = caught.value.mistakes
    assert mistakes == tuple(sorted(mistakes))
    assert all(mistake.file and mistake.problem and mistake.mend for mistake in mistakes)


def copy(tmp_path: Path) -> Path:
    """Return a copy of the good small bundle."""
    return Path(shutil.copytree(SMALL, tmp_path / "bundle"))


def problems(checked: Checked) -> list[str]:
    """Return what is wrong."""
    assert checked.bundle is None
    return [mistake.problem for mistake in checked.mistakes]


def test_the_good_copy_is_good(tmp_path: Path) -> None:
    """The bundle that the hostile cases spoil has no mistake by itself."""
    assert check_bundle(copy(tmp_path)).mistakes == ()


def test_a_file_over_four_mebibytes_is_refused(tmp_path: Path) -> None:
    """A file larger than 4 MiB is refused unread."""
    folder = copy(tmp_path)
    (folder / "huge.yaml").write_bytes(b"# " + b"x" * (4 * 1024 * 1024))
    assert problems(check_bundle(folder)) == ["is larger than 4 MiB"]


def test_more_than_ten_thousand_offers_are_refused(tmp_path: Path) -> None:
    """The 10,001st offer is one too many."""
    folder = copy(tmp_path)
    half = [f"  o{i}: {{value: 1.0}}\n" for i in range(9_997)]
    (folder / "many.yaml").write_text("offers:\n" + "".join(half), encoding="utf-8")
    assert problems(check_bundle(folder)) == ["holds 10001 offers, more than 10000"]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A symbolic link to a file elsewhere is not read; one to a file inside is."""
    folder = copy(tmp_path)
    secret = tmp_path / "secret.yaml"
    secret.write_text("bundle: stolen\n", encoding="utf-8")
    (folder / "link.yaml").symlink_to(secret)
    assert problems(check_bundle(folder)) == ["is a link that leads out of the folder"]
    (folder / "link.yaml").unlink()
    (folder / "offers.yaml").rename(folder / "offers.txt")
    (folder / "offers.yaml").symlink_to(folder / "offers.txt")
    assert check_bundle(folder).mistakes == ()


def test_a_model_folder_that_is_a_link_out_is_refused(tmp_path: Path) -> None:
    """A model cannot be taken from outside of the models folder through a link."""
    folder = copy(tmp_path)
    shutil.move(folder / "models" / "tiny" / "1", tmp_path / "elsewhere")
    (folder / "models" / "tiny" / "1").symlink_to(tmp_path / "elsewhere")
    assert problems(check_bundle(folder)) == ["`models/tiny/1/model.yaml` is a link that leads out of the folder"]


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    """A cycle of links ends in a mistake, not in a hang."""
    folder = copy(tmp_path)
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    assert len(problems(check_bundle(folder))) == 1


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """A named pipe called *.yaml is not opened, which would block for ever."""
    folder = copy(tmp_path)
    os.mkfifo(folder / "pipe.yaml")
    assert problems(check_bundle(folder)) == ["is no regular file"]


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    """More than 256 files are refused before any is read."""
    folder = copy(tmp_path)
    for i in range(256):
        (folder / f"f{i}.yaml").touch()
    assert problems(check_bundle(folder)) == ["holds more than 256 files"]


def test_a_missing_folder_is_a_mistake(tmp_path: Path) -> None:
    """A folder that is not there is said to be none."""
    assert problems(check_bundle(tmp_path / "nowhere")) == ["is no folder"]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 50_000, "- " * 50_000, "a: |\n" + " x\n" * 10, "? " * 1_000, "\t", '"' + "\\" * 999]
)
def test_hostile_yaml_ends_in_a_mistake(tmp_path: Path, text: str) -> None:
    """Deep, endless or broken YAML gives a mistake and never an exception of another kind."""
    folder = copy(tmp_path)
    (folder / "zz.yaml").write_text(text, encoding="utf-8")
    assert problems(check_bundle(folder))


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 5_000,
        "!" * 4_000,
        "-" * 4_000 + "1",
        "[" * 4_000,
        "a." * 2_000,
        "true ? " * 500,
        "1 + " * 1_000 + "1 > 0",
        "f(" * 2_000,
        "\\",
        '"\\U99999999"',
    ],
)
def test_hostile_conditions_end_in_a_mistake(tmp_path: Path, condition: str) -> None:
    """Deep, long or broken conditions give a mistake at their line and never exhaust the stack."""
    folder = copy(tmp_path)
    (folder / "zz.yaml").write_text(f"offers:\n  odd:\n    value: 1.0\n    eligible_if: >-\n      {condition}\n", encoding="utf-8")
    (mistake,) = check_bundle(folder).mistakes
    assert (mistake.file, mistake.line, mistake.field) == ("zz.yaml", 4, "offers.odd.eligible_if")


def test_an_unreadable_file_hides_no_other_mistake_and_invents_none(tmp_path: Path) -> None:
    """With one file broken, mistakes in the others are still told, but no name is called unknown that the broken one may define."""
    folder = copy(tmp_path)
    (folder / "broken.yaml").write_text("offers: {gift: {value: 1.0}\n", encoding="utf-8")
    (folder / "other.yaml").write_text(
        "placements:\n  p: {offers: [gift], slots: 12, select: {policy: epsilon_greedy, epsilon: 0}}\n", encoding="utf-8"
    )
    found = check_bundle(folder).mistakes
    assert [(mistake.file, mistake.field) for mistake in found] == [("broken.yaml", ""), ("other.yaml", "placements.p.slots")]
