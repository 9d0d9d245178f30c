"""What holds the rows and runs the expressions: DuckDB embedded in this process, or Spark. Which one is said once, outside.

    with using("spark"):
        table = open_table("log/*.parquet")      # and all that is opened in here

An engine differs from another in how it reads and writes files and in what it knows about the order of rows; the Ibis expressions
between are the same.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

import ibis

from liftgate.measure.refusal import Misused

MEMORY = "512MB"
"""What the embedded engine may hold at once; what does not fit goes to disk. Reading itself takes some hundred MB beside it."""


class Engine(Protocol):
    """Reads tables, runs Ibis expressions over them."""

    def read_parquet(self, files: str | Sequence[str], *, union_by_name: bool = False) -> Any:
        """Return the rows of Parquet files, in their order. `union_by_name`: a column that a file has not is null there."""
        ...

    def read_csv(self, files: Sequence[str], text: Sequence[str]) -> Any:
        """Return the rows of CSV files; columns in `text` as they are written."""
        ...

    def held(self, rows: Any) -> Any:
        """Return the rows of a CSV such that they are parsed no second time."""
        ...

    def order(self) -> Mapping[str, Any]:
        """Return expressions that order rows as they are in their files, by a name for each; none where rows come in that order."""
        ...

    def to_pyarrow(self, expression: Any) -> Any:
        """Return a table expression's rows as a `pyarrow.Table`."""
        ...

    def to_parquet(self, rows: Any, path: str) -> None:
        """Write rows as one Parquet file."""
        ...

    def parts(self, rows: int) -> int:
        """Return in how many parts so many rows are best grouped by something that most of them have of their own."""
        ...


Maker = Callable[[bool, str], Engine]
"""Makes an engine; told whether the order of rows matters, and what it may hold in memory, as far as it heeds that."""
PART_ROWS = 2_000_000
"""Rows of a part: what they are grouped into takes less than 200 MB, or goes to disk."""
MOST_PARTS = 32
"""Each part reads all rows again; beyond this many, what does not fit goes to disk."""
MOST_THREADS = 4
"""Each holds buffers of its own."""


class DuckDb:
    """DuckDB within this process: rows come in the order in which they were written, unless `ordered` is False."""

    def __init__(self, ordered: bool = True, memory: str = MEMORY) -> None:
        # What does not fit in memory goes to a folder of this process, which DuckDB makes when it needs it and removes.
        spill = str(Path(tempfile.gettempdir()) / f"liftgate-measure-{os.getpid()}")
        self._backend = ibis.duckdb.connect(
            temp_directory=spill,
            memory_limit=memory,
            threads=min(MOST_THREADS, _cores()),
            preserve_insertion_order=ordered,
            autoinstall_known_extensions=False,
            autoload_known_extensions=False,
        )

    def read_parquet(self, files: str | Sequence[str], *, union_by_name: bool = False) -> Any:
        """Return the rows of Parquet files."""
        return self._backend.read_parquet(files, union_by_name=union_by_name)

    def read_csv(self, files: Sequence[str], text: Sequence[str]) -> Any:
        """Return the rows of CSV files."""
        # The whole file is looked at before a type is chosen, so that a late text makes a text column, which `check` reports by row.
        names = self._backend.read_csv(files, header=True).columns
        types = {name: "string" for name in text if name in names}
        return self._backend.read_csv(files, header=True, sample_size=-1, **({"types": types} if types else {}))

    def held(self, rows: Any) -> Any:
        """Return the rows as a table of the engine's own."""
        return self._backend.create_table(ibis.util.gen_name("kept"), rows, temp=True)

    def order(self) -> Mapping[str, Any]:
        """Return nothing: rows come in order."""
        return {}

    def to_pyarrow(self, expression: Any) -> Any:
        """Return the rows as a `pyarrow.Table`."""
        return self._backend.to_pyarrow(expression)

    def to_parquet(self, rows: Any, path: str) -> None:
        """Write the rows."""
        self._backend.to_parquet(rows, path)

    def parts(self, rows: int) -> int:
        """Return one for each PART_ROWS."""
        return min(MOST_PARTS, 1 + max(0, rows - 1) // PART_ROWS)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _spark(ordered: bool, memory: str) -> Engine:
    try:
        from liftgate.measure.engine_spark import Spark
    except ImportError as err:
        raise Misused(
            f"--engine spark needs more than the embedded one: pip install 'liftgate[measure,spark]' and Java 17 ({err})"
        ) from err
    return Spark(ordered, memory)


ENGINES: Mapping[str, Maker] = {"duckdb": DuckDb, "spark": _spark}
"""By the names that people give."""
_chosen: ContextVar[Maker] = ContextVar("engine", default=DuckDb)


@contextmanager
def using(engine: str | Maker) -> Iterator[None]:
    """Open everything within this block on an engine. Raises Misused where there is none of this name."""
    if isinstance(engine, str) and engine not in ENGINES:
        raise Misused(f"there is no engine {engine!r}; there are {', '.join(ENGINES)}")
    token = _chosen.set(ENGINES[engine] if isinstance(engine, str) else engine)
    try:
        yield
    finally:
        _chosen.reset(token)


def connect(*, ordered: bool = True, memory: str = MEMORY) -> Engine:
    """Return a new engine of the kind that is in use. `ordered`: rows come in the order in which they were written."""
    return _chosen.get()(ordered, memory)
