"""Spark in local mode: one session a process, started with the first table, loopback alone, gone with the process."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import pyspark
from pyspark.sql import SparkSession

from liftgate.measure.engine import DuckDb
from liftgate.measure.refusal import Misused

MEMORY = "2g"
"""Heap of the virtual machine; what does not fit goes to a folder that is removed at the end."""
_GLOB = str.maketrans({c: f"\\{c}" for c in "\\*?[]{},"})
_LOGGING = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %p %c{1}: %m%n
"""


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def input_file_name() -> str:  # type: ignore[empty-body]
    """Spark's own: the file that a row was read from."""


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def monotonically_increasing_id() -> int:  # type: ignore[empty-body]
    """Spark's own: grows from row to row of a file."""


class Spark:
    """Spark within a virtual machine of this process's. CSV is read as the embedded engine reads it, so that types are the same."""

    def __init__(self, ordered: bool = True, memory: str = MEMORY) -> None:
        self._session, self._folder = _started()
        self._backend = ibis.pyspark.connect(self._session)

    def read_parquet(self, files: str | Sequence[str], *, union_by_name: bool = False) -> Any:
        """Return the rows of Parquet files."""
        named = [files] if isinstance(files, str) else files
        # Spark takes any path for a pattern.
        paths = [str(Path(one).absolute()).translate(_GLOB) for one in named]
        name = ibis.util.gen_name("parquet")
        self._session.read.option("mergeSchema", str(union_by_name).lower()).parquet(*paths).createOrReplaceTempView(name)
        return self._backend.table(name)

    def read_csv(self, files: Sequence[str], text: Sequence[str]) -> Any:
        """Return the rows of CSV files, which are written as Parquet for it first."""
        reader = DuckDb()
        rows = reader.read_csv(files, text)
        times = {name: rows[name].cast("string") for name, kind in rows.schema().items() if kind.is_time()}
        target = self._folder / f"{ibis.util.gen_name('csv')}.parquet"
        reader.to_parquet(rows.mutate(**times) if times else rows, str(target))
        return self.read_parquet(str(target))

    def held(self, rows: Any) -> Any:
        """Return the rows: a CSV is Parquet by now."""
        return rows

    def order(self) -> Mapping[str, Any]:
        """Return the file and the place in it."""
        return {"liftgate_file": input_file_name(), "liftgate_place": monotonically_increasing_id()}

    def to_pyarrow(self, expression: Any) -> Any:
        """Return the rows as a `pyarrow.Table`, each column of the type that the expression has."""
        table = expression.as_table()
        return self._frame(table).toArrow().cast(table.schema().to_pyarrow())

    def to_parquet(self, rows: Any, path: str, by: str = "") -> None:
        """Write the rows."""
        # Spark writes a folder of files; a reader of the table wants one.
        aside = Path(f"{path}.parts")
        try:
            whole = self._frame(rows).repartition(1)
            whole = whole.sortWithinPartitions(by) if by else whole
            whole.write.option("compression", "zstd").parquet(str(aside.absolute()))
            (part,) = aside.glob("part-*.parquet")
            part.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def parts(self, held_bytes: int) -> int:
        """Return one: it cuts rows into parts by itself."""
        return 1

    def _frame(self, rows: Any) -> Any:
        return self._session.sql(self._backend.compile(rows))


@cache
def _started() -> tuple[Any, Path]:
    """Return the session and a folder that goes with the process. Raises Misused where Spark does not start."""
    if not shutil.which("java") and not os.environ.get("JAVA_HOME"):
        raise Misused("--engine spark needs Java 17 or newer, and there is no `java`: install it, or set JAVA_HOME")
    folder = Path(tempfile.mkdtemp(prefix="liftgate-spark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    quiet = folder / "log4j2.properties"
    quiet.write_text(_LOGGING)
    # It prints every mistake in a query in full, before the exception that says it.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["SPARK_LOCAL_DIRS"] = str(folder)
    # Another Spark of the machine's is another version.
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    options = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": MEMORY,
        "spark.driver.maxResultSize": "0",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={quiet.as_uri()} -Djava.io.tmpdir={folder}",
        "spark.local.dir": str(folder),
        "spark.log.level": "ERROR",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.caseSensitive": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.shuffle.partitions": str(2 * cores),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master(f"local[{cores}]").appName("liftgate")
    for name, value in options.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except Exception as err:
        raise Misused(f"Spark does not start: {str(err).splitlines()[0]}. It needs Java 17 or newer") from err
    atexit.register(session.stop)
    return session, folder
