"""Records as Arrow columns, derived from the messages' descriptors. Needs pyarrow: only offline readers import it.

Enums become dictionary-encoded names without their prefix, repeated fields become lists, messages become structs, and a
message with one field (`SlotProbabilities`) becomes that field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from liftgate.record.codec import decode_decision
from liftgate.record.event_codec import decode_event
from liftgate.record.frame import Frame, Header, Stream
from liftgate.record.raw import Parted, is_nested, is_packed, raw_message
from liftgate.record.wire import tag
from liftgate.v1.record_pb2 import DecisionRecord, EventRecord

ROW_ID = {Stream.DECISION: "decision_id", Stream.EVENT: "event_id"}
"""The column by which readers drop rows that they have already seen; of events beside `EVENT_OWNER`."""
EVENT_OWNER = ("person_pseudonym", "pseudonym_key_id")
"""Whose an event is: an event id is its person's. Without a key the pseudonym is the row's alone, and nobody's in particular."""

_MESSAGES: dict[Stream, type[Message]] = {Stream.DECISION: DecisionRecord, Stream.EVENT: EventRecord}
_DECODE = {Stream.DECISION: decode_decision, Stream.EVENT: decode_event}
_BEHIND = {Stream.DECISION: tag("candidate_reason"), Stream.EVENT: b"\xff"}
"""The tag of the first field behind a record's constants; an event has none."""
_FEW = 32
"""Distinct values of a column, in one batch, up to which they are converted once each."""
_NAMES = pa.dictionary(pa.int8(), pa.string())
_SCALARS = {
    FieldDescriptor.TYPE_STRING: pa.string(),
    FieldDescriptor.TYPE_BYTES: pa.binary(),
    FieldDescriptor.TYPE_INT64: pa.int64(),
    FieldDescriptor.TYPE_UINT32: pa.uint32(),
    FieldDescriptor.TYPE_UINT64: pa.uint64(),
    FieldDescriptor.TYPE_DOUBLE: pa.float64(),
    FieldDescriptor.TYPE_BOOL: pa.bool_(),
    FieldDescriptor.TYPE_ENUM: _NAMES,
}


@cache
def schema(stream: Stream) -> Any:
    """Return the `pyarrow.Schema` of a stream: the fields of its message, then `writer_id` and `sequence`."""
    fields = [pa.field(field.name, _type(field)) for field in _MESSAGES[stream].DESCRIPTOR.fields]
    return pa.schema([*fields, pa.field("writer_id", pa.string()), pa.field("sequence", pa.int64())])


def record_batch(header: Header, frames: Sequence[Frame], names: Sequence[str] | None = None) -> Any:
    """Return frames of one segment as a `pyarrow.RecordBatch`, some of its columns or all (None), in the order of the schema.

    Raises ValueError when a payload is no record of its stream.
    """
    whole = schema(header.stream)
    wanted = whole if names is None else pa.schema([field for field in whole if field.name in names])
    fields = _MESSAGES[header.stream].DESCRIPTOR.fields_by_name
    column = _read(header.stream, frames)
    columns = []
    for name in wanted.names:
        if name == "writer_id":
            columns.append(pa.array([header.writer_id.hex()] * len(frames), pa.string()))
        elif name == "sequence":
            columns.append(pa.array([frame.sequence for frame in frames], pa.int64()))
        else:
            columns.append(column(fields[name]))
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _read(stream: Stream, frames: Sequence[Frame]) -> Callable[[Any], Any]:
    """Return what makes a column of records: the fast way where packed columns lie in one run of bytes, constants read once."""
    kind, fields = _MESSAGES[stream], _MESSAGES[stream].DESCRIPTOR.fields
    raw = raw_message(kind)
    parted = Parted([frame.payload for frame in frames], _BEHIND[stream], _FEW)
    try:
        messages = [raw.FromString(rest) for rest in parted.rests]
        fronts = [raw.FromString(front) for front in parted.fronts]
    except DecodeError as cause:
        raise ValueError("not a record of its stream") from cause
    packed = [field.name for field in fields if is_packed(field) and field.type == FieldDescriptor.TYPE_ENUM]
    constant = {field.name for front in fronts for field, _ in front.ListFields()}
    if constant.isdisjoint(packed) and all(b"".join(map(attrgetter(name), messages)).isascii() for name in packed):
        place = pa.array(parted.front_of, pa.int32())
        return lambda field: _raw_column(field, fronts).take(place) if field.name in constant else _raw_column(field, messages)
    whole: list[Message] = [_DECODE[stream](frame.payload) for frame in frames]
    return lambda field: _column(field, whole)


