"""The contract explains itself: every field's comment says who sets it and what its absence means."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

PROTOS = Path(__file__).parents[2] / "protos"
FIELD, NESTED, ONEOF, MESSAGE = 2, 3, 8, 4
"""Numbers of these parts in descriptor.proto, of which the paths of comments are made."""
WHO = re.compile(r"\b[Ss]et by the (caller|service)\b")
ABSENCE = re.compile(r"\b(always|absent|empty|unset|false)\b|unspecified\b|\b0: ", re.IGNORECASE)


def fields_of(message: DescriptorProto, path: tuple[int, ...], comments: dict[tuple[int, ...], str]) -> Iterator[tuple[str, str]]:
    """Yield name and comment of every field; what is said of a oneof holds for each of its fields."""
    for i, field in enumerate(message.field):
        comment = comments.get((*path, FIELD, i), "")
        if field.HasField("oneof_index") and not field.proto3_optional:
            comment += comments.get((*path, ONEOF, field.oneof_index), "")
        yield f"{message.name}.{field.name}", comment
    for i, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from fields_of(nested, (*path, NESTED, i), comments)


def fields(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """Yield name and comment of every field of a file."""
    comments = {tuple(place.path): " ".join(place.leading_comments.split()) for place in file.source_code_info.location}
    for i, message in enumerate(file.message_type):
        yield from fields_of(message, (MESSAGE, i), comments)


@pytest.fixture(scope="module")
def commented(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The comment of every field of the contract."""
    out = tmp_path_factory.mktemp("protos") / "set"
    sources = [str(path) for path in sorted(PROTOS.glob("liftgate/v1/*.proto"))]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", "--include_source_info", f"--descriptor_set_out={out}"]
    subprocess.run([*protoc, *sources], check=True)
    return dict(pair for file in FileDescriptorSet.FromString(out.read_bytes()).file for pair in fields(file))


@pytest.mark.parametrize("says", [WHO, ABSENCE], ids=["who sets it", "what absence means"])
def test_every_field_says_it(commented: dict[str, str], says: re.Pattern[str]) -> None:
    """No field leaves a caller or a reader of the log to guess it."""
    assert len(commented) > 400
    assert not [name for name, comment in commented.items() if not says.search(comment)]
