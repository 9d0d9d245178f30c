"""Damaged segments: cuts, bit flips, zeros and strangers never stop a start and never cost a record before the damage."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import pytest

from liftgate.adapters.segment_sink import SegmentLog
from liftgate.record.frame import FRAME_OVERHEAD, HEADER_SIZE, Damaged, Header, SegmentReader, Stream, encode_frames
from liftgate.record.segment import Recovered, recover
from liftgate.record.storage import DiskFile, DiskStorage

HEADER = Header(Stream.DECISION, b"w" * 16, b"b" * 16, 7, 1_767_225_600_000)


def records(seed: int, count: int) -> list[bytes]:
    """Records of 1 to 150 bytes."""
    dice = Random(seed)
    return [dice.randbytes(dice.randint(1, 150)) for _ in range(count)]


def segment(payloads: list[bytes]) -> bytes:
    """A whole segment."""
    return HEADER.encode() + encode_frames(payloads, HEADER.first_sequence)


def whole_before(payloads: list[bytes], offset: int) -> int:
    """How many records end at or before an offset."""
    end, count = HEADER_SIZE, 0
    for payload in payloads:
        end += FRAME_OVERHEAD + len(payload)
        if end > offset:
            break
        count += 1
    return count


def mended(directory: Path, content: bytes) -> tuple[Recovered, list[bytes], bytes]:
    """Leave `content` as a dead writer would, recover, and return the outcome, the sealed payloads and the quarantined bytes."""
    for old in directory.iterdir():
        old.unlink()
    (directory / "decision-x.open").write_bytes(content)
    [outcome] = recover(DiskStorage(directory))
    payloads: list[bytes] = []
    for path in directory.glob("*.seg"):
        with path.open("rb") as file:
            reader = SegmentReader(file)
            payloads = [frame.payload for frame in reader]
            assert reader.damage is None
    assert not outcome.error
    return outcome, payloads, b"".join(path.read_bytes() for path in directory.glob("*.bad"))


def test_a_cut_at_every_byte_of_the_last_record(tmp_path: Path) -> None:
    """Wherever the last record is cut, all before it are sealed and the stump is kept in quarantine."""
    payloads = [*records(1, 4), b"last" * 20]
    content = segment(payloads)
    start = len(content) - FRAME_OVERHEAD - 80
    for cut in range(start, len(content)):
        outcome, got, bad = mended(tmp_path, content[:cut])
        assert got == payloads[:-1]
        assert bad == content[start:cut]
        assert outcome.records == 4
        assert (outcome.damage is None) == (cut == start)


def test_a_cut_inside_the_header_is_quarantined_whole(tmp_path: Path) -> None:
    """A file cut within its header has no record; what there is of it is kept."""
    for cut in range(HEADER_SIZE):
        outcome, got, bad = mended(tmp_path, segment(records(2, 3))[:cut])
        assert (got, bad, outcome.records) == ([], segment(records(2, 3))[:cut], 0)


def test_ten_thousand_bit_flips_are_all_found() -> None:
    """Any flipped bit is found, every record before it is read unchanged, and none that was changed is ever handed out."""
    payloads = records(3, 30)
    content = segment(payloads)
    dice = Random(4)
    for _ in range(10_000):
        bit = dice.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            reader = SegmentReader(io.BytesIO(flipped))
        except Damaged:
            assert bit // 8 < HEADER_SIZE
            continue
        got = [frame.payload for frame in reader]
        assert got == payloads[: len(got)]
        assert len(got) == whole_before(payloads, bit // 8)
        assert reader.damage is not None


def test_a_start_mends_flipped_segments(tmp_path: Path) -> None:
    """Through a real recovery on disk: what is whole is sealed, and sealed plus quarantined bytes are the file as found."""
    payloads = records(5, 20)
    content = segment(payloads)
    dice = Random(6)
    for _ in range(150):
        bit = dice.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        outcome, got, bad = mended(tmp_path, bytes(flipped))
        assert got == payloads[: whole_before(payloads, bit // 8)] or bit // 8 < HEADER_SIZE
        assert outcome.damage is not None
        assert bytes(flipped).endswith(bad)
        assert len(bad) == outcome.damage.size


@pytest.mark.parametrize("zeros", [1, 15, 16, 17, 4096, 100_000])
def test_a_tail_of_zeros_is_cut_off(tmp_path: Path, zeros: int) -> None:
    """Zeros that a file system left behind the last record are no records."""
    payloads = records(7, 5)
    outcome, got, bad = mended(tmp_path, segment(payloads) + bytes(zeros))
    assert (got, bad) == (payloads, bytes(zeros))
    assert outcome.damage is not None
    assert outcome.damage.cause == "zeros"


def test_frames_of_another_place_are_not_taken(tmp_path: Path) -> None:
    """Whole frames with a sequence that does not follow, as old disk blocks may hold, are damage and not records."""
    payloads = records(8, 5)
    outcome, got, bad = mended(tmp_path, segment(payloads) + encode_frames([b"stale"], 3))
    assert (got, bad) == (payloads, encode_frames([b"stale"], 3))
    assert outcome.damage is not None
    assert outcome.damage.cause == "sequence"


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"\xff" * 5000, HEADER.encode(), b"LIFTGATE" * 100])
async def test_a_log_starts_beside_any_wreck(tmp_path: Path, content: bytes) -> None:
    """Whatever an open file of a dead writer holds, the next start serves, and keeps every byte that it cannot read."""
    (tmp_path / "decision-x.open").write_bytes(content)
    log = SegmentLog(tmp_path, "decision")
    log.open()
    await log.append([b"new"])
    await log.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("*.bad"))
    assert kept == (b"" if content in (b"", HEADER.encode()) else content)
    assert log.quarantined_bytes == len(kept)
    assert not list(tmp_path.glob("*.open"))


def test_a_file_that_cannot_be_mended_stays(tmp_path: Path) -> None:
    """When there is no room for the quarantine the file is left as it is, reported, and the others are mended."""

    class Full(DiskStorage):
        def create(self, name: str) -> DiskFile:
            raise OSError(28, "No space left on device")

    content = segment(records(9, 3)) + bytes(10)
    (tmp_path / "decision-a.open").write_bytes(content)
    (tmp_path / "decision-b.open").write_bytes(segment(records(9, 3)))
    first, second = recover(Full(tmp_path))
    assert "No space" in first.error
    assert (tmp_path / "decision-a.open").read_bytes() == content
    assert second.records == 3
