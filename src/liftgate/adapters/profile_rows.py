"""Rows of a file become people to store: checked, normalised and typed by the bundle's schema, a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from math import isnan, nan
from typing import Any

import numpy as np

from liftgate.adapters.profile_consent import ConsentReader, plain
from liftgate.adapters.profile_file import Chunk, Kind, Reject
from liftgate.adapters.profile_mapping import ROW, FeatureColumn, PeopleMapping
from liftgate.adapters.redis_profile_writer import StoredPerson
from liftgate.bundle.duration import timestamp_ms
from liftgate.domain.input import Floats, Input, InputSchema, InputType

MAX_ID_BYTES = 256
_LATEST_S = 2**32 - 1
_BOOLS = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0}


class _Wrong(Exception):
    """A value that cannot be taken: its kind and what is wanted."""

    def __init__(self, kind: Kind, wants: str) -> None:
        super().__init__(wants)
        self.kind = kind
        self.wants = wants


@dataclass(slots=True)
class Converted:
    """People of one chunk, rejected rows left out."""

    people: list[StoredPerson] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """Where each of them stands in the file."""
    rejects: list[Reject] = field(default_factory=list)


class RowConverter:
    """Converts chunks by one mapping. `at_s`: when features are true where the file does not say, seconds since the epoch, 0 not known."""

    def __init__(self, schema: InputSchema, mapping: PeopleMapping, typed: bool, at_s: int = 0) -> None:
        self._schema = schema
        self._mapping = mapping
        self._typed = typed
        self._at_s = at_s
        self._missing = {"", *mapping.missing}
        self._consent = ConsentReader(mapping, self._missing)

    def convert(self, chunk: Chunk) -> Converted:
        """Return the chunk's people, and a reject for everything that is wrong with the others."""
        n = len(chunk.lines)
        rejects: list[Reject] = []
        bad = np.zeros(n, dtype=np.bool_)

        def wrong(i: int, name: str, kind: Kind, wants: str) -> None:
            bad[i] = True
            rejects.append(Reject(chunk.lines[i], name, kind, wants))

        ids = self._ids(chunk, wrong)
        matrix = np.full((n, self._schema.profile_count), nan)
        for feature in self._mapping.features:
            matrix[:, feature.feature] = self._feature(chunk, feature, wrong)
        at_s = self._times(chunk, wrong)
        consent = self._consent.documents(chunk, wrong)
        values: list[Any] = matrix.tolist() if self._mapping.features else [None] * n
        good = np.flatnonzero(~bad).tolist()
        people = [StoredPerson(ids[i], values[i], at_s if isinstance(at_s, int) else at_s[i], consent[i]) for i in good]
        return Converted(people, [chunk.lines[i] for i in good], sorted([*chunk.rejects, *rejects], key=lambda reject: reject.line))

    def _ids(self, chunk: Chunk, wrong: Callable[[int, str, Kind, str], None]) -> list[str]:
        name = self._mapping.id
        if name.startswith(ROW):
            pattern = name.removeprefix(ROW)
            return [pattern.replace("{row}", str(row)) for row in chunk.rows]
        ids: list[str] = []
        for i, value in enumerate(chunk.columns[name]):
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if value is None or value == "":
                wrong(i, name, Kind.MISSING_ID, "the person's id")
                value = ""
            elif not isinstance(value, str):
                wrong(i, name, Kind.BAD_ID, "text or a whole number")
                value = ""
            elif not value.isascii() or len(value) > MAX_ID_BYTES:
                try:
                    fits = len(value.encode()) <= MAX_ID_BYTES
                except UnicodeEncodeError:
                    wrong(i, name, Kind.BAD_ID, "UTF-8")
                else:
                    if not fits:
                        wrong(i, name, Kind.BAD_ID, f"at most {MAX_ID_BYTES} bytes")
            ids.append(value)
        return ids

    def _feature(self, chunk: Chunk, feature: FeatureColumn, wrong: Callable[[int, str, Kind, str], None]) -> Floats | list[float] | float:
        column = self._schema.inputs[feature.feature]
        if not feature.column:
            return column.encode(feature.constant)
        raw: Sequence[Any] = chunk.columns[feature.column]
        if feature.values:
            meant = feature.values
            raw = [meant.get(plain(value), value) for value in raw]
        if self._missing != {""}:
            raw = [None if isinstance(value, str) and value in self._missing else value for value in raw]
        if column.type in (InputType.INT, InputType.FLOAT) and not self._typed:
            numbers = _numbers(raw, column.type is InputType.INT)
            if numbers is not None:
                return numbers
        return self._cells(raw, column, feature, wrong)

    def _cells(
        self, raw: Sequence[Any], column: Input, feature: FeatureColumn, wrong: Callable[[int, str, Kind, str], None]
    ) -> Floats | list[float]:
        """Convert value by value. Text repeats itself, so in CSV each different one is converted once."""
        convert = _CONVERT[column.type]
        typed = self._typed and not feature.values
        known: dict[Any, float | _Wrong] = {}

        def one(value: Any) -> float | _Wrong:
            if value is None or value == "":
                return nan
            try:
                number = convert(value, column, typed)
            except _Wrong as error:
                return error
            if number < 0 and column.type is InputType.STRING and not feature.undeclared:
                return _Wrong(Kind.UNDECLARED_TEXT, f"one of {', '.join(column.values)}")
            return number

        if not self._typed:
            known = {value: one(value) for value in dict.fromkeys(raw)}
        result = []
        for i, value in enumerate(raw):
            number = one(value) if self._typed else known[value]
            if isinstance(number, _Wrong):
                wrong(i, feature.column, number.kind, number.wants)
                number = nan
            result.append(number)
        return result

    def _times(self, chunk: Chunk, wrong: Callable[[int, str, Kind, str], None]) -> int | list[Any]:
        def read(name: str) -> list[int]:
            return [_time(value, i, name, wrong, self._at_s) for i, value in enumerate(chunk.columns[name])]

        mapping = self._mapping
        every: int | list[int] = read(mapping.at) if mapping.at else self._at_s
        own = [feature for feature in mapping.features if feature.at]
        if not own:
            return every
        times = np.zeros((len(chunk.lines), self._schema.profile_count), dtype=np.int64)
        times[:] = np.reshape(every, (-1, 1))
        for feature in own:
            times[:, feature.feature] = read(feature.at)
        rows: list[Any] = times.tolist()
        return rows


