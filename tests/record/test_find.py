"""One decision is found by its id in whatever form the log has it, and few segments are looked through for it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from liftgate.record.codec import mark_recovered
from liftgate.record.find import Found, find_decision, is_decision_id
from liftgate.record.frame import Header, Stream, encode_frames
from liftgate.record.parquet import read_log, seal_to_parquet
from liftgate.record.rows import decision_of
from liftgate.v1.record_pb2 import DecisionRecord, InputColumn, LayerAssignment, ModelPin, SlotProbabilities

MINUTE = 60_000
T0 = 1_767_225_600_000


def decision_id(at_ms: int, tail: int = 0) -> str:
    """Return an id of that time."""
    return f"{at_ms << 80 | 7 << 76 | 2 << 62 | tail:032x}"


def payload(at_ms: int, tail: int = 0, **changes: object) -> bytes:
    """Return a record with something in every kind of field."""
    record = DecisionRecord(
        decision_id=decision_id(at_ms, tail),
        decided_at_ms=at_ms,
        person_pseudonym=b"\x01\x02",
        placement_id="home.hero",
        models=[ModelPin(model="likes", version=3, sha256="ab" * 32)],
        arm=2,  # type: ignore[arg-type]
        reason=61,  # type: ignore[arg-type]
        assignments=[LayerAssignment(layer="universal", arm="holdout")],
        would_offer=["gift"],
        candidate_offer_id=["gift", "credit"],
        candidate_reason=[2, 12],  # type: ignore[list-item]
        candidate_value=[4.0, float("nan")],
        slots=[SlotProbabilities(probability=[1.0, 0.0]), SlotProbabilities(probability=[0.0, 0.0])],
        inputs=[InputColumn(name="context.channel", type="string", values=["web", "app"]), InputColumn(name="profile.age", type="int")],
        input_value=[1.0, 40.0],
        input_state=[1, 4],  # type: ignore[list-item]
        stage_us=[3, 4],
    )
    for name, value in changes.items():
        setattr(record, name, value)
    return record.SerializeToString()


def segment(directory: Path, created: int, payloads: list[bytes], suffix: str = ".seg", writer: str = "a") -> Path:
    """Write a segment as a writer names it."""
    directory.mkdir(exist_ok=True)
    path = directory / f"decision-{created:013d}-{writer * 32}-{1:06d}{suffix}"
    path.write_bytes(Header(Stream.DECISION, bytes.fromhex(writer * 32), b"b" * 16, 0, created).encode() + encode_frames(payloads, 0))
    return path


def found(directory: Path, at_ms: int, tail: int = 0) -> Found:
    """Return what is found, which must be there."""
    one = find_decision(directory, decision_id(at_ms, tail))
    assert one is not None
    return one


@pytest.mark.parametrize("suffix", [".open", ".seg"])
def test_segments_open_and_sealed(tmp_path: Path, suffix: str) -> None:
    """A record is found in the middle of a segment, whether it is being written or sealed."""
    path = segment(tmp_path, T0, [payload(T0 + i, i) for i in range(50)], suffix)
    assert found(tmp_path, T0 + 30, 30) == Found(DecisionRecord.FromString(payload(T0 + 30, 30)), path.name)


def test_shipped_segments_are_read_and_parquet_is(tmp_path: Path) -> None:
    """A record is the same from the shipped segment and from the Parquet that was made of it, when that is all there is."""
    path = segment(tmp_path, T0, [payload(T0 + i, i) for i in range(20)])
    seal_to_parquet(path)
    (tmp_path / "shipped").mkdir()
    path.rename(tmp_path / "shipped" / path.name)
    shipped = found(tmp_path, T0 + 7, 7)
    (tmp_path / "shipped" / path.name).unlink()
    assert find_decision(tmp_path, decision_id(T0 + 7, 7), parquet=False) is None
    sealed = found(tmp_path, T0 + 7, 7)
    assert (shipped.file, sealed.file) == (path.name, path.with_suffix(".parquet").name)
    # NaN is not equal to itself, its bytes are.
    assert shipped.record.SerializeToString(deterministic=True) == sealed.record.SerializeToString(deterministic=True)


def test_a_row_becomes_its_message_again(tmp_path: Path) -> None:
    """Every field of a row of Parquet, nested ones and enums included, is what the record had; unknown columns are left out."""
    path = segment(tmp_path, T0, [payload(T0)])
    seal_to_parquet(path)
    path.unlink()
    (row,) = read_log(tmp_path)
    record = decision_of(row | {"later": 1, "reason": "OF_A_NEWER_VERSION", "branch": "17"})
    assert (record.reason, record.branch, record.assignments[0].arm) == (0, 17, "holdout")
    assert list(record.slots[0].probability) == [1.0, 0.0]
    assert math.isnan(record.candidate_value[1])


def test_the_first_of_two_rows_counts(tmp_path: Path) -> None:
    """A record that another worker completed later does not hide the first one, as for every reader."""
    segment(tmp_path, T0, [payload(T0)], writer="b")
    segment(tmp_path, T0 + 5, [mark_recovered(payload(T0))], writer="a")
    assert not found(tmp_path, T0).record.recovered


def test_a_record_completed_much_later_is_found(tmp_path: Path) -> None:
    """A recovered record lies in a segment that began long after the decision; it is found there."""
    segment(tmp_path, T0, [payload(T0, 1)])
    segment(tmp_path, T0 + 60 * MINUTE, [mark_recovered(payload(T0, 2))])
    assert found(tmp_path, T0, 2).record.recovered


def test_a_clock_that_stepped_back_hides_nothing(tmp_path: Path) -> None:
    """A record whose id is far older or younger than its segment is found all the same."""
    segment(tmp_path, T0, [payload(T0 + 500 * MINUTE, 1)])
    segment(tmp_path, T0 + 10 * MINUTE, [payload(T0 - 500 * MINUTE, 2)])
    assert found(tmp_path, T0 + 500 * MINUTE, 1)
    assert found(tmp_path, T0 - 500 * MINUTE, 2)


def test_the_segment_of_that_time_comes_first(tmp_path: Path) -> None:
    """Of a hundred segments only those that were open at the time are read before the record is found."""
    for i in range(100):
        segment(tmp_path, T0 + 10 * i * MINUTE, [payload(T0 + (10 * i + 5) * MINUTE)])
    paused: list[int] = []
    assert find_decision(tmp_path, decision_id(T0 + 505 * MINUTE), pause=lambda: paused.append(1))
    assert len(paused) <= 3
    paused.clear()
    assert find_decision(tmp_path, decision_id(T0 + 506 * MINUTE), pause=lambda: paused.append(1)) is None
    assert len(paused) >= 100


def test_whoever_pauses_may_give_up(tmp_path: Path) -> None:
    """An error of `pause` ends the search."""
    segment(tmp_path, T0, [payload(T0 + i, i) for i in range(3)])

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        find_decision(tmp_path, decision_id(T0, 99), pause=stop)


def test_an_id_across_two_chunks_is_seen(tmp_path: Path) -> None:
    """The quick look through a file's bytes misses no id that lies across two reads, whatever the offset."""
    size = 64 * 1024
    for shift in range(-96, 96, 3):
        directory = tmp_path / str(shift)
        filler = payload(T0, 1, request_id="x" * (size - 64 - shift - len(payload(T0, 1))))
        segment(directory, T0, [filler, payload(T0 + 1, 2)])
        assert found(directory, T0 + 1, 2)


def test_damage_and_other_files_are_no_obstacle(tmp_path: Path) -> None:
    """A damaged segment gives what lies before the damage; what is no segment, and an id that only a payload mentions, are passed over."""
    path = segment(tmp_path, T0, [payload(T0 + i, i) for i in range(4)])
    path.write_bytes(path.read_bytes()[:-5])
    segment(tmp_path, T0 + 1, [payload(T0, 77, request_id=decision_id(T0, 78))], writer="c")
    (tmp_path / "decision-x.seg").write_bytes(b"no segment")
    (tmp_path / "bundles").mkdir()
    assert found(tmp_path, T0 + 2, 2)
    assert find_decision(tmp_path, decision_id(T0 + 3, 3)) is None
    assert find_decision(tmp_path, decision_id(T0, 78)) is None


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "../" * 10 + "ab", "é" * 32])
def test_what_is_no_id_is_refused(tmp_path: Path, text: str) -> None:
    """Only 32 lower-case hexadecimal digits are looked for."""
    assert not is_decision_id(text)
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        find_decision(tmp_path, text)
