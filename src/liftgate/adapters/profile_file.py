"""Files of people, row by row in columns: CSV, JSON lines (both also as .gz) and Parquet. Streaming, with line numbers."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, cast

import orjson

from liftgate.domain.errors import BadInput

CHUNK_ROWS = 2_000
MAX_LINE = 1 << 20
"""Characters or bytes of one line; a file with a longer one is no file of people."""
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet", ".pq": "parquet"}


class Kind(StrEnum):
    """Why a row was not taken: the closed list that rejects are counted by."""

    BROKEN_ROW = "broken_row"
    WRONG_WIDTH = "wrong_width"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_ID = "missing_id"
    BAD_ID = "bad_id"
    DUPLICATE_ID = "duplicate_id"
    NOT_A_NUMBER = "not_a_number"
    NOT_WHOLE = "not_whole"
    NOT_A_BOOL = "not_a_bool"
    NOT_TEXT = "not_text"
    UNDECLARED_TEXT = "undeclared_text"
    NOT_A_TIME = "not_a_time"
    NOT_A_STATUS = "not_a_status"
    NOT_A_BASIS = "not_a_basis"
    BAD_TEXT = "bad_text"


@dataclass(frozen=True, slots=True)
class Reject:
    """One reason why one row was not taken."""

    line: int
    """Of the file, 1 and up; of Parquet, the row."""
    field: str
    """The column; empty: the row as a whole."""
    kind: Kind
    wants: str
    """What would have been right: `a number`."""


@dataclass(slots=True)
class Chunk:
    """Some rows of a file as columns."""

    lines: list[int] = field(default_factory=list)
    """[n] where each row begins."""
    rows: list[int] = field(default_factory=list)
    """[n] each row's number in the file, from 0, rejected rows counted and blank lines not."""
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """[n] by name: text of CSV, values of JSON and Parquet."""
    rejects: list[Reject] = field(default_factory=list)
    done: float = 0.0
    """Share of the file read so far, 0..1."""


