"""Says loudly which engine was not there to be tested."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.engines.tables import Tables, write_tables

MISSING = {
    "Spark": [name for name, there in (("java", shutil.which("java")), ("pyspark", find_spec("pyspark"))) if not there],
    "ClickHouse": [name for name in ("chdb",) if not find_spec(name)],
}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name what was left out, and how to have it."""
    for engine, names in MISSING.items():
        if names:
            terminalreporter.write_line(f"!! {' and '.join(names)} not there: the tests of {engine} were SKIPPED (make spark)", red=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of an engine that is not there."""
    for item in items:
        engine = {"test_spark": "Spark", "test_spark_log": "Spark", "test_clickhouse": "ClickHouse"}.get(item.path.stem)
        if engine and item.path.parent == Path(__file__).parent and MISSING[engine]:
            item.add_marker(pytest.mark.skip(reason=f"{' and '.join(MISSING[engine])} not there: make spark"))


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A seeded table of 100,000 rows, as files of several kinds."""
    return write_tables(tmp_path_factory.mktemp("tables"), 100_000, seed=6)
