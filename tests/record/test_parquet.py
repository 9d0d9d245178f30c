"""Sealing to Parquet and reading a log back, from whichever form it is in."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.json_format import MessageToDict

from liftgate.record.columnar import schema
from liftgate.record.frame import Header, Stream, encode_frames
from liftgate.record.parquet import open_parquet, read_batches, read_log, read_table, seal_to_parquet
from liftgate.v1.record_pb2 import DecisionRecord, EventRecord, InputColumn, LayerAssignment, ModelPin, SlotProbabilities


def decision(number: int) -> DecisionRecord:
    """A record with every field set, different for every number."""
    dice = Random(number)
    count = dice.randint(0, 4)
    return DecisionRecord(
        decision_id=f"{number:032x}",
        request_id=f"r{number}",
        decided_at_ms=1_767_225_600_000 + number,
        trace_id=dice.randbytes(16),
        span_id=dice.randbytes(8),
        person_pseudonym=dice.randbytes(16),
        pseudonym_key_id="k1",
        placement_id="home.hero",
        bundle="shop",
        bundle_digest="d" * 64,
        models=[ModelPin(model="m", version=3, sha256="e" * 64)],
        arm=dice.choice([1, 2]),  # type: ignore[arg-type]
        assignments=[LayerAssignment(layer=f"layer-{number % 50}", arm="treatment")],
        branch=dice.choice([1, 2, 3]),  # type: ignore[arg-type]
        reason=dice.choice([60, 61]),  # type: ignore[arg-type]
        degraded=dice.random() < 0.5,
        fallback_reason=0,  # type: ignore[arg-type]
        offered=["a"] * dice.randint(0, 2),
        default_served=True,
        would_offer=["b"] * dice.randint(0, 2),
        holdout_answer="none",
        slot_count=2,
        slate_scheme="sequential_without_replacement",
        candidate_offer_id=[f"offer-{i}" for i in range(count)],
        candidate_reason=[dice.choice([1, 2, 30]) for _ in range(count)],  # type: ignore[misc]
        candidate_propensity=[dice.choice([dice.random(), math.nan]) for _ in range(count)],
        candidate_value=[dice.random() for _ in range(count)],
        slots=[SlotProbabilities(probability=[dice.random() for _ in range(count)]) for _ in range(dice.randint(0, 2))],
        scored=True,
        draws=[dice.random()],
        reservation_attempts=1,
        inputs=[InputColumn(name="context.channel", type="string", values=["web"]), InputColumn(name=f"profile.{number % 3}", type="int")],
        input_value=[1.0, math.nan],
        input_age_s=[math.nan, 4.5],
        input_state=[1, 2],  # type: ignore[list-item]
        masked_paths=["profile.*"] * dice.randint(0, 1),
        purpose=["personalization"],
        consent_reason=[10],  # type: ignore[list-item]
        valid_until_ms=1_767_225_660_000,
        stage_us=[1, 2, 3],
        batch_size=8,
        recovered=dice.random() < 0.1,
    )


def write_segment(
    directory: Path, name: str, records: list[Any], suffix: str = ".seg", stream: Stream = Stream.DECISION, first: int = 0
) -> Path:
    """Write a sealed or open segment of messages."""
    path = directory / f"{stream.label}-{name}{suffix}"
    header = Header(stream, name.encode().ljust(16, b"w"), b"b" * 16, first, 5)
    path.write_bytes(header.encode() + encode_frames([record.SerializeToString() for record in records], first))
    return path


def by_hand(record: Any) -> dict[str, Any]:
    """A message as the row that is wanted, made by another route than columns; an absent message is an empty one."""
    named = MessageToDict(record, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    row: dict[str, Any] = {}
    for field in record.DESCRIPTOR.fields:
        value = getattr(record, field.name)
        if field.message_type:
            row[field.name] = [one_of(each) for each in value] if field.is_repeated else one_of(value)
        elif field.has_presence and not record.HasField(field.name):
            row[field.name] = None
        elif field.enum_type:
            strip = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
            raw = named[field.name]
            row[field.name] = [one.removeprefix(strip) for one in raw] if field.is_repeated else raw.removeprefix(strip)
        else:
            row[field.name] = list(value) if field.is_repeated else value
    return row


def one_of(message: Any) -> Any:
    """A message inside a record: its only field, or its fields by name."""
    row = by_hand(message)
    return next(iter(row.values())) if len(row) == 1 else row


def comparable(row: dict[str, Any]) -> str:
    """Rows as text, where NaN equals NaN."""
    return repr({key: row[key] for key in sorted(row) if key not in ("writer_id", "sequence")})


@pytest.mark.parametrize("sealed", [True, False])
def test_rows_equal_the_messages(tmp_path: Path, sealed: bool) -> None:
    """Rows read from Parquet and from a segment hold every field of the messages, value by value."""
    records = [decision(number) for number in range(120)]
    segment = write_segment(tmp_path, "1", records, first=7)
    if sealed:
        done = seal_to_parquet(segment)
        assert (done.records, done.damage, done.path.suffix) == (120, None, ".parquet")
        segment.unlink()
    rows = list(read_log(tmp_path))
    assert [comparable(row) for row in rows] == [comparable(by_hand(record)) for record in records]
    assert [row["sequence"] for row in rows] == list(range(7, 127))
    assert {row["writer_id"] for row in rows} == {b"1".ljust(16, b"w").hex()}


def test_events_are_rows_too(tmp_path: Path) -> None:
    """Events seal and read like decisions, and no money stays different from money of 0."""
    events = [
        EventRecord(event_id="e1", kind=1, person_pseudonym=b"p", occurred_at_ms=5, received_at_ms=6),  # type: ignore[arg-type]
        EventRecord(event_id="e2", kind=3, value=0.0, currency="EUR"),  # type: ignore[arg-type]
    ]
    seal_to_parquet(write_segment(tmp_path, "1", events, stream=Stream.EVENT)).path.with_suffix(".seg").unlink()
    rows = list(read_log(tmp_path, "event"))
    assert [comparable(row) for row in rows] == [comparable(by_hand(event)) for event in events]
    assert [row["value"] for row in rows] == [None, 0.0]
    assert list(read_log(tmp_path)) == []


def test_columns_follow_the_contract() -> None:
    """Every field of the record is a column of the same name, in order, enums as names and slots as lists of vectors."""
    names = [field.name for field in DecisionRecord.DESCRIPTOR.fields]
    assert schema(Stream.DECISION).names == [*names, "writer_id", "sequence"]
    assert schema(Stream.DECISION).field("slots").type == pa.list_(pa.list_(pa.float64()))
    assert schema(Stream.DECISION).field("candidate_reason").type == pa.list_(pa.dictionary(pa.int8(), pa.string()))


def test_every_id_is_read_once(tmp_path: Path) -> None:
    """A decision that two workers logged, or that is in a segment and its Parquet file, is one row: the first."""
    first = [decision(number) for number in range(5)]
    again = decision(3)
    again.recovered = True
    seal_to_parquet(write_segment(tmp_path, "1", first))
    write_segment(tmp_path, "2", [again, decision(9)], suffix=".open")
    rows = list(read_log(tmp_path))
    assert [int(row["decision_id"], 16) for row in rows] == [0, 1, 2, 3, 4, 9]
    assert rows[3]["recovered"] == first[3].recovered


def test_a_segment_that_is_being_written_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    """A torn tail ends an open segment and nothing else."""
    path = write_segment(tmp_path, "1", [decision(0), decision(1)], suffix=".open")
    path.write_bytes(path.read_bytes()[:-5])
    (tmp_path / "decision-2.open").write_bytes(b"")
    write_segment(tmp_path, "3", [decision(2)])
    assert [int(row["decision_id"], 16) for row in read_log(tmp_path)] == [0, 2]


def test_sealing_damage_keeps_what_is_before_it(tmp_path: Path) -> None:
    """A damaged sealed segment gives its records before the damage, and the damage is told."""
    path = write_segment(tmp_path, "1", [decision(number) for number in range(10)])
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 1
    path.write_bytes(raw)
    done = seal_to_parquet(path)
    assert done.records == 9
    assert done.damage is not None
    assert read_table(tmp_path).num_rows == 9


def test_a_table_of_some_columns(tmp_path: Path) -> None:
    """Readers may ask for some columns; an empty log gives an empty table of the same columns."""
    assert read_table(tmp_path, columns=["reason"]).num_rows == 0
    write_segment(tmp_path, "1", [decision(number) for number in range(5)])
    seal_to_parquet(write_segment(tmp_path, "2", [decision(number) for number in range(3, 8)]))
    table = read_table(tmp_path, columns=["reason", "arm"])
    assert (table.column_names, table.num_rows) == (["reason", "arm"], 8)
    assert read_table(tmp_path).num_rows == 8
    assert sum(batch.num_rows for batch in read_batches(tmp_path)) == 8


def test_an_enum_number_without_a_name_stays_visible(tmp_path: Path) -> None:
    """A reason from a newer version is read as its number and nothing fails."""
    write_segment(tmp_path, "1", [DecisionRecord(decision_id="x", reason=99)])  # type: ignore[arg-type]
    assert [row["reason"] for row in read_log(tmp_path)] == ["99"]


def test_damaged_parquet_is_noticed(tmp_path: Path) -> None:
    """Every page carries a checksum: a flipped bit in the data is an error and never a wrong number."""
    path = seal_to_parquet(write_segment(tmp_path, "1", [decision(number) for number in range(300)])).path
    with open_parquet(path) as file:
        column = file.metadata.row_group(0).column(0)
        offset = column.data_page_offset + column.total_compressed_size // 2
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 1
    path.write_bytes(raw)
    with pytest.raises(OSError, match=r"CRC|checksum"):
        list(read_log(tmp_path))
