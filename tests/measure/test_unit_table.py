"""Layers drawn by account, where the person's own key makes the account's pseudonym: joined by a table, or refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from liftgate.adapters.erasure_journal import ErasureJournal
from liftgate.app.unit_table import Row
from liftgate.app.unit_table import write as write_table
from liftgate.measure.experiment import Asked, experiment_table
from liftgate.measure.refusal import Refused
from liftgate.record.frame import Stream
from liftgate.record.units import TABLE
from liftgate.v1.record_pb2 import DecisionRecord
from tests.measure.log_files import START_MS, decided, happened, write

HOUR_MS, DAY_MS = 3_600_000, 86_400_000

ASKED = Asked(window_ms=DAY_MS, read_at_ms=START_MS + 2 * DAY_MS, layer="house")


def household(log: Path, people: int = 2, accounts: int = 1) -> None:
    """Write a log in which each person names their account by a pseudonym of their own; each buys for 3."""
    made = []
    for i in range(people):
        row = DecisionRecord.FromString(
            decided(i, i, "treatment", START_MS + i, layers={"house": "a"}, unit="account", account=own(i, i % accounts))
        )
        row.units_are_personal = True
        made.append(row.SerializeToString())
    write(log, Stream.DECISION, made)
    bought = [happened(i, i, "purchase", START_MS + HOUR_MS, 3.0, account=own(i, i % accounts)) for i in range(people)]
    write(log, Stream.EVENT, bought, writer=2)


def own(person: int, account: int) -> bytes:
    """Return what stands for an account with one of its people."""
    return b"%08d%08d" % (person, account)


def rows(log: Path) -> list[dict[str, object]]:
    """Return the experiment table."""
    found: list[dict[str, object]] = pq.read_table(experiment_table(log, None, ASKED, log / "table").path).to_pylist()
    return found


def test_people_of_an_account_are_one_unit_where_a_table_says_so(tmp_path: Path) -> None:
    """Without the table the layer is refused, for one account would count as two; with it both people's purchases are the account's."""
    household(tmp_path / "log")
    with pytest.raises(Refused, match="counted several times"):
        rows(tmp_path / "log")
    write_table(tmp_path / "log", [Row("account", own(i, 0), b"u" * 16) for i in range(2)] + [Row("visitor", own(0, 0), b"v" * 16)])
    (row,) = rows(tmp_path / "log")
    assert (row["decisions"], row["purchase_value"]) == (2, 6.0)


def test_a_few_that_nobody_can_tell_count_by_themselves(tmp_path: Path) -> None:
    """Who was erased is in no table: below one in twenty they are units of their own with what they did, above the layer is refused."""
    household(tmp_path / "log", people=40, accounts=20)
    told = [Row("account", own(i, i % 20), b"%016d" % (i % 20)) for i in range(40)]
    write_table(tmp_path / "log", told[:39])
    assert sorted((row["decisions"], row["purchase_value"]) for row in rows(tmp_path / "log")) == [(1, 3.0)] * 2 + [(2, 6.0)] * 19
    write_table(tmp_path / "log", told[:30])
    with pytest.raises(Refused):
        rows(tmp_path / "log")


async def test_an_erasure_takes_the_table_away(tmp_path: Path) -> None:
    """Nothing beside the log ties the erased person's rows to others' any more; a log without a table is erased from as well."""
    journal = ErasureJournal(tmp_path, lambda person: b"h" * 16)
    await journal.add("ada", START_MS)
    table = write_table(tmp_path, [Row("account", b"p" * 16, b"u" * 16)])
    assert table == tmp_path / TABLE
    await journal.add("ada", START_MS)
    assert not table.exists()
