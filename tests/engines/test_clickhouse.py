"""ClickHouse gives the numbers that DuckDB gives, from the same expressions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liftgate.measure import engine
from tests.engines.questions import QUESTIONS, ask, differences
from tests.engines.tables import Tables


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A database of this process's."""
    from chdb.session import Session

    opened = Session(str(tmp_path_factory.mktemp("clickhouse")))
    yield opened
    opened.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_clickhouse_says_what_duckdb_says(
    question: str, tables: Tables, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code, every text and count, and every number to 1e-9 are the same on 100,000 rows."""
    from tests.engines.clickhouse import ClickHouse

    monkeypatch.setattr(engine, "ENGINES", {**engine.ENGINES, "clickhouse": lambda ordered, memory: ClickHouse(session, tmp_path)})
    code, found = ask("duckdb", question, tables)
    assert differences([code, found], list(ask("clickhouse", question, tables))) == []
    assert code in (0, 3)
    assert (code == 3) == ("refused" in question or question == "srm by unit"), found
