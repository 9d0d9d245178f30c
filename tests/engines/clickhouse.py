"""ClickHouse within this process (chdb), as an engine: what Ibis makes of an expression for it, over Parquet files."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql.compilers.clickhouse import ClickHouseCompiler

from liftgate.measure.engine import DuckDb

_names = itertools.count()
_SETTINGS = "max_threads = 1, input_format_parquet_preserve_order = 1, output_format_arrow_string_as_string = 1, join_use_nulls = 1"


class ClickHouse:
    """Reads Parquet, and CSV as the embedded engine reads it. One thread, so that rows come in order."""

    def __init__(self, session: Any, directory: Path) -> None:
        self._session, self._directory = session, directory

    def read_parquet(self, files: str | Sequence[str], *, union_by_name: bool = False) -> Any:
        """Return the rows of Parquet files."""
        named = [files] if isinstance(files, str) else files
        name = f"t{next(_names)}"
        schema, one = ibis.Schema.from_pyarrow(pq.read_schema(named[0])), Path(named[0])
        if len(named) > 1:  # several would come in any order
            one = self._directory / f"{name}.parquet"
            pq.write_table(pq.read_table(list(named)), one)
        self._session.query(f"CREATE VIEW {name} AS SELECT * FROM file('{one.absolute()}', Parquet)")
        return ibis.table(schema, name=name)

    def read_csv(self, files: Sequence[str], text: Sequence[str]) -> Any:
        """Return the rows of CSV files."""
        reader, target = DuckDb(), self._directory / f"{next(_names)}.parquet"
        reader.to_parquet(reader.read_csv(files, text), str(target))
        return self.read_parquet(str(target))

    def held(self, rows: Any) -> Any:
        """Return the rows: a CSV is Parquet by now."""
        return rows

    def order(self) -> Mapping[str, Any]:
        """Return nothing: rows come in order."""
        return {}

    def to_pyarrow(self, expression: Any) -> Any:
        """Return the rows as a `pyarrow.Table`."""
        table = expression.as_table()
        query = ClickHouseCompiler().to_sqlglot(table).sql("clickhouse")
        found = self._session.query(f"{query} SETTINGS {_SETTINGS}", "Arrow")
        return pa.ipc.open_file(pa.py_buffer(bytes(found.bytes()))).read_all().cast(table.schema().to_pyarrow())

    def parts(self, held_bytes: int) -> int:
        """Return one."""
        return 1

    def to_parquet(self, rows: Any, path: str, by: str = "") -> None:
        """Write the rows."""
        pq.write_table(self.to_pyarrow(rows.order_by(by) if by else rows), path)
