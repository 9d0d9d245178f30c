"""YAML text to plain values that remember their lines. Refuses what makes YAML dangerous or ambiguous; no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLStreamError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from liftgate.bundle.mistake import Mistake

MAX_BYTES = 4 * 1024 * 1024
"""Of one file."""
MAX_DEPTH = 32
"""Mappings and lists inside one another."""

Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_MAX_DIGITS = 400


@dataclass(slots=True)
class Source:
    """What one file says: plain dicts, lists and scalars, and the line of every key and item."""

    file: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    """Path to line, 1 and up; for mappings that of the key."""
    mistakes: list[Mistake] = field(default_factory=list)
    broken: bool = False
    """The file could not be read to its end: names in it may be unknown."""
    text: str = ""
    """As written; empty where it could not be decoded."""

    def locate(self, path: Sequence[str | int]) -> tuple[Path, int]:
        """Return the nearest known place: segments that the file does not hold are left out."""
        known: Path = ()
        for segment in path:
            if (*known, segment) in self.lines:
                known = (*known, segment)
        return known, self.lines.get(known, 1)


@dataclass(frozen=True, slots=True)
class Texts:
    """What a bundle was read from, as written."""

    files: Mapping[str, str] = field(default_factory=dict)
    """File name to text."""
    manifests: Mapping[str, str] = field(default_factory=dict)
    """`<name>/<version>/model.yaml` to text, for each model."""


def scalar(text: str) -> Any:
    """Return the value of a plain scalar by YAML 1.2's core schema: `yes` and dates are text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if len(text) > _MAX_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if match := _INF.fullmatch(text):
        return float(match[1] + "inf")
    return float("nan") if text in (".nan", ".NaN", ".NAN") else text


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as people write it: `offers.welcome.caps[0].max`."""
    text = ""
    for segment in path:
        text += f"[{segment}]" if isinstance(segment, int) else f".{segment}" if text else segment
    return text


def parse(file: str, raw: bytes) -> Source:
    """Return what a file says. Mistakes are collected in the result, never raised."""
    source = Source(file)
    if len(raw) > MAX_BYTES:
        return _broken(source, 0, "is larger than 4 MiB", "split it into several files")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = raw.count(b"\n", 0, err.start) + 1
        return _broken(source, line, f"is not UTF-8 (byte {raw[err.start]:#04x})", "save the file as UTF-8")
    source.text = text
    try:
        _build(source, text)
    except MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        problem = " ".join(str(err.problem or err.context or "cannot be read").split())
        _broken(source, mark.line + 1 if mark else 0, f"is not YAML: {problem}", "correct the syntax at or just before this line")
    except (YAMLError, YAMLStreamError, ValueError) as err:
        problem = " ".join(str(err).splitlines()[0].split())
        _broken(source, 0, f"is not YAML: {problem}", "remove what cannot be read")
    return source


def _broken(source: Source, line: int, problem: str, mend: str) -> Source:
    source.mistakes.append(Mistake(source.file, line, "", problem, mend))
    source.broken = True
    return source


@dataclass(slots=True)
class _Open:
    """A mapping or list that has not ended yet."""

    value: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None
    skip: bool = False
    """The next value belongs to a key that was refused."""


def _build(source: Source, text: str) -> None:
    stack: list[_Open] = []
    documents = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents == 2:
                _broken(source, line, "holds a second document", "split it into two files")
                return
        elif isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            _broken(source, line, "uses an anchor or alias (`&`, `*`)", "write the value out; groups share rules between offers")
            return
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            stack.pop()
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent, ScalarEvent)):
            if len(stack) >= MAX_DEPTH and not isinstance(event, ScalarEvent):
                _broken(source, line, f"is nested more than {MAX_DEPTH} levels deep", "make it flatter")
                return
            if not _add(source, stack, event, line):
                return


def _add(source: Source, stack: list[_Open], event: Event, line: int) -> bool:
    """Put a value where it belongs; False: the rest of the file cannot be read."""
    tag = getattr(event, "tag", None)
    if tag is not None and str(tag) != "!":
        _broken(source, line, f"uses a tag (`{tag}`)", "remove it; text that looks like a number goes in quotes")
        return False
    if isinstance(event, ScalarEvent) and not _is_text(event.value):
        _broken(source, line, "holds half a character (a lone surrogate)", "write the whole character")
        return False
    parent = stack[-1] if stack else None
    if parent is not None and isinstance(parent.value, dict) and parent.key is None:
        if not isinstance(event, ScalarEvent):
            _broken(source, line, "has a mapping or list as a key", "keys are plain text")
            return False
        _open_key(source, parent, str(event.value), line)
        return True
    value: Any
    if isinstance(event, ScalarEvent):
        value = scalar(event.value) if event.style is None and tag is None else event.value
    else:
        value = {} if isinstance(event, MappingStartEvent) else []
    path = _place(source, parent, value, line)
    if not isinstance(event, ScalarEvent):
        stack.append(_Open(value, path))
    return True


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _open_key(source: Source, parent: _Open, key: str, line: int) -> None:
    path = (*parent.path, key)
    parent.key, parent.skip = key, key in parent.value
    if parent.skip:
        first = source.lines.get(path, 0)
        source.mistakes.append(Mistake(source.file, line, dotted(path), f"is written twice (first on line {first})", "keep one of the two"))
    else:
        source.lines[path] = line


def _place(source: Source, parent: _Open | None, value: Any, line: int) -> Path:
    if parent is None:
        source.value = value
        return ()
    if isinstance(parent.value, list):
        path = (*parent.path, len(parent.value))
        parent.value.append(value)
        source.lines[path] = line
        return path
    key, parent.key = parent.key or "", None
    path = (*parent.path, key)
    if parent.skip:
        # Lines inside a refused value must not overwrite those of the first.
        return ("", *path)
    parent.value[key] = value
    return path
