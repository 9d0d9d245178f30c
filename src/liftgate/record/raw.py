"""Records read with their packed columns left as bytes, which numpy reads as they lie: fit for many thousand a second.

The messages here are made from the real ones: packed numbers and enums, and messages inside, are declared as bytes under the same field
number. On the wire that is the same thing, as long as each column stands there once, which is how `codec` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_PACKED = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_ENUM)


def is_packed(field: Any) -> bool:
    """Say whether a field's values lie in one run of bytes: repeated doubles, and repeated enums as long as all are below 128."""
    return bool(field.is_repeated and field.type in _PACKED)


def is_nested(field: Any) -> bool:
    """Say whether a field's messages are left as bytes, one run each."""
    return bool(field.is_repeated and field.type == FieldDescriptor.TYPE_MESSAGE)


def raw_message(message: type[Message]) -> Any:
    """Return the class that reads a message's bytes with its columns left as bytes."""
    return _made(message.DESCRIPTOR)


@cache
def _made(real: Any) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=f"liftgate/raw/{real.name}.proto", package="liftgate.raw", syntax="proto3")
    file.dependency.append(real.file.name)
    raw = file.message_type.add(name=real.name)
    whole = descriptor_pb2.DescriptorProto()
    real.CopyToProto(whole)
    for one, field in zip(whole.field, real.fields, strict=True):
        mine = raw.field.add(name=one.name, number=one.number, label=one.label, type=one.type)
        if is_packed(field):
            mine.type, mine.label = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES, descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
        elif is_nested(field):
            mine.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
        elif one.type_name:
            mine.type_name = one.type_name
        if one.proto3_optional:
            mine.proto3_optional = True
            mine.oneof_index = len(raw.oneof_decl)
            raw.oneof_decl.add(name=f"_{one.name}")
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"liftgate.raw.{real.name}"))


class Parted:
    """Records parted into what writers put in front of many alike, and the rest: each front is read once.

    `codec` writes a bundle's and a placement's constants first and the candidates' columns right behind them.
    """

    def __init__(self, payloads: Sequence[bytes], behind: bytes, most: int) -> None:
        """`behind`: the tag of the first field behind the constants; more than `most` fronts are none at all."""
        self.fronts: list[bytes] = []
        """Constants, encoded; empty: the records were not written so."""
        self.front_of: list[int] = []
        """Of each record."""
        self.rests: Sequence[bytes] = payloads
        rests: list[bytes] = []
        last = b""
        at = 0
        for payload in payloads:
            # A front that goes on in this record is another one.
            if not last or not payload.startswith(last) or not payload.startswith(behind, len(last)):
                whole = (i for i, one in enumerate(self.fronts) if payload.startswith(one) and payload.startswith(behind, len(one)))
                found = next(whole, -1)
                if found < 0:
                    end = _place(payload, behind)
                    if end <= 0 or len(self.fronts) == most:
                        self.fronts, self.front_of = [], []
                        return
                    self.fronts.append(payload[:end])
                    found = len(self.fronts) - 1
                at, last = found, self.fronts[found]
            self.front_of.append(at)
            rests.append(payload[len(last) :])
        self.rests = rests


def _place(payload: bytes, behind: bytes) -> int:
    """Return where a field's tag first stands among a message's fields of bytes and varints; -1: not at all."""
    at, end = 0, len(payload)
    while at < end:
        if payload.startswith(behind, at):
            return at
        key, at = _varint(payload, at)
        if key & 7 == 0:
            _, at = _varint(payload, at)
        elif key & 7 == 2:
            size, at = _varint(payload, at)
            at += size
        else:
            return -1
    return -1


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    """Return a number and where the next field begins; past the end: 0 and beyond it."""
    number = shift = 0
    while at < len(payload):
        byte = payload[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
    return 0, len(payload) + 1
