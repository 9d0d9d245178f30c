"""The pseudonym key: where it comes from, and where it may not lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.app.keys import pseudonym_key
from liftgate.app.settings import BadSettings, read


def test_a_key_is_made_once_outside_the_log_and_for_the_owner_alone(tmp_path: Path) -> None:
    """Without a key one is made beside the log directory, mode 0600; the next start finds the same one."""
    settings = read({"bundle": "b", "log": tmp_path / "state/log"})
    first, second = pseudonym_key(settings), pseudonym_key(settings)
    assert first.made_at == tmp_path / "state/keys/pseudonym.key"
    assert first.made_at.stat().st_mode & 0o777 == 0o600
    assert first.made_at.parent.stat().st_mode & 0o777 == 0o700
    assert second.made_at is None
    assert (first.key, first.key_id) == (second.key, second.key_id)
    assert len(first.key) == 64
    assert [path.name for path in first.made_at.parent.iterdir()] == ["pseudonym.key"]


def test_a_given_key_is_used_and_named_without_being_shown(tmp_path: Path) -> None:
    """The key's id differs between keys, and neither it nor the object's text holds the key."""
    one = pseudonym_key(read({"bundle": "b", "log": tmp_path, "pseudonym_key": "correct horse battery"}))
    other = pseudonym_key(read({"bundle": "b", "log": tmp_path, "pseudonym_key": "correct horse staples"}))
    assert one.key == b"correct horse battery"
    assert one.key_id != other.key_id
    assert "horse" not in f"{one!r} {one}"


def test_a_key_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    """A file with a final newline gives the same key as one without."""
    (tmp_path / "a").write_bytes(b"0123456789abcdef\n")
    (tmp_path / "b").write_bytes(b"0123456789abcdef")
    keys = [pseudonym_key(read({"bundle": "b", "log": tmp_path / "log", "pseudonym_key_file": tmp_path / name})) for name in "ab"]
    assert keys[0].key == keys[1].key == b"0123456789abcdef"


def test_a_key_inside_the_log_directory_is_refused(tmp_path: Path) -> None:
    """Whoever is given the log must not be given the key with it, not even by a symbolic link."""
    log = tmp_path / "log"
    log.mkdir()
    (log / "key").write_bytes(b"0123456789abcdef")
    (tmp_path / "link").symlink_to(log)
    for path in (log / "key", tmp_path / "link" / "key"):
        with pytest.raises(BadSettings, match="outside the log directory"):
            pseudonym_key(read({"bundle": "b", "log": log, "pseudonym_key_file": path}))


@pytest.mark.parametrize(("content", "words"), [(b"short\n", "at least 16 bytes"), (None, "No such file")])
def test_a_key_file_that_is_short_or_absent_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    """The message names the setting and what is wanted."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSettings, match=words) as caught:
        pseudonym_key(read({"bundle": "b", "log": tmp_path / "log", "pseudonym_key_file": path}))
    assert "LIFTGATE_PSEUDONYM_KEY_FILE" in str(caught.value)
