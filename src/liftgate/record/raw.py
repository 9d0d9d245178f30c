"""Records read with their packed columns left as bytes, which numpy reads as they lie: fit for many thousand a second.

The messages here are made from the real ones: packed numbers and enums, and messages inside, are declared as bytes under the same field
number. On the wire that is the same thing, as long as each column stands there once, which is how `codec` writes it.
"""

from __future__ import annotations

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
