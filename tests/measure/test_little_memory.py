"""Little memory: a log is cut into parts that fit, a query takes more where there is more, and else it is refused in plain words."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from liftgate.app.cli.measure import app
from liftgate.measure import engine
from liftgate.measure.engine import DuckDb, using
from liftgate.measure.experiment import Asked, experiment_table
from liftgate.measure.refusal import Refused
from liftgate.record.columnar import absent, schema
from liftgate.record.frame import Stream
from tests.measure.log_files import HOUR_MS, START_MS

DAY_MS = 24 * HOUR_MS
PEOPLE = 40_000
KINDS = tuple(f"KIND{i}" for i in range(12))
LITTLE = "48MB"
ASKED = Asked(window_ms=7 * DAY_MS, before_ms=7 * DAY_MS, read_at_ms=START_MS + 30 * DAY_MS)


def little(memory: str, most: int) -> Callable[[bool, str], DuckDb]:
    """Return what makes engines with so much memory, whatever they are asked to hold."""
    return lambda ordered, _: DuckDb(ordered, memory, most)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a log of one decision and two events a person, of many kinds."""
    directory = tmp_path_factory.mktemp("little") / "log"
    directory.mkdir()
    who = np.arange(PEOPLE)
    keys = pa.array([b"%016d" % i for i in who])
    _write(
        directory,
        Stream.DECISION,
        decision_id=pa.array([f"{i:032x}" for i in who]),
        decided_at_ms=pa.array(START_MS + who),
        person_pseudonym=keys,
        pseudonym_key_id=pa.array(["k1"] * PEOPLE),
        bundle_digest=pa.array(["d" * 64] * PEOPLE),
        placement_id=pa.array(["home"] * PEOPLE),
        arm=pa.array(np.where(who % 5 == 0, "HOLDOUT", "TREATMENT")),
    )
    twice, at = pa.concat_arrays([keys, keys]), np.concatenate([who - HOUR_MS, who + HOUR_MS])
    _write(
        directory,
        Stream.EVENT,
        event_id=pa.array([f"e{i}" for i in range(2 * PEOPLE)]),
        kind=pa.array(np.resize(np.array(KINDS), 2 * PEOPLE)),
        person_pseudonym=twice,
        pseudonym_key_id=pa.array(["k1"] * 2 * PEOPLE),
        occurred_at_ms=pa.array(START_MS + at),
        received_at_ms=pa.array(START_MS + at),
        value=pa.array(np.arange(2.0 * PEOPLE)),
    )
    return directory


def _write(directory: Path, stream: Stream, **columns: Any) -> None:
    n, writer = len(next(iter(columns.values()))), f"{stream.value:032x}"
    columns |= {"writer_id": pa.array([writer] * n), "sequence": pa.array(np.arange(n))}
    full = schema(stream)
    arrays = [columns[f.name].cast(f.type) if f.name in columns else absent(f, n).cast(f.type) for f in full]
    pq.write_table(pa.Table.from_arrays(arrays, schema=full), directory / f"{stream.label}-{START_MS}-{writer}-000000.parquet")


def _table(log: Path, target: Path) -> Any:
    experiment_table(log, None, ASKED, target)
    return pq.read_table(target).sort_by("assigned_at_ms")


def test_people_with_many_columns_are_cut_into_parts_that_fit(log: Path, tmp_path: Path) -> None:
    """In a memory that one part of all people exceeds, the table is the same as with plenty, and no more is taken."""
    whole = _table(log, tmp_path / "whole.parquet")
    with using(little(LITTLE, 48_000_000)):
        assert _table(log, tmp_path / "cut.parquet").equals(whole)
    assert sum(sum(whole[f"{kind.lower()}_count"].to_pylist()) for kind in KINDS) == PEOPLE


def test_in_one_part_they_do_not_fit(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: not cut, the same people are refused, with what to do, and no file is left."""
    monkeypatch.setattr(DuckDb, "parts", lambda self, held_bytes: 1)
    with using(little(LITTLE, 48_000_000)), pytest.raises(Refused) as refused:
        experiment_table(log, None, ASKED, tmp_path / "none.parquet")
    assert refused.value.refusal.code == "too_little_memory"
    with using(little(LITTLE, 1_000_000_000)):  # more is taken where there is more
        assert experiment_table(log, None, ASKED, tmp_path / "some.parquet").units == PEOPLE


def _at_once(made: DuckDb) -> int:
    """Hold two million numbers at once, which no disk helps with."""
    numbers = ibis.range(2_000_000).unnest().name("n").as_table()
    return int(made.to_pyarrow(numbers.aggregate(n=numbers.n.collect()).select(n=ibis._.n.length()))["n"][0].as_py())


def test_a_query_takes_more_where_there_is_more() -> None:
    """What does not fit is run again with twice as much, up to the limit; there it is refused."""
    assert _at_once(DuckDb(memory="8MB", most=1_000_000_000)) == 2_000_000
    with pytest.raises(Refused, match="too_little_memory"):
        _at_once(DuckDb(memory="8MB", most=10_000_000))


@pytest.mark.parametrize(
    "words", [("lift", "--metric", "kind1"), ("srm",), ("funnel",), ("quality",), ("table", "--out", "people.parquet")]
)
def test_commands_say_it_in_plain_words(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    """A command that gets too little memory ends with 3 and a refusal that says what to do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(engine.ENGINES, "duckdb", partial(DuckDb, most=2_000_000))
    result = CliRunner().invoke(app, [*words, "--log", str(log), "--json"])
    assert result.exit_code == 3, result.output
    refusal = json.loads(result.stdout)["refusal"]
    assert refusal["code"] == "too_little_memory"
    assert "2 MB" in refusal["why"]
    assert "--since" in refusal["what_to_do"]


def test_a_full_disk_is_refused_in_plain_words() -> None:
    """What finds no space left on a disk names the folder of temporary files and how to choose another."""
    rows = ibis.range(200_000).unnest().name("n").as_table()
    with pytest.raises(Refused) as refused:
        DuckDb(memory="64MB", most=100_000_000).to_parquet(rows, "/dev/full")
    assert refused.value.refusal.code == "too_little_disk"
    assert "TMPDIR=" in refused.value.refusal.what_to_do
