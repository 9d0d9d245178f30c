"""Consent columns of a file of people become consent documents: statuses, and the evidence for them, each value checked with its line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from liftgate.adapters.profile_file import Chunk, Kind
from liftgate.adapters.profile_mapping import ConsentColumn, PeopleMapping
from liftgate.bundle.duration import timestamp_ms
from liftgate.domain.consent import STATUSES, document
from liftgate.domain.consent_record import TIMES, ConsentRecord

Wrong = Callable[[int, str, Kind, str], None]
"""Told the row, the column, the kind and what is wanted."""
_KINDS = {"status": Kind.NOT_A_STATUS, "basis": Kind.NOT_A_BASIS} | dict.fromkeys(TIMES, Kind.NOT_A_TIME)
_WANTS_TIME = "seconds since the epoch, or 2026-05-01T00:00:00Z"
_KEPT = 10_000
"""Different records remembered: in most files few are different."""


class ConsentReader:
    """Reads the consent of rows by one mapping."""

    def __init__(self, mapping: PeopleMapping, missing: set[str]) -> None:
        """`missing`: texts that mean that there is no value."""
        self._mapping = mapping
        self._missing = missing
        self._documents: dict[tuple[str, ...], bytes] = {}
        self._records: dict[tuple[Any, ...], _Read] = {}
        self._plain = not any(source.columns for source in mapping.consent)

    def documents(self, chunk: Chunk, wrong: Wrong) -> Sequence[bytes | None]:
        """Return each row's document, None where the file has no consent; rows with a mistake are told to `wrong`."""
        sources, n = self._mapping.consent, len(chunk.lines)
        if not sources:
            return [None] * n
        statuses = [[source.status] * n if not source.column else self._statuses(chunk, source, wrong) for source in sources]
        rows = list(zip(*statuses, strict=True))
        if self._plain:
            return [self._document(row) for row in rows]
        details = [self._details(chunk, source, statuses[s], wrong) for s, source in enumerate(sources)]
        version = self._mapping.policy_version
        return [
            document({source.purpose: record for source, record in zip(sources, row, strict=True) if record}, version)
            for row in zip(*details, strict=True)
        ]

    def _statuses(self, chunk: Chunk, source: ConsentColumn, wrong: Wrong) -> list[str]:
        result = []
        for i, value in enumerate(chunk.columns[source.column]):
            text = plain(value)
            if text in self._missing:
                text = ""
            elif source.granted is None:
                if text not in STATUSES:
                    wrong(i, source.column, Kind.NOT_A_STATUS, f"one of {', '.join(sorted(STATUSES))}")
            elif text in source.granted:
                text = "granted"
            elif source.denied is None or text in source.denied:
                text = "denied"
            else:
                wrong(i, source.column, Kind.NOT_A_STATUS, "a text that the mapping calls granted or denied")
            result.append(text)
        return result

    def _document(self, statuses: tuple[str, ...]) -> bytes | None:
        """Return the document of these statuses (empty: no record). Few different ones, so they are kept."""
        known = self._documents.get(statuses)
        if known is None and set(statuses) <= {*STATUSES, ""}:
            records = {
                source.purpose: self._record(source, status, {}).stored()
                for source, status in zip(self._mapping.consent, statuses, strict=True)
                if status
            }
            known = self._documents[statuses] = document(records, self._mapping.policy_version)
        return known

    def _details(self, chunk: Chunk, source: ConsentColumn, statuses: Sequence[str], wrong: Wrong) -> list[dict[str, Any] | None]:
        """Return one purpose's records with their own times and texts; None: no record, or one with a mistake."""
        names = list(source.columns)
        columns = [chunk.columns[source.columns[name]] for name in names]
        result: list[dict[str, Any] | None] = []
        for i, status in enumerate(statuses):
            if status not in STATUSES:
                result.append(None)
                continue
            key = (source.purpose, status, *(column[i] for column in columns))
            try:
                read = self._records.get(key)
            except TypeError:  # JSON's lists and objects
                read = self._read(source, status, names, key[2:])
            if read is None:
                if len(self._records) >= _KEPT:
                    self._records.clear()
                read = self._records[key] = self._read(source, status, names, key[2:])
            record, mistakes = read
            for name, kind, wants in mistakes:
                wrong(i, source.columns.get(name) or source.column, kind, wants)
            result.append(record)
        return result

    def _read(self, source: ConsentColumn, status: str, names: Sequence[str], values: Sequence[Any]) -> _Read:
        given: dict[str, Any] = {}
        mistakes: list[tuple[str, Kind, str]] = []
        for name, value in zip(names, values, strict=True):
            text = plain(value)
            if text in self._missing:
                continue
            if name not in TIMES:
                given[name] = text
                continue
            try:
                given[name] = _moment_ms(value)
            except (ValueError, TypeError, OverflowError):
                mistakes.append((name, Kind.NOT_A_TIME, _WANTS_TIME))
        record = self._record(source, status, given)
        mistakes += [(name, _KINDS.get(name, Kind.BAD_TEXT), what.removeprefix("wants ")) for name, what in record.mistakes()]
        return (None, mistakes) if mistakes else (record.stored(), [])

    def _record(self, source: ConsentColumn, status: str, given: dict[str, Any]) -> ConsentRecord:
        mapping = self._mapping
        when = {"given_at_ms": mapping.given_at_ms, "expires_at_ms": mapping.expires_at_ms}
        return ConsentRecord(purpose=source.purpose, status=status, **{**when, **mapping.evidence, **given})


_Read = tuple[dict[str, Any] | None, list[tuple[str, Kind, str]]]
"""A record as stored, or what is wrong with it: field, kind, wanted."""


def plain(value: Any) -> str:
    """Return a value as text, as mappings write it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _moment_ms(value: Any) -> int:
    """Return milliseconds since the epoch of a time in seconds or ISO 8601. Raises ValueError, TypeError, OverflowError."""
    if isinstance(value, bool):
        raise TypeError("true and false are no times")
    if isinstance(value, datetime):
        return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    if isinstance(value, str) and "T" in value:
        return timestamp_ms(value)
    return round(float(value) * 1000)
