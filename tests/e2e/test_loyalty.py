"""The example on a real log of events runs end to end on a slice of it, and sees when something is not as in the file."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "loyalty"
DATA = ROOT / os.environ.get("LIFTGATE_TEST_STARBUCKS", "../shared/data/starbucks")
PORTFOLIO, PROFILE, TRANSCRIPT = "portfolio.json.gz", "profile.json.gz", "transcript_partial.json.gz"
MEMBERS = 500
KINDS = ("offer received", "offer viewed", "offer completed", "transaction")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"THE TEST ON A REAL LOG OF EVENTS DID NOT RUN: {DATA} is not there")


def _lines(name: str) -> list[str]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return file.readlines()


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def slice_of(tmp_path: Path) -> Callable[..., Path]:
    """Writes the first members, and what they did, as files of their own; `more` goes to the end of the log."""

    def cut(members: int, more: str = "") -> Path:
        folder = tmp_path / "slice"
        folder.mkdir()
        profiles = _lines(PROFILE)[:members]
        people = {json.loads(line)["id"] for line in profiles}
        log = [line for line in _lines(TRANSCRIPT) if json.loads(line)["person"] in people]
        for name, lines in ((PORTFOLIO, _lines(PORTFOLIO)), (PROFILE, profiles), (TRANSCRIPT, [*log, *([more] if more else [])])):
            with gzip.open(folder / name, "wt", encoding="utf-8") as file:
                file.writelines(lines)
        return folder

    return cut


def test_a_slice_end_to_end(tmp_path: Path, slice_of: Callable[..., Path]) -> None:
    """Catalog, people, events twice, decisions, log: every count is that of the slice, and every member was decided for."""
    data = slice_of(MEMBERS)
    done = _run("--data", data, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    with gzip.open(data / TRANSCRIPT, "rt") as file:
        plain = Counter(json.loads(line)["event"] for line in file)
    assert found["funnel"]["events"] == {kind: plain[kind] for kind in KINDS}
    assert sum(found["chosen"].values()) == MEMBERS == found["members"]
    assert sum(found["verdicts"].values()) == MEMBERS * found["offers"] == MEMBERS * 10
    assert found["features_equal"] == MEMBERS * 10
    assert 0 < found["members_by_context_alone"] < MEMBERS
    for reason in ("FREQUENCY_CAP", "NOT_SUITABLE", "SUITABILITY_UNKNOWN", "CHANNEL_NOT_ALLOWED", "ALLOWED"):
        assert found["verdicts"][reason] > 0, f"no verdict says {reason}: nothing was compared"
    assert not [line for line in (tmp_path / "out" / "server.log").read_text().splitlines() if '"level": "error"' in line]


def test_a_rule_that_is_not_the_files_is_seen(tmp_path: Path, slice_of: Callable[..., Path]) -> None:
    """With a feature that counts something else in the bundle the run ends with 1 and names the member's number and the feature."""
    data = slice_of(60)
    example = tmp_path / "examples" / "loyalty"
    example.mkdir(parents=True)
    (tmp_path / "examples" / "hillstrom").symlink_to(ROOT / "examples" / "hillstrom")
    for path in EXAMPLE.glob("*.py"):
        (example / path.name).write_text(path.read_text())
    (example / "bundle").mkdir()
    bundle = (EXAMPLE / "bundle" / "loyalty.yaml").read_text()
    wrong = bundle.replace("viewed_7d: {type: int, from: {count: exposure,", "viewed_7d: {type: int, from: {count: purchase,")
    assert wrong != bundle
    (example / "bundle" / "loyalty.yaml").write_text(wrong)
    command = [sys.executable, str(example / "run.py"), "--data", str(data), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1
    assert "viewed_7d is" in done.stderr


def test_another_file_is_refused(tmp_path: Path, slice_of: Callable[..., Path]) -> None:
    """A line that is no event of the programme ends the run with its number, before anything starts."""
    data = slice_of(10, '{"person": "x", "event": "offer lost", "value": {}, "time": 0}\n')
    done = _run("--data", data, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert f"{TRANSCRIPT}:" in done.stderr
    assert not (tmp_path / "out" / "server.log").exists()
