"""One changed byte in a model, a rule or a logged feature is named: each test changes exactly one."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from liftgate.adapters.bundle_archive import archive_path, keep
from liftgate.app.cli.main import main
from liftgate.bundle.load import load_bundle
from liftgate.record.codec import decode_decision
from liftgate.record.frame import FRAME_OVERHEAD, SegmentReader
from tests.replay.logbook import DEMO, write_log

CHANGED = 3


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a log of the demo's bundle, the bundle kept beside it, and its models."""
    root = tmp_path_factory.mktemp("kept")
    bundle = load_bundle(DEMO / "bundle", DEMO / "models")
    keep(bundle, root / "log")
    write_log(root / "log", bundle, people=150, rounds=3)
    shutil.copytree(DEMO / "models", root / "models")
    shutil.copytree(DEMO / "bundle", root / "bundle")
    return root


@pytest.fixture
def mine(kept: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    shutil.copytree(kept, tmp_path / "mine")
    return tmp_path / "mine"


def replay(root: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, object]]:
    """Run the command and return its exit code and JSON."""
    with pytest.raises(SystemExit) as ended:
        main(["replay", "--log", str(root / "log"), "--models", str(root / "models"), "--json", *more])
    return int(str(ended.value.code or 0)), json.loads(capsys.readouterr().out)


def flip(path: Path, offset: int, to: int | None = None) -> None:
    """Change one byte of a file."""
    raw = bytearray(path.read_bytes())
    raw[offset] = raw[offset] ^ 1 if to is None else to
    path.write_bytes(raw)


def named(answer: dict[str, object], kind: str) -> list[str]:
    """Return the names of what changed, of one kind."""
    changed = answer["changed"]
    assert isinstance(changed, list)
    return [one["name"] for one in changed if one["kind"] == kind]


def segment(root: Path) -> Path:
    """Return the log's one segment."""
    (path,) = (root / "log").glob("*.seg")
    return path


