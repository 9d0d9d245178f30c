"""Hypothesis files: read with every mistake by file, line and mend; changed in place with comments kept, or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from liftgate.bundle.mistake import Mistake
from liftgate.bundle.source import Source, dotted, parse
from liftgate.bundle.wording import explain
from liftgate.measure.hypotheses import Hypothesis


@dataclass(frozen=True, slots=True)
class Filed:
    """A hypothesis and where it stands."""

    hypothesis: Hypothesis
    path: Path


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a folder holds: good hypotheses by id, and every mistake, by file and line."""

    filed: Mapping[str, Filed]
    mistakes: tuple[Mistake, ...]


class CannotKeep(Exception):
    """A change that would not leave a good file; the message says why. Nothing was written."""


def read_backlog(folder: Path) -> Backlog:
    """Read every *.yaml of a folder, one hypothesis each. Raises OSError where a file cannot be read."""
    filed: dict[str, Filed] = {}
    mistakes: list[Mistake] = []
    for path in sorted(folder.glob("*.yaml")):
        hypothesis, wrong = _read(path.name, path.read_bytes())
        mistakes += wrong
        if hypothesis is not None:
            filed[hypothesis.id] = Filed(hypothesis, path)
    return Backlog(filed, tuple(sorted(set(mistakes))))


def _read(file: str, raw: bytes) -> tuple[Hypothesis | None, Sequence[Mistake]]:
    source = parse(file, raw)
    if source.broken:
        return None, source.mistakes
    if not isinstance(source.value, dict):
        return None, [Mistake(file, 1, "", "is no mapping of fields", "begin with `id:`; `liftgate hypotheses new` writes a first file")]
    try:
        hypothesis = Hypothesis.model_validate(source.value)
    except ValidationError as err:
        return None, [*source.mistakes, *(_mistake(source, *found) for found in explain(err, Hypothesis, ()))]
    if hypothesis.id != Path(file).stem:
        place = source.locate(("id",))[1]
        return None, [
            *source.mistakes,
            Mistake(file, place, "id", f"is `{hypothesis.id}` in a file of another name", f"rename the file to {hypothesis.id}.yaml"),
        ]
    return (None if source.mistakes else hypothesis), source.mistakes


def _mistake(source: Source, path: tuple[str | int, ...], problem: str, mend: str) -> Mistake:
    return Mistake(source.file, source.locate(path)[1], dotted(path), problem, mend)


def write_new(folder: Path, fields: Mapping[str, Any]) -> Filed:
    """Write a hypothesis as a file of its own. Raises CannotKeep where it is not good or the file is there already, OSError."""
    path = folder / f"{fields['id']}.yaml"
    if path.exists():
        raise CannotKeep(f"{path} is there already; `liftgate hypotheses score` and `link` change it")
    folder.mkdir(parents=True, exist_ok=True)
    return _keep(path, dict(fields))


def change(filed: Filed, fields: Mapping[str, Any]) -> Filed:
    """Set fields of a hypothesis in its file; comments and order stay. Raises CannotKeep, OSError."""
    document = _yaml().load(filed.path.read_text(encoding="utf-8"))
    for name, value in fields.items():
        document[name] = value
    return _keep(filed.path, document)


def _keep(path: Path, document: Any) -> Filed:
    text = StringIO()
    _yaml().dump(document, text)
    raw = text.getvalue().encode()
    hypothesis, wrong = _read(path.name, raw)
    if hypothesis is None:
        raise CannotKeep("; ".join(f"{one.field}: {one.problem}; {one.mend}" for one in wrong))
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        beside.write_bytes(raw)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return Filed(hypothesis, path)


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.width = 140
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
