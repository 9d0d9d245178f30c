"""The file that says which feature of a Feast online store is which of the bundle's (docs/profiles.md), and what is in force of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from liftgate.adapters.feast_layout import FeastCodec, FeastSource
from liftgate.bundle.mistake import BundleError, Mistake, did_you_mean, one_of
from liftgate.bundle.source import Source, dotted, parse
from liftgate.domain.errors import BadInput
from liftgate.domain.input import InputSchema

_KEYS = ("project", "join_key", "entity_type", "entity_key_serialization_version", "features")
_TYPES = ("string", "int64", "int32")
_KEPT = 4
"""Schemas whose codecs are kept: that of the bundle in force, and those of walks that are under way through a reload."""


class FeastMap:
    """One server's view of a Feast online store. `load` may run in a thread, `codec` belongs to the event loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._codecs: dict[int, FeastCodec] = {}

    def load(self, schema: InputSchema) -> None:
        """Read the file for a schema, so that its `codec` is there. Raises BadInput with every mistake; then nothing has changed."""
        codec = FeastCodec(read_feast(self.path, schema), schema)
        codecs = self._codecs | {id(schema): codec}  # the codec holds the schema, so its id stays its own
        self._codecs = dict(list(codecs.items())[-_KEPT:])

    def codec(self, schema: InputSchema) -> FeastCodec:
        """Return the codec of a schema that was loaded."""
        found = self._codecs.get(id(schema))
        if found is None:
            self.load(schema)
            found = self._codecs[id(schema)]
        return found


def read_feast(path: Path, schema: InputSchema) -> FeastSource:
    """Read the file. Every stored feature of the schema must be in it; what the schema does not have is passed over.

    Raises BundleError with every mistake, BadInput where there is no file.
    """
    try:
        raw = path.read_bytes()
    except OSError as err:
        raise BadInput(f"{path}: {err.strerror}") from None
    source = parse(path.name, raw)
    reader = _Reader(source)
    found = reader.read(schema)
    if source.mistakes:
        raise BundleError(source.mistakes)
    return found


class _Reader:
    """Checks one file and collects every mistake."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, schema: InputSchema) -> FeastSource:
        document = self._source.value if isinstance(self._source.value, dict) else {}
        if not self._source.mistakes and not document:
            self._say((), "holds no mapping", "begin with `project: NAME`")
        for key in document.keys() - set(_KEYS):
            self._say((key,), "is not known here", did_you_mean(key, _KEYS, f"remove it ({one_of(_KEYS)})"))
        kind = document.get("entity_type", "string")
        if kind not in _TYPES:
            self._say(("entity_type",), "is no type that people's ids can have", f"write one of {', '.join(_TYPES)}")
        version = document.get("entity_key_serialization_version", 3)
        if version not in (2, 3) or isinstance(version, bool):
            self._say(("entity_key_serialization_version",), "is neither 3 nor 2", "write it as in feature_store.yaml; 1 cannot be read")
        project, join_key = (self._text((key,), document.get(key), f"{key}: NAME") for key in ("project", "join_key"))
        return FeastSource(project, join_key, self._features(document.get("features"), schema), kind, version)

    def _features(self, given: Any, schema: InputSchema) -> dict[str, tuple[str, str]]:
        if not isinstance(given, dict):
            self._say(("features",), "wants a mapping", "write `FEATURE: VIEW:FEATURE` on a line of its own under `features:`")
            return {}
        found: dict[str, tuple[str, str]] = {}
        for name, text in given.items():
            view, colon, feature = str(text).partition(":")
            if not isinstance(text, str) or not colon or not view or not feature or ":" in feature:
                self._say(("features", name), "wants a feature view and its feature", f"write `{name}: VIEW:FEATURE`")
            found[name] = view, feature
        for column in schema.stored:
            name = column.name.removeprefix("profile.")
            if name not in found:
                near = did_you_mean(name, found, f"write `{name}: VIEW:FEATURE`, or remove it from the bundle")
                self._say(("features", name), "is a feature of the bundle and not in the file", near)
        return found

    def _text(self, path: tuple[str, ...], given: Any, wanted: str) -> str:
        if not isinstance(given, str) or not given:
            self._say(path, "is needed and wants text", f"write `{wanted}`, with quotes where it looks like a number")
            return ""
        return given

    def _say(self, path: tuple[str | int, ...], problem: str, mend: str) -> None:
        self._source.mistakes.append(Mistake(self._source.file, self._source.locate(path)[1], dotted(path), problem, mend))
