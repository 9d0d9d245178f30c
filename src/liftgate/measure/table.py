"""A table, through Ibis, into sufficient statistics per group: on whichever engine is in use (`measure/engine.py`).

Only expressions that every engine answers alike are used: no ASOF join, no first(), no sample, no approximate count; squares are
taken of centred values, and a value that is no finite number stops the reading with its row.

    table = open_table("orders.parquet", text=("user", "arm"), where="country = 'NL'")
    cells = table.statistics({"spend": table.number("spend")}, by=("arm",))   # {("a",): Statistic, ("b",): Statistic}
    columns = table.arrays({"p": table.number("score"), "y": table.number("bought")})   # numpy, where the rows themselves are needed
"""

from __future__ import annotations

import glob
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liftgate.measure.engine import Engine, connect
from liftgate.measure.refusal import Misused, Refused
from liftgate.measure.statistic import Floats, Statistic
from liftgate.measure.where import condition

_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_PARQUET = (".parquet", ".pq")
_ROW = "liftgate_row"
_LARGE = 1e6  # means below this leave a float64 ten digits behind the point
_SHOWN = 40  # characters of a value quoted in a message


@dataclass(frozen=True)
class Table:
    """Rows on an engine. Immutable: what selects rows returns another Table."""

    backend: Engine
    rows: Any
    """The Ibis table."""
    name: str
    """What the user called it."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns."""
        return tuple(self.rows.columns)

    def has(self, *names: str) -> None:
        """Raise Misused where a column is not there."""
        for name in names:
            if name not in self.columns:
                kinds = "; the kinds of a metric are binary, mean and ratio:DENOMINATOR" if name.partition(":")[0] in self.columns else ""
                raise Misused(f"{self.name} has no column {name!r}; it has {', '.join(self.columns)}{kinds}")

    def where(self, words: str) -> Table:
        """Return the rows that meet a condition in SQL. Raises Misused where it is not one."""
        return replace(self, rows=self.rows.filter(condition(self.rows, words)))

    def kept(self, columns: Sequence[str]) -> Table:
        """Return the same rows with these columns alone, read once where reading is slow (CSV): the engine holds them from then on."""
        self.has(*columns)
        names = [name for name in dict.fromkeys((*columns, _ROW)) if name in self.columns]
        rows = self.rows.select(*names) if names else self.rows
        if not self.name.lower().endswith(_CSV):
            return replace(self, rows=rows)
        try:
            return replace(self, rows=self.backend.held(rows))
        except Exception as err:
            raise Misused(f"{self.name} cannot be read as asked: {str(err).splitlines()[0]}") from err

    def number(self, name: str) -> Any:
        """Return a column as float64, null where there is no value. Raises Misused; `check` says where a text is no number."""
        self.has(name)
        column = self.rows[name]
        if column.type().is_boolean():
            return column.cast("int8").cast("float64")
        if column.type().is_numeric():
            return column.cast("float64")
        return column.cast("string").try_cast("float64")

    def text(self, name: str) -> Any:
        """Return a column as text, null where there is no value."""
        self.has(name)
        return self.rows[name].cast("string")

    def check(self, numbers: Iterable[str]) -> None:
        """Raise Refused `not_a_number` with its row where one of these columns holds NaN, an infinity or a text that is no number."""
        names = list(dict.fromkeys(numbers))
        counts = self.one({f"bad{i}": self._bad(name).sum() for i, name in enumerate(names)})
        for i, name in enumerate(names):
            if counts[f"bad{i}"]:
                row, value = self._first_bad(name)
                raise Refused(
                    "not_a_number",
                    f"row {row} of {self.name} has {value!r} in column {name!r}, and so have {counts[f'bad{i}']} rows in all "
                    "(rows are counted from 1, without the header): that is no finite number",
                    "find out what it stands for; leave the field empty where there is no value, or keep such rows out with --where",
                )

    def one(self, aggregates: Mapping[str, Any]) -> dict[str, Any]:
        """Return aggregates over all rows, by name."""
        return {} if not aggregates else self.fetch(self.rows.aggregate(**aggregates))[0]

    def fetch(self, expression: Any) -> list[dict[str, Any]]:
        """Return the rows of an Ibis table expression as dicts: for small results."""
        try:
            found: list[dict[str, Any]] = self.backend.to_pyarrow(expression).to_pylist()
        except Exception as err:
            raise Misused(f"{self.name} cannot be read as asked: {str(err).splitlines()[0]}") from err
        return found

    def arrays(self, columns: Mapping[str, Any], coded: Sequence[str] = ()) -> dict[str, Any]:
        """Return columns as numpy arrays (float64, or objects for texts), row by row: 8 bytes a value in memory. Null becomes NaN.

        Texts in `coded` come as two: each row's place among the different texts (-1 for null), and these, in the order of the rows.
        A text as an object of its own would take some 70 bytes.
        """
        order = {_ROW: self.rows[_ROW]} if _ROW in self.columns else dict(self.backend.order())
        rows = self.rows.select(**columns, **order)
        found = self.backend.to_pyarrow(rows.order_by(*order) if order else rows)
        return {name: _codes(found[name]) if name in coded else found[name].to_numpy() for name in columns}

    def statistics(self, columns: Mapping[str, Any], by: Sequence[str]) -> dict[tuple[str, ...], Statistic]:
        """Return a Statistic per combination of the text columns `by`, in order of their names.

        `columns` holds float64 expressions, or names of columns. Null counts as 0: no event. Two passes: the means of all rows first,
        then sums of products of what is centred at them. A column that is named and was read as text is centred before it becomes a
        float64, so that a large offset costs no digits.
        """
        names = list(columns)
        plain = {f"x{i}": self.number(v) if isinstance(v, str) else v for i, v in enumerate(columns.values())}
        shape = {x: value.fill_null(0.0) for x, value in plain.items()}
        rows = self.rows.select(**shape) if shape else self.rows
        middle = self.fetch(rows.aggregate(**{x: rows[x].mean() for x in shape}))[0] if shape else {}
        # A multiple of 1/1024 is the same number in binary and in decimal.
        centre = np.array([round((middle[x] or 0.0) * 1024) / 1024 for x in shape])
        shape = {
            x: self._centred(v, float(c)) if isinstance(v, str) else value - ibis.literal(float(c), "float64")
            for (x, value), v, c in zip(shape.items(), columns.values(), centre, strict=True)
        }
        kept = {f"g{i}": self.rows[name].cast("string") for i, name in enumerate(by)} | shape
        rows = self.rows.select(**kept) if kept else self.rows
        centred = {x: rows[x] for x in shape}
        pairs = list(itertools.combinations_with_replacement(range(len(names)), 2))
        sums = {f"s{i}": centred[f"x{i}"].sum() for i in range(len(names))}
        sums |= {f"p{i}_{j}": (centred[f"x{i}"] * centred[f"x{j}"]).sum() for i, j in pairs}
        groups = [f"g{i}" for i in range(len(by))]
        found = self.fetch(rows.group_by(groups).aggregate(n=rows.count(), **sums) if groups else rows.aggregate(n=rows.count(), **sums))
        cells = {tuple(row[g] for g in groups): _statistic(tuple(names), centre, row) for row in found}
        return dict(sorted(cells.items(), key=lambda item: tuple(map(str, item[0]))))

    def _centred(self, name: str, centre: float) -> Any:
        column, value = self.rows[name], self.number(name).fill_null(0.0) - ibis.literal(centre, "float64")
        if abs(centre) < _LARGE or not (column.type().is_string() or column.type().is_decimal()):
            return value
        # From its digits: a literal number may pass through a float64 on the way.
        exact = column.try_cast("decimal(38, 12)") - ibis.literal(f"{Decimal(centre):f}").cast("decimal(38, 12)")
        return ibis.coalesce(exact.cast("float64"), value)

    def _bad(self, name: str) -> Any:
        value = self.number(name)
        lost = self.rows[name].notnull() & value.isnull()
        # Not by isnan: where a Parquet file's statistics name finite bounds, an engine may take it that no value is NaN.
        return (lost | (value - value != 0).fill_null(False)).cast("int64")

    def _first_bad(self, name: str) -> tuple[int, str]:
        numbered = replace(self, rows=self.rows if _ROW in self.columns else _numbered(self.backend, self.rows))
        bad = numbered.rows.filter(numbered._bad(name) == 1).order_by(_ROW).limit(1)
        row = numbered.fetch(bad.select(row=bad[_ROW], value=bad[name]))[0]
        return int(row["row"]), str(row["value"])[:_SHOWN]


