"""A row of Parquet back to the message that it was made of: the way back of `record/columnar.py`. Needs no pyarrow itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from liftgate.v1.record_pb2 import DecisionRecord


def decision_of(row: Mapping[str, Any]) -> DecisionRecord:
    """Return the record of a row as `read_log` yields it. Columns that the message has not are left out, missing ones stay unset."""
    record = DecisionRecord()
    _fill(record, row)
    return record


def _fill(message: Message, row: Mapping[str, Any]) -> None:
    for field in message.DESCRIPTOR.fields:
        value = row.get(field.name)
        if value is None:
            continue
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            if field.is_repeated:
                getattr(message, field.name).extend(_plain(field, one) for one in value)
            else:
                setattr(message, field.name, _plain(field, value))
        else:
            # A column says that a single message is absent by holding an empty one.
            absent = isinstance(value, Mapping) and not any(value.values())
            for one in value if field.is_repeated else [] if absent else [value]:
                inner = getattr(message, field.name).add() if field.is_repeated else getattr(message, field.name)
                # A message of one field is a column of that field.
                _fill(inner, one if isinstance(one, Mapping) else {inner.DESCRIPTOR.fields[0].name: one})


def _plain(field: Any, value: Any) -> Any:
    if field.type != FieldDescriptor.TYPE_ENUM or not isinstance(value, str):
        return value
    if value.isdigit():
        return int(value)
    named = field.enum_type.values_by_name
    prefix = "".join(f"_{letter}" if letter.isupper() else letter for letter in field.enum_type.name).strip("_").upper()
    found = named.get(f"{prefix}_{value}")
    # A name that only a newer version knows says no more than the enum's zero.
    return found.number if found is not None else 0