def _raw_column(field: Any, messages: Sequence[Message]) -> Any:
    """Return a column of messages that `raw_message` read."""
    if is_packed(field):
        return _packed(field, list(map(attrgetter(field.name), messages)))
    if not is_nested(field):
        return _column(field, messages)
    distinct: dict[tuple[bytes, ...], int] = {}
    place: list[int] = []
    last: Any = None
    for value in map(attrgetter(field.name), messages):
        # Most rows have what the one before had, and to compare is cheaper than to look it up.
        if last is None or value != last:
            at = distinct.setdefault(tuple(value), len(distinct))
            last = value
        place.append(at)
    parts = list(chain.from_iterable(distinct))
    inner = field.message_type.fields
    kind = message_factory.GetMessageClass(field.message_type)
    if len(inner) == 1 and is_packed(inner[0]):
        raw = raw_message(kind)
        elements = _packed(inner[0], [getattr(raw.FromString(part), inner[0].name) for part in parts])
    else:
        elements = _elements(field, [kind.FromString(part) for part in parts])
    lists = pa.ListArray.from_arrays(pa.array(list(accumulate(map(len, distinct), initial=0)), pa.int32()), elements)
    return lists if len(distinct) == len(place) else lists.take(pa.array(place, pa.int32()))


def _packed(field: Any, values: Sequence[bytes]) -> Any:
    """Return a list column of numbers, or of names of an enum, from their bytes."""
    enum = field.type == FieldDescriptor.TYPE_ENUM
    ends = np.cumsum([0, *map(len, values)]) // (1 if enum else 8)
    numbers = np.frombuffer(b"".join(values), "u1" if enum else "<f8")
    elements = _named(field.enum_type, numbers) if enum else pa.array(numbers)
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), elements)


def absent(field: Any, rows: int) -> Any:
    """Return a column that a file of an earlier version has not: what a message says of a field that was never set."""
    kind = field.type
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(pa.array([0] * (rows + 1), pa.int32()), pa.array([], kind.value_type)).cast(kind)
    if pa.types.is_struct(kind):
        return pa.nulls(rows, kind)
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array(["UNSPECIFIED"]))
    return pa.array([_UNSET.get(kind, 0)] * rows, kind)


_UNSET = {pa.string(): "", pa.binary(): b"", pa.bool_(): False}


def _element_type(field: Any) -> Any:
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        return _SCALARS[field.type]
    inner = field.message_type.fields
    if len(inner) == 1:
        return _type(inner[0])
    return pa.struct([pa.field(child.name, _type(child)) for child in inner])


def _type(field: Any) -> Any:
    element = _element_type(field)
    return pa.list_(element) if field.is_repeated else element


def _column(field: Any, messages: Sequence[Message]) -> Any:
    values = list(map(attrgetter(field.name), messages))
    if not field.is_repeated:
        if field.has_presence and field.type != FieldDescriptor.TYPE_MESSAGE:
            present = [message.HasField(field.name) for message in messages]
            values = [value if here else None for value, here in zip(values, present, strict=True)]
        return _elements(field, values)
    distinct, place = _distinct(values) if field.type == FieldDescriptor.TYPE_MESSAGE else (values, None)
    offsets = pa.array(list(accumulate(map(len, distinct), initial=0)), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, _elements(field, list(chain.from_iterable(distinct))))
    return lists if place is None else lists.take(pa.array(place, pa.int32()))


def _distinct(values: list[Any]) -> tuple[list[Any], list[int] | None]:
    """Return the few distinct values and each row's place among them, or all values and None where they are not few.

    What comes from the bundle (inputs, models) hardly differs between rows, and comparing is far cheaper than converting.
    """
    distinct: list[Any] = []
    place: list[int] = []
    for value in values:
        at = place[-1] if place else 0
        if not (distinct and distinct[at] == value):
            at = next((index for index, other in enumerate(distinct) if other == value), len(distinct))
            if at == len(distinct):
                if at == _FEW:
                    return values, None
                distinct.append(value)
        place.append(at)
    return distinct, place


def _elements(field: Any, values: list[Any]) -> Any:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _names(field.enum_type, values)
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        return pa.array(values, _SCALARS[field.type])
    children = field.message_type.fields
    columns = [_column(child, values) for child in children]
    if len(columns) == 1:
        return columns[0]
    return pa.StructArray.from_arrays(columns, fields=[pa.field(child.name, _type(child)) for child in children])


def _names(enum: Any, numbers: list[int]) -> Any:
    return _named(enum, np.array(numbers, dtype=np.int64))


def _named(enum: Any, numbers: NDArray[Any]) -> Any:
    prefix = "".join(f"_{letter}" if letter.isupper() else letter for letter in enum.name).strip("_").upper() + "_"
    names = {value.number: value.name.removeprefix(prefix) for value in enum.values}
    # Numbers from a newer version have no name here; they stay visible as numbers.
    names.update((number, str(number)) for number in set(np.unique(numbers).tolist()) - names.keys())
    place = np.zeros(max(names) + 1, dtype=np.int8)
    place[list(names)] = np.arange(len(names), dtype=np.int8)
    return pa.DictionaryArray.from_arrays(pa.array(place[numbers]), pa.array(list(names.values())))