def _codes(texts: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    made = texts.combine_chunks().dictionary_encode()
    return made.indices.cast(pa.int64()).fill_null(-1).to_numpy(), made.dictionary.to_pylist()


def _statistic(names: tuple[str, ...], centre: Floats, row: Mapping[str, Any]) -> Statistic:
    n, k = int(row["n"]), len(names)
    sums = np.array([row[f"s{i}"] for i in range(k)], dtype=np.float64)
    products = np.zeros((k, k))
    for i in range(k):
        for j in range(i, k):
            products[i, j] = products[j, i] = row[f"p{i}_{j}"] - sums[i] * sums[j] / n
    return Statistic(names, n, centre + sums / n, products)


def open_table(path: str, *, text: Sequence[str] = (), where: str = "") -> Table:
    """Open a CSV (plain or .gz) or Parquet file, or a glob of one kind. Columns in `text` are read as they are written: "007" stays.

    Raises Misused where there is no such file or column, the kind is unknown, or `where` is not a condition.
    """
    named = sorted(glob.glob(path))
    if "://" in path or not named:
        raise Misused(f"there is no file {path!r}; --table takes a file or a pattern in quotes, such as 'logs/*.parquet'")
    backend = connect()
    try:
        if all(name.lower().endswith(_PARQUET) for name in named):
            rows = backend.read_parquet(named)
        elif all(name.lower().endswith(_CSV) for name in named):
            rows = backend.read_csv(named, text)
        else:
            raise Misused(f"{path!r}: tables are .csv, .csv.gz, .tsv, .tsv.gz or .parquet, and of one kind at a time")
    except Misused:
        raise
    except Exception as err:
        raise Misused(f"{path!r} cannot be read as a table: {str(err).splitlines()[0]}") from err
    table = Table(backend, rows, path)
    table.has(*text)
    if where:
        numbered = replace(table, rows=_numbered(backend, rows))
        table = numbered.where(where)
    return table


def _numbered(backend: Engine, rows: Any) -> Any:
    """Return the rows with their number in the file, from 1."""
    order = backend.order()
    if not order:
        return rows.mutate(**{_ROW: ibis.row_number() + 1})
    rows = rows.mutate(**order)
    return rows.mutate(**{_ROW: ibis.row_number().over(ibis.window(order_by=[*order])) + 1}).drop(*order)
