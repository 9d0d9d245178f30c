"""What a log keeps of its bundles is whole, provable, written once, and readable without the bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from liftgate.adapters.bundle_archive import ArchiveUnreadable, archive_path, keep, read, rulebook_of
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.domain.errors import BadInput
from tests.adapters.shop import shop

GOLDEN = Path(__file__).parents[1] / "cases" / "bundles" / "golden"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Return the bundle of the golden cases."""
    return load_bundle(GOLDEN)


def test_what_is_kept_is_what_explanations_need(bundle: Bundle, tmp_path: Path) -> None:
    """The rulebook from the archive equals the one of the bundle in force, for every offer and section."""
    keep(bundle, tmp_path)
    assert read(tmp_path, bundle.digest) == rulebook_of(bundle)


def test_the_archive_proves_itself(bundle: Bundle, tmp_path: Path) -> None:
    """SHA-256 of its canonical text is its name, as anyone can check, and its conditions stand there with file and line."""
    document = json.loads(keep(bundle, tmp_path).read_bytes())
    assert hashlib.sha256(document["canonical"].encode()).hexdigest() == document["digest"] == bundle.digest
    (clause,) = document["offers"]["adult"]["clauses"]["eligible_if"]
    assert clause["text"] == "profile.age >= 18"
    line = int(clause["where"].removeprefix("bundle.yaml:"))
    assert "profile.age >= 18" in (GOLDEN / "bundle.yaml").read_text().splitlines()[line - 1]
    assert (document["format"], document["version"]) == ("liftgate.bundle", 1)


def test_it_is_written_once(bundle: Bundle, tmp_path: Path) -> None:
    """A bundle that is there and whole is left alone, and many workers may keep it at once."""
    with ThreadPoolExecutor(8) as pool:
        (path,) = set(pool.map(lambda _: keep(bundle, tmp_path), range(16)))
    before = path.stat()
    assert keep(bundle, tmp_path) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [entry.name for entry in path.parent.iterdir()] == [f"{bundle.digest}.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b'"profile.age >= 18"', b'"profile.age >= 81"', 1),
        lambda raw: raw.replace(b"EUR", b"USD", 1),
        lambda raw: b"[]",
        lambda raw: b"",
    ],
    ids=["cut", "a rule edited", "the canonical text edited", "other JSON", "empty"],
)
def test_a_damaged_archive_is_never_believed_and_is_mended(damage: object, bundle: Bundle, tmp_path: Path) -> None:
    """Reading refuses it; the next start of the bundle writes it anew."""
    path = keep(bundle, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))  # type: ignore[operator]
    with pytest.raises(ArchiveUnreadable):
        read(tmp_path, bundle.digest)
    keep(bundle, tmp_path)
    assert path.read_bytes() == whole


def test_a_newer_version_is_refused_and_new_keys_are_not(bundle: Bundle, tmp_path: Path) -> None:
    """Keys that this version does not know are skipped; another version says that it is one."""
    path = keep(bundle, tmp_path)
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | {"later": [1]}))
    assert read(tmp_path, bundle.digest) == rulebook_of(bundle)
    path.write_text(json.dumps(document | {"version": 2}))
    with pytest.raises(ArchiveUnreadable, match="of version 2"):
        read(tmp_path, bundle.digest)


def test_a_log_that_cannot_keep_it_says_so(bundle: Bundle, tmp_path: Path) -> None:
    """Where the archive cannot be written the bundle does not go live: the error names the place and the mend."""
    (tmp_path / "bundles").write_text("in the way")
    with pytest.raises(BadInput, match="make room there, or give another --log"):
        keep(bundle, tmp_path)


def test_it_outlives_the_folder(tmp_path: Path) -> None:
    """With the bundle's folder gone the archive says the same."""
    folder = Path(shutil.copytree(GOLDEN, tmp_path / "bundle"))
    bundle = load_bundle(folder)
    keep(bundle, tmp_path / "log")
    shutil.rmtree(folder)
    assert read(tmp_path / "log", bundle.digest).clauses.of("loan", "credit")["caps"][0].group == "credit"


def test_a_bundle_made_by_hand_has_its_places(tmp_path: Path) -> None:
    """Without a draft the places of rules are known and their text is not."""
    rulebook = rulebook_of(shop())
    (clause,) = rulebook.clauses.of("free-shipping", "")["eligible_if"]
    assert (clause.text, clause.where) == ("", "offers.yaml:11")
    assert archive_path(tmp_path, rulebook.digest).name == f"{rulebook.digest}.json"


def test_an_interrupted_write_leaves_nothing_that_is_read(bundle: Bundle, tmp_path: Path) -> None:
    """Half a file has another name, so a crash while it is written leaves no archive, and the next start makes one."""
    path = archive_path(tmp_path, bundle.digest)
    path.parent.mkdir()
    path.with_name(f"{path.name}.0a1b2c.part").write_bytes(b'{"format"')
    with pytest.raises(FileNotFoundError):
        read(tmp_path, bundle.digest)
    keep(bundle, tmp_path)
    assert read(tmp_path, bundle.digest).digest == bundle.digest