class PeopleFile:
    """One file of people, opened anew for every reading. Raises BadInput when it cannot be read, is empty, or is of an unknown kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        name = path.name.lower().removesuffix(".gz")
        kind = _SUFFIXES.get(Path(name).suffix)
        if kind is None:
            raise BadInput(f"{path}: of an unknown kind; name it .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet")
        self._kind = kind
        self.typed = kind != "csv"
        """Values carry their own types; False: all is text."""
        with self._raw() as raw:
            self._size = max(path.stat().st_size, 1)
            magic = raw.read(4)
        if not magic:
            raise BadInput(f"{path}: is empty")
        self._gzipped = magic[:2] == b"\x1f\x8b"
        self.delimiter = ","
        self.columns = self._columns()
        """Names in the header; of JSON lines, in the first row."""
        if len(set(self.columns)) < len(self.columns):
            twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
            raise BadInput(f"{path}: column `{twice[0]}` is there twice")

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows in order. Raises BadInput where the file cannot be read on."""
        if self._kind == "parquet":
            return self._parquet_chunks()
        return self._csv_chunks() if self._kind == "csv" else self._json_chunks()

    def _columns(self) -> tuple[str, ...]:
        if self._kind == "parquet":
            return tuple(_parquet(self.path).schema_arrow.names)
        with self._raw() as raw, _readable(self.path):
            if self._kind == "csv":
                header = next(_lines(self.path, self._text(raw)), "")
                # A spreadsheet's export may use another separator.
                self.delimiter = next((mark for mark in ",;\t|" if mark in header), ",")
                names = next(csv.reader([header], delimiter=self.delimiter, strict=True), [])
                if not any(names):
                    raise BadInput(f"{self.path}:1: wants a header that names the columns")
                return tuple(name.strip() for name in names)
            for line in _lines(self.path, self._bytes(raw)):
                if line.strip():
                    return tuple(_object(line) or ())
        raise BadInput(f"{self.path}: holds no rows")

    @contextmanager
    def _raw(self) -> Iterator[IO[bytes]]:
        try:
            raw = self.path.open("rb")
        except OSError as error:
            raise BadInput(f"{self.path}: cannot be read: {error.strerror}") from None
        with raw:
            yield raw

    def _bytes(self, raw: IO[bytes]) -> IO[bytes]:
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if self._gzipped else raw

    def _text(self, raw: IO[bytes]) -> IO[str]:
        # What is not UTF-8 is found where it matters: in ids. Elsewhere it is no number and no declared text.
        return io.TextIOWrapper(self._bytes(raw), "utf-8-sig", errors="surrogateescape", newline="")

    def _csv_chunks(self) -> Iterator[Chunk]:
        width = len(self.columns)
        with self._raw() as raw, _readable(self.path):
            # Held here: once nobody does, it closes the file below it.
            text = self._text(raw)
            reader = csv.reader(_lines(self.path, text), delimiter=self.delimiter, strict=True)
            next(reader)
            chunk, taken, row = Chunk(), list[list[str]](), -1
            while True:
                line = reader.line_num + 1
                try:
                    fields = next(reader)
                except StopIteration:
                    break
                except csv.Error as error:
                    row += 1
                    chunk.rejects.append(Reject(line, "", Kind.BROKEN_ROW, f"correct quotes ({error})"))
                    continue
                if len(fields) != width:
                    if fields:
                        row += 1
                        chunk.rejects.append(Reject(line, "", Kind.WRONG_WIDTH, f"{width} fields, not {len(fields)}"))
                    continue
                row += 1
                chunk.lines.append(line)
                chunk.rows.append(row)
                taken.append(fields)
                if len(taken) == CHUNK_ROWS:
                    yield self._columned(chunk, taken, raw)
                    chunk, taken = Chunk(), []
            yield self._columned(chunk, taken, raw)

    def _columned(self, chunk: Chunk, taken: list[list[str]], raw: IO[bytes]) -> Chunk:
        columns: Iterable[Any] = zip(*taken, strict=True) if taken else [()] * len(self.columns)
        chunk.columns = {name: list(column) for name, column in zip(self.columns, columns, strict=True)}
        chunk.done = min(raw.tell() / self._size, 1.0)
        return chunk

    def _json_chunks(self) -> Iterator[Chunk]:
        names = set(self.columns)
        with self._raw() as raw, _readable(self.path):
            chunk, taken, row = Chunk(), list[dict[str, Any]](), -1
            for line, text in enumerate(_lines(self.path, self._bytes(raw)), 1):
                if not text.strip():
                    continue
                row += 1
                values = _object(text)
                if values is None:
                    chunk.rejects.append(Reject(line, "", Kind.BROKEN_ROW, "one JSON object"))
                elif unknown := values.keys() - names:
                    chunk.rejects.append(Reject(line, min(unknown), Kind.UNKNOWN_FIELD, "the first row's fields and no others"))
                else:
                    chunk.lines.append(line)
                    chunk.rows.append(row)
                    taken.append(values)
                if len(taken) == CHUNK_ROWS:
                    yield self._gathered(chunk, taken, raw)
                    chunk, taken = Chunk(), []
            yield self._gathered(chunk, taken, raw)

    def _gathered(self, chunk: Chunk, taken: list[dict[str, Any]], raw: IO[bytes]) -> Chunk:
        chunk.columns = {name: [values.get(name) for values in taken] for name in self.columns}
        chunk.done = min(raw.tell() / self._size, 1.0)
        return chunk

    def _parquet_chunks(self) -> Iterator[Chunk]:
        file = _parquet(self.path)
        total, row = max(file.metadata.num_rows, 1), 0
        try:
            for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                rows = list(range(row, row + batch.num_rows))
                columns = {name: column.to_pylist() for name, column in zip(self.columns, batch.columns, strict=True)}
                row += batch.num_rows
                yield Chunk([i + 1 for i in rows], rows, columns, done=row / total)
        except (OSError, ValueError) as error:
            raise BadInput(f"{self.path}: is damaged after row {row}: {_first_line(error)}") from None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what a torn or damaged file raises into BadInput."""
    try:
        yield
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise BadInput(f"{path}: is damaged: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _lines(path: Path, stream: IO[Any]) -> Iterator[Any]:
    """Yield lines of text or bytes, none longer than MAX_LINE."""
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise BadInput(f"{path}:{number}: is longer than {MAX_LINE} characters")
        yield line


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        values = orjson.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise BadInput("Parquet files need pyarrow: pip install 'liftgate[offline]'") from None
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: is no Parquet file: {_first_line(error)}") from None
