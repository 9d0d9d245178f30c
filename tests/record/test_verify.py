"""Proving that a log is whole, and that a damaged one is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from liftgate.adapters.segment_sink import SegmentLog
from liftgate.record.frame import Header, Stream, encode_frames, is_interrupted_write
from liftgate.record.parquet import seal_to_parquet
from liftgate.record.verify import Gap, verify
from liftgate.v1.record_pb2 import DecisionRecord, EventRecord

WRITER = b"w" * 16


def payloads(first: int, count: int) -> list[bytes]:
    """Small decisions with ids from `first`."""
    return [DecisionRecord(decision_id=f"{number:032x}").SerializeToString() for number in range(first, first + count)]


def write(directory: Path, name: str, first: int, count: int, suffix: str = ".seg", tail: bytes = b"", ids: int | None = None) -> Path:
    """Write a segment with sequences from `first`."""
    path = directory / f"decision-{name}{suffix}"
    records = payloads(first if ids is None else ids, count)
    path.write_bytes(Header(Stream.DECISION, WRITER, b"b" * 16, first, 5).encode() + encode_frames(records, first) + tail)
    return path


def test_a_whole_log_is_clean(tmp_path: Path) -> None:
    """Segments and Parquet that follow one another are clean, and a segment beside its Parquet counts once."""
    seal_to_parquet(write(tmp_path, "1", 0, 10)).path.with_suffix(".seg").unlink()
    seal_to_parquet(write(tmp_path, "2", 10, 5))
    write(tmp_path, "3", 15, 5)
    write(tmp_path, "4", 20, 2, suffix=".open")
    (tmp_path / "decision-5.open").write_bytes(b"")
    verdict = verify(tmp_path)
    assert verdict.clean
    assert verdict.records == {"decision": 22}
    assert verdict.duplicates == 0
    assert [(report.state, report.records) for report in verdict.files] == [
        ("parquet", 10),
        ("parquet", 5),
        ("sealed", 5),
        ("sealed", 5),
        ("left open", 2),
        ("left open", 0),
    ]


def test_sealed_events_are_events(tmp_path: Path) -> None:
    """Events in Parquet follow their segments' sequence and share no ids with the decisions that they name."""
    write(tmp_path, "1", 0, 3)
    for name, first, sealed in (("1", 0, True), ("2", 10, False)):
        path = tmp_path / f"event-{name}.seg"
        records = [EventRecord(event_id=f"e{n}", decision_id=f"{n % 3:032x}").SerializeToString() for n in range(first, first + 10)]
        path.write_bytes(Header(Stream.EVENT, b"v" * 16, b"b" * 16, first, 5).encode() + encode_frames(records, first))
        if sealed:
            seal_to_parquet(path)
            path.unlink()
    verdict = verify(tmp_path)
    assert verdict.clean
    assert verdict.records == {"decision": 3, "event": 20}
    assert verdict.duplicates == 0


@pytest.mark.parametrize("sealed", [True, False])
def test_a_missing_file_is_a_gap(tmp_path: Path, sealed: bool) -> None:
    """A file that is gone from the middle or the beginning shows as the very records that are missing."""
    for name, first in (("2", 10), ("4", 30)):
        path = write(tmp_path, name, first, 10)
        if sealed:
            seal_to_parquet(path)
            path.unlink()
    verdict = verify(tmp_path)
    assert verdict.gaps == [Gap("decision", WRITER.hex(), 0, 9), Gap("decision", WRITER.hex(), 20, 29)]
    assert not verdict.clean
    assert verify(tmp_path, removed_beginnings=True).gaps == [Gap("decision", WRITER.hex(), 20, 29)]


def test_a_flipped_bit_is_damage(tmp_path: Path) -> None:
    """One changed bit in a sealed segment, or in Parquet data, makes the log unclean and names the file."""
    path = write(tmp_path, "1", 0, 50)
    parquet = seal_to_parquet(path).path
    path.unlink()
    assert verify(tmp_path).clean
    raw = bytearray(parquet.read_bytes())
    raw[60] ^= 1
    parquet.write_bytes(raw)
    segment = write(tmp_path, "2", 50, 5)
    raw = bytearray(segment.read_bytes())
    raw[-1] ^= 1
    segment.write_bytes(raw)
    verdict = verify(tmp_path)
    assert not verdict.clean
    assert ["not readable" in verdict.files[0].damage, "checksum at byte" in verdict.files[1].damage] == [True, True]


