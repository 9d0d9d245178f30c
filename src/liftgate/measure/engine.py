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

import duckdb
import ibis
import pyarrow.parquet as pq

from liftgate.measure.refusal import Misused, Refused

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

    def to_parquet(self, rows: Any, path: str, by: str = "") -> None:
        """Write rows as one Parquet file, in order of a column where one is named."""
        ...

    def parts(self, held_bytes: int) -> int:
        """Return in how many parts that is best worked on which takes so much memory at once."""
        ...


Maker = Callable[[bool, str], Engine]
"""Makes an engine; told whether the order of rows matters, and what it may hold in memory, as far as it heeds that."""
BASE_BYTES = 32_000_000
"""What any query takes: buffers of the files that are read and written."""
FILLED = 0.75
"""Of the memory beyond that, what a part is planned to take."""
MOST_THREADS = 4
"""Each holds buffers of its own."""
_CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class DuckDb:
    """DuckDB within this process: rows come in the order in which they were written, unless `ordered` is False.

    A query that does not fit in `memory`, on disk neither, is run again with twice as much, up to half of what the machine has (`most`
    bytes, where it is given); what does not fit then either raises Refused.
    """

    def __init__(self, ordered: bool = True, memory: str = MEMORY, most: int | None = None) -> None:
        # What does not fit in memory goes to a folder of this process, which DuckDB makes when it needs it and removes.
        spill = str(Path(tempfile.gettempdir()) / f"liftgate-measure-{os.getpid()}")
        self._most = most or _half_of_the_machine()
        self._held = min(bytes_of(memory), self._most)
        self._backend = ibis.duckdb.connect(
            temp_directory=spill,
            memory_limit=f"{self._held}B",
            threads=min(MOST_THREADS, _cores()),
            preserve_insertion_order=ordered,
            autoinstall_known_extensions=False,
            autoload_known_extensions=False,
        )
        self._backend.raw_sql("SET enable_progress_bar = false")  # it would be printed among the answer's lines

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
        return self._run(lambda: self._backend.create_table(ibis.util.gen_name("kept"), rows, temp=True))

    def order(self) -> Mapping[str, Any]:
        """Return nothing: rows come in order."""
        return {}

    def to_pyarrow(self, expression: Any) -> Any:
        """Return the rows as a `pyarrow.Table`. Raises Refused."""
        return self._run(lambda: self._backend.to_pyarrow(expression))

    def to_parquet(self, rows: Any, path: str, by: str = "") -> None:
        """Write the rows. Raises Refused."""
        self._run(lambda: self._backend.to_parquet(rows.order_by(by) if by else rows, path))

    def parts(self, held_bytes: int) -> int:
        """Return so many that each is held within the memory."""
        return 1 + int(held_bytes / (FILLED * max(BASE_BYTES, self._held - BASE_BYTES)))

    def _run(self, query: Callable[[], Any]) -> Any:
        while True:
            try:
                return query()
            except duckdb.OutOfMemoryException as err:
                if self._held >= self._most:
                    raise too_large(self._held) from err
                self._held = min(2 * self._held, self._most)
                self._backend.raw_sql(f"SET memory_limit = '{self._held}B'")
            except duckdb.IOException as err:
                if "space left" not in str(err):
                    raise
                raise Refused(
                    "too_little_disk",
                    f"what does not fit in memory did not fit on the disk of {tempfile.gettempdir()} either",
                    "make room there, or name another place for temporary files: TMPDIR=/a/larger/disk",
                ) from err


def too_large(held_bytes: int) -> Refused:
    """Return the refusal of a question that takes more memory than there is."""
    return Refused(
        "too_little_memory",
        f"this takes more memory at once than the {held_bytes / 1e6:,.0f} MB that it may have, half of what the machine has",
        "ask about less at a time (--since and --until, fewer --input, --segment and --stratum), or ask on a machine with more memory",
    )


def one_file(parts: Sequence[str], target: Path) -> None:
    """Write the rows of Parquet files as one, a row group at a time: an engine would hold several, of all columns."""
    with pq.ParquetWriter(target, pq.read_schema(parts[0])) as writer:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for i in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(i))


def bytes_of(memory: str) -> int:
    """Return `192MB` as bytes."""
    number, unit = memory[:-2], memory[-2:]
    return int(float(number) * {"KB": 1e3, "MB": 1e6, "GB": 1e9}[unit])


def _half_of_the_machine() -> int:
    """Return half of the memory that this process may have, bytes: of the machine's, or of its container's."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _CONTAINER_LIMITS:
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            whole = min(whole, int(text))
    return whole // 2


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