def test_what_nobody_touched_is_reproduced(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The control: every decision comes out as logged from the log and the models alone, and nothing is named."""
    code, answer = replay(kept, capsys)
    assert (code, answer["decisions"], answer["reproduced"], answer["changed"], answer["otherwise"]) == (0, 450, 450, [], [])


def test_one_byte_of_a_model_is_named(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model is named by name and version, with both hashes, and what it had scored is not called reproduced."""
    file = next((mine / "models").glob("*/*/model.onnx"))
    model, version = file.parent.parent.name, file.parent.name
    flip(file, file.stat().st_size // 2)
    code, answer = replay(mine, capsys)
    assert code == CHANGED
    assert named(answer, "model") == [f"model {model} version {version}"]
    assert 0 < int(str(answer["reproduced"])) < 450
    assert f"model {model} does not answer now" in json.dumps(answer["bundles"])


def test_one_byte_of_a_rule_in_a_given_bundle_is_named(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --bundle the offer and section that say something else are named, then and now, with file and line."""
    (file,) = [path for path in (mine / "bundle").glob("*.yaml") if b"value: 7.50" in path.read_bytes()]
    flip(file, file.read_bytes().index(b"value: 7.50") + len(b"value: "), ord("8"))
    code, answer = replay(mine, capsys, "--bundle", str(mine / "bundle"))
    assert code == CHANGED
    assert named(answer, "rule") == ["offers.click-and-collect.value"]
    assert "7.5" in str(answer["changed"])
    assert "8.5" in str(answer["changed"])
    assert file.name in str(answer["changed"])


def test_one_byte_of_a_rule_in_what_the_log_kept_is_named(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed byte in any of the three places where the archive has a rule is named; the digest says which one to believe."""
    digest = load_bundle(DEMO / "bundle", DEMO / "models").digest
    path = archive_path(mine / "log", digest)
    whole = path.read_bytes()
    for text, place, reproduced in (
        (rb"value: 7.50", "offers.click-and-collect.value", 0),
        (rb"\"value\":7.5", "canonical: offers.click-and-collect.value", 450),
        (rb'"value": 7.5', "offers.click-and-collect.value", 450),
    ):
        assert whole.count(text) == 1, text
        path.write_bytes(whole)
        flip(path, whole.index(text) + text.rindex(b"7"), ord("8"))
        code, answer = replay(mine, capsys)
        assert (code, named(answer, "rule"), answer["reproduced"]) == (CHANGED, [place], reproduced), text


def test_one_byte_of_a_logged_feature_is_named_from_a_damaged_segment(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The segment's checksum finds that a byte changed and where, the record's own check which feature it belongs to."""
    path = segment(mine)
    with path.open("rb") as file:
        frame = list(SegmentReader(file))[100]
    record = decode_decision(frame.payload)
    names = [column.name for column in record.inputs]
    i = names.index("profile.age")
    values = np.array(record.input_value).tobytes()
    flip(path, frame.offset + FRAME_OVERHEAD + frame.payload.index(values) + 8 * i + 6)
    code, answer = replay(mine, capsys)
    assert code == CHANGED
    assert named(answer, "feature") == ["profile.age"]
    assert named(answer, "log") == [path.name]
    assert answer["reproduced"] == answer["decisions"] == 100


@pytest.mark.parametrize("at", range(8))
def test_one_byte_of_a_logged_feature_is_named_even_where_checksums_agree(at: int, mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever byte of the value was changed, and whoever wrote the checksum anew: the feature is named, and only its decision differs."""
    path = segment(mine)
    with path.open("rb") as file:
        frame = list(SegmentReader(file))[200]
    record = decode_decision(frame.payload)
    i = [column.name for column in record.inputs].index("profile.days_since_purchase")
    place = frame.offset + FRAME_OVERHEAD + frame.payload.index(np.array(record.input_value).tobytes()) + 8 * i + at
    flip(path, place)
    raw = bytearray(path.read_bytes())
    after = bytes(raw[frame.offset + FRAME_OVERHEAD : frame.offset + FRAME_OVERHEAD + len(frame.payload)])
    checksum = google_crc32c.extend(google_crc32c.value(bytes(raw[frame.offset + 8 : frame.offset + 16])), after)
    raw[frame.offset + 4 : frame.offset + 8] = struct.pack("<I", checksum)
    path.write_bytes(raw)
    code, answer = replay(mine, capsys)
    assert (code, named(answer, "feature"), named(answer, "log")) == (CHANGED, ["profile.days_since_purchase"], [])
    assert (answer["reproduced"], answer["differing"], answer["otherwise"]) == (449, 1, [])
    assert record.decision_id in json.dumps(answer["changed"])


def test_one_byte_of_parquet_is_named_by_its_column(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sealed log with one changed byte names file and column by the page's checksum."""
    with pytest.raises(SystemExit):
        main(["log", "seal", str(mine / "log"), "--delete"])
    capsys.readouterr()
    (path,) = (mine / "log").glob("*.parquet")
    import pyarrow.parquet as pq

    about = pq.ParquetFile(path).metadata.row_group(0)
    (column,) = [c for i in range(about.num_columns) if (c := about.column(i)).path_in_schema.startswith("input_value")]
    flip(path, column.data_page_offset + column.total_compressed_size // 2)
    code, answer = replay(mine, capsys)
    assert code == CHANGED
    assert named(answer, "log") == [f"{path.name}: input_value"]


def test_a_result_that_nothing_explains_is_said_and_has_its_own_exit_code(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A logged probability that no input gives comes out otherwise, by offer and slot, under exit code 4."""
    path = segment(mine)
    with path.open("rb") as file:
        reader = SegmentReader(file)
        frame = next(one for one in reader if list(decode_decision(one.payload).offered) and decode_decision(one.payload).branch == 1)
    record = decode_decision(frame.payload)
    vector = np.array(record.slots[0].probability).tobytes()
    flip(path, frame.offset + FRAME_OVERHEAD + frame.payload.index(vector) + 8 * int(np.argmax(record.slots[0].probability)) + 5)
    raw = bytearray(path.read_bytes())
    after = bytes(raw[frame.offset + FRAME_OVERHEAD : frame.offset + FRAME_OVERHEAD + len(frame.payload)])
    raw[frame.offset + 4 : frame.offset + 8] = struct.pack(
        "<I", google_crc32c.extend(google_crc32c.value(bytes(raw[frame.offset + 8 : frame.offset + 16])), after)
    )
    path.write_bytes(raw)
    code, answer = replay(mine, capsys)
    assert (code, answer["differing"], answer["changed"]) == (4, 1, [])
    assert "probability of" in json.dumps(answer["otherwise"])