def test_doubles_are_told_apart(tmp_path: Path) -> None:
    """The same id under two sequence numbers is a duplicate and clean; the same sequence number twice is not."""
    write(tmp_path, "1", 0, 5)
    write(tmp_path, "2", 5, 5, ids=0)
    verdict = verify(tmp_path)
    assert (verdict.clean, verdict.duplicates, verdict.records) == (True, 5, {"decision": 5})
    write(tmp_path, "3", 8, 4)
    verdict = verify(tmp_path)
    assert (verdict.clean, verdict.repeated_sequences) == (False, 2)


def test_interrupted_writes_are_no_damage_and_anything_else_is(tmp_path: Path) -> None:
    """A tail that is the beginning of one frame was never acknowledged; zeros, or more whole frames behind it, are damage."""
    frames = encode_frames([b"x" * 100, b"y" * 100], 7)
    assert all(is_interrupted_write(frames[:size]) for size in range(5, 116))
    assert not is_interrupted_write(frames)
    assert not is_interrupted_write(bytes(500))
    longer = bytearray(frames)
    longer[1] = 1  # a flipped bit in the length: the frame seems to reach behind the end of the file
    assert not is_interrupted_write(bytes(longer))

    write(tmp_path, "1", 0, 3, suffix=".open", tail=frames[:50])
    (tmp_path / "decision-0.bad").write_bytes(frames[:30])
    verdict = verify(tmp_path)
    assert verdict.clean
    assert all("never acknowledged" in report.note for report in verdict.files)
    (tmp_path / "decision-0.bad").write_bytes(bytes(30))
    write(tmp_path, "1", 0, 3, suffix=".open", tail=bytes(longer))
    assert ["look at them" in report.damage or "cut" in report.damage for report in verify(tmp_path).files] == [True, True]


def test_payloads_that_are_no_records_are_damage(tmp_path: Path) -> None:
    """A frame whose checksum is right and whose payload is no record is damage."""
    path = tmp_path / "decision-1.seg"
    path.write_bytes(Header(Stream.DECISION, WRITER, b"b" * 16, 0, 5).encode() + encode_frames([b"\xff\xff"], 0))
    assert verify(tmp_path).files[0].damage == "not a decision record"


def test_a_log_that_moves_while_it_is_read_has_no_gap(tmp_path: Path) -> None:
    """Records that are appended, and a segment that is sealed, between the reading of two files are not taken for missing."""
    write(tmp_path, "1", 0, 5, suffix=".open")
    (tmp_path / "decision-2.open").write_bytes(b"")
    asked: list[str] = []

    def move_on(name: str) -> None:
        asked.append(name)
        if len(asked) == 2:
            write(tmp_path, "1", 0, 10).with_suffix(".open").unlink()
            write(tmp_path, "2", 10, 3, suffix=".open")

    verdict = verify(tmp_path, progress=move_on)
    assert (verdict.gaps, verdict.clean, len(asked)) == ([], True, 2)
    assert verdict.records["decision"] == 10


async def test_a_log_is_clean_while_it_is_written(tmp_path: Path) -> None:
    """Verifying beside a live writer that rotates all the time finds no gap and no damage."""
    log = SegmentLog(tmp_path, "decision", segment_bytes=8_000)
    log.open()
    stop = False

    async def write_on() -> None:
        number = 0
        while not stop:
            await log.append(payloads(number, 8))
            number += 8
            await asyncio.sleep(0.001)

    writing = asyncio.create_task(write_on())
    try:
        seen: set[str] = set()
        for _ in range(20):
            await asyncio.sleep(0.02)
            verdict = await asyncio.to_thread(verify, tmp_path)
            assert verdict.clean, verdict
            seen |= {report.state for report in verdict.files}
        assert seen == {"sealed", "live"}
    finally:
        stop = True
        await writing
        await log.close()
    assert verify(tmp_path).clean