def _numbers(texts: Sequence[str | None], whole: bool) -> Floats | None:
    """Return a column of numbers written as text; None when any of them needs a closer look."""
    try:
        numbers = np.array([float(text) if text else nan for text in texts])
    except ValueError:
        return None
    given = [text for text in texts if text]
    # Python reads 1_0 as ten, and nan and inf as numbers.
    if "_" in "".join(given) or np.isinf(numbers).any() or int(np.isnan(numbers).sum()) != len(texts) - len(given):
        return None
    if whole and ((np.trunc(numbers) != numbers) & ~np.isnan(numbers) | (np.abs(numbers) > 2**53)).any():
        return None
    return numbers


def _number(value: Any, column: Input, typed: bool) -> float:
    if isinstance(value, str) and not typed and "_" not in value:
        try:
            value = float(value)
        except ValueError:
            raise _Wrong(Kind.NOT_A_NUMBER, "a number") from None
    elif isinstance(value, (str, bool)) or not hasattr(value, "__float__"):
        raise _Wrong(Kind.NOT_A_NUMBER, "a number")
    number = float(value)
    if isnan(number) and typed:
        return nan
    try:
        return column.encode(number)
    except ValueError as error:
        kind = Kind.NOT_A_NUMBER if "finite" in str(error) else Kind.NOT_WHOLE
        raise _Wrong(kind, str(error).removeprefix(f"{column.name} wants ")) from None


def _bool(value: Any, column: Input, typed: bool) -> float:
    # JSON's "true" is a text, not true.
    known = None if typed and isinstance(value, str) else _BOOLS.get(plain(value).lower())
    if known is None:
        raise _Wrong(Kind.NOT_A_BOOL, "true or false, 1 or 0")
    return known


def _string(value: Any, column: Input, typed: bool) -> float:
    if not isinstance(value, str):
        raise _Wrong(Kind.NOT_TEXT, "text")
    return column.encode(value)


def _timestamp(value: Any, column: Input, typed: bool) -> float:
    if isinstance(value, datetime):
        # Parquet without a zone means UTC.
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000 // 1
    elif isinstance(value, date):
        raise _Wrong(Kind.NOT_A_TIME, "a time, not a date")
    elif isinstance(value, str):
        try:
            value = timestamp_ms(value) if "T" in value else float(value)
        except ValueError:
            raise _Wrong(Kind.NOT_A_TIME, "milliseconds since the epoch, or 2026-05-01T00:00:00Z") from None
    return _number(value, column, True)


_CONVERT: dict[InputType, Callable[[Any, Input, bool], float]] = {
    InputType.INT: _number,
    InputType.FLOAT: _number,
    InputType.BOOL: _bool,
    InputType.STRING: _string,
    InputType.TIMESTAMP: _timestamp,
}


def _time(value: Any, i: int, name: str, wrong: Callable[[int, str, Kind, str], None], otherwise: int) -> int:
    """Return seconds since the epoch of a time in seconds or ISO 8601; `otherwise` where there is none."""
    if value is None or value == "":
        return otherwise
    try:
        if isinstance(value, datetime):
            at = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        elif isinstance(value, str) and "T" in value:
            at = timestamp_ms(value) / 1000
        else:
            at = float(value)
        if 0 < at <= _LATEST_S:
            return int(at)
    except (ValueError, TypeError):
        pass
    wrong(i, name, Kind.NOT_A_TIME, "seconds since the epoch, or 2026-05-01T00:00:00Z")
    return 0
