"""Spark gives the numbers that DuckDB gives: the same commands on the same files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from liftgate.measure.engine import using
from liftgate.measure.refusal import Misused, Refused
from liftgate.measure.table import open_table
from tests.engines.questions import QUESTIONS, ask, differences
from tests.engines.tables import Tables


@pytest.mark.parametrize("question", QUESTIONS)
def test_spark_says_what_duckdb_says(question: str, tables: Tables) -> None:
    """The exit code, every text and count, and every number to 1e-9 are the same on 100,000 rows."""
    code, found = ask("duckdb", question, tables)
    assert differences([code, found], list(ask("spark", question, tables))) == []
    assert code in (0, 3)
    assert (code == 3) == ("refused" in question or question == "srm by unit"), found


def statistics(engine: str, path: str, where: str) -> Any:
    """Return everything about a small table that an answer is made of, or why it is refused."""
    try:
        with using(engine):
            table = open_table(path, text=("arm", "text"), where=where)
            table.check(["x", "y", "text"])
            cells = table.statistics({"x": "x", "y": table.number("y"), "text": "text", "flag": table.number("flag")}, by=("arm",))
            values = table.arrays({"x": table.number("x"), "text": table.text("text")})
    except (Misused, Refused) as err:
        return str(err)
    found = {str(key): [cell.n, cell.means.tolist(), cell.products.tolist()] for key, cell in cells.items()}
    return [found, [None if math.isnan(x) else x for x in values["x"]], values["text"].tolist()]


NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, 1e9, math.nan, math.inf]))
TEXTS = st.one_of(st.none(), st.sampled_from(["1", "-2.5", " 3 ", "1e3", "007", "", "nan", "x", "12345678901.123456789012"]))
ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "", "é"]), NUMBERS, st.integers(-(10**12), 10**12) | st.none(), TEXTS, st.booleans() | st.none()),
    min_size=1,
    max_size=12,
)


# Every query is compiled, a second or two each: shrinking would take an hour.
@settings(
    max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS, where=st.sampled_from(["", "y > 3", "x / y < 2 or flag", "not (text = '1')", "arm in ('a', 'b') and x is not null"]))
def test_statistics_of_any_small_table_are_the_same(rows: list[tuple[Any, ...]], where: str, tmp_path: Path) -> None:
    """Nulls, NaN, infinities, texts that are numbers or none, conditions: the same cells, arrays and refusals, row numbers included."""
    arm, x, y, text, flag = (list(column) for column in zip(*rows, strict=True))
    kinds = (pa.string(), pa.float64(), pa.int64(), pa.string(), pa.bool_())
    columns = [pa.array(one, kind) for one, kind in zip((arm, x, y, text, flag), kinds, strict=True)]
    table = pa.table(columns, names=["arm", "x", "y", "text", "flag"])
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
    pq.write_table(table, path)
    assert differences(statistics("duckdb", str(path), where), statistics("spark", str(path), where)) == []


def test_rows_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    """Over files of unlike size with many row groups, arrays are in order, and a bad cell is named by its row."""
    for i, (first, last) in enumerate(((0, 10), (10, 50_010), (50_010, 50_020))):
        at = np.arange(first, last)
        pq.write_table(pa.table({"at": at, "x": np.where(at == 50_015, np.nan, 1.0)}), tmp_path / f"{i} [a].parquet", row_group_size=5_000)
    with using("spark"):
        table = open_table(str(tmp_path / "*.parquet"))
        assert (table.arrays({"at": table.number("at")})["at"] == np.arange(50_020)).all()
        with pytest.raises(Refused, match=r"row 50016 of"):
            table.check(["x"])
        with pytest.raises(Refused, match=r"row 50016 of"):
            open_table(str(tmp_path / "*.parquet"), where="at > 40000").check(["x"])
