"""A sealed log measured by Spark: the same people, the same numbers, the same refusals as by DuckDB."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from liftgate.app.cli.log import app as log_app
from liftgate.measure import ope_source
from liftgate.measure.attribution import Rule
from liftgate.measure.engine import using
from liftgate.measure.simulate import value_bundle
from liftgate.record.frame import Stream
from tests.engines.questions import answer, differences
from tests.measure.log_files import HOUR_MS, START_MS, decided, happened, write

DAY_MS = 24 * HOUR_MS


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 people, a fifth held out, in a layer with two arms; decisions and events that are there twice; one segment not sealed."""
    directory = tmp_path_factory.mktemp("engines") / "log"
    arms = ["holdout" if i % 5 == 0 else "treatment" for i in range(2_000)]
    decisions = [
        decided(
            i,
            i,
            arm,
            START_MS + i * 60_000,
            shown=((), ("a",), ("b", "c"))[i % 3],
            layers={"universal": arm, "colour": "red" if i % 2 else "blue"},
            shares={"red": 0.5, "blue": 0.5},
        )
        for i, arm in enumerate(arms)
    ]
    events = [happened(i, i, "purchase", START_MS + DAY_MS + i * 61_000, float(i % 17)) for i in range(2_000) if i % 3 == 0 or i % 7 == 1]
    events += [happened(10_000 + i, i, "exposure", START_MS + i * 60_000 + 5, decision=i) for i in range(0, 2_000, 2)]
    events += [happened(20_000 + i, i, "purchase", START_MS - DAY_MS, 3.0) for i in range(0, 2_000, 7)]
    write(directory, Stream.DECISION, decisions[:1_200], seal=False)
    write(directory, Stream.DECISION, [*decisions[1_200:], decisions[5]], first=1_200, seal=False)
    write(directory, Stream.EVENT, [*events, events[0]], writer=2, seal=False)
    assert CliRunner().invoke(log_app, ["seal", str(directory)]).exit_code == 0
    assert list(directory.glob("*.parquet"))
    write(directory, Stream.EVENT, [happened(99_999, 3, "click", START_MS + DAY_MS, None)], writer=3, seal=False)
    return directory


@pytest.mark.parametrize(
    "words",
    [
        ("lift", "--metric", "purchase", "--metric", "purchase_value", "--before", "2d", "--covariate", "purchase_value_before"),
        ("lift", "--layer", "colour", "--control", "blue", "--offer", "b", "--triggered", "triggered"),
        ("srm", "--share", "treatment=4", "--share", "holdout=1"),
        ("quality", "--window", "7d"),
        ("sequential", "--metric", "purchase", "--n-star", "2000", "--every", "6h", "--share", "unknown"),
        ("funnel", "--share", "unknown"),
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_a_sealed_log_is_the_same_on_spark(words: tuple[str, ...], log: Path) -> None:
    """Answers from a log that `log seal` sealed agree in every count and number, and are answers."""
    late = () if words[0] in ("srm", "quality") else ("--read-at", "2026-02-01")
    asked = (*words, "--log", str(log), *late)
    code, found = answer("duckdb", asked)
    assert code == 0, found
    assert differences([code, found], list(answer("spark", asked))) == []


def test_spark_writes_the_table_of_a_log_as_one_file(log: Path, tmp_path: Path) -> None:
    """`measure table --engine spark` leaves one Parquet file, which the other engine reads as its own."""
    codes = []
    for engine in ("duckdb", "spark"):
        out = tmp_path / f"{engine}.parquet"
        codes.append(answer(engine, ("table", "--log", str(log), "--window", "7d", "--out", str(out), "--read-at", "2026-02-01"))[0])
    assert codes == [0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["duckdb.parquet", "spark.parquet"]
    lift = ("lift", "--unit", "row", "--arm", "arm", "--control", "holdout", "--metric", "purchase", "--share", "unknown", "--table")
    one, other = (answer("duckdb", (*lift, str(tmp_path / f"{engine}.parquet"))) for engine in ("duckdb", "spark"))
    assert differences(list(one), list(other)) == []


@pytest.mark.parametrize("held", [1_000_000, 100], ids=["held", "in parts"])
def test_another_bundle_is_valued_alike(held: int, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a replay's table and the log's outcomes say of another bundle is the same on Spark, held at once or not."""
    monkeypatch.setattr(ope_source, "HELD_ROWS", held)
    decided_ids = [f"{i:032x}" for i in range(2_000) if i % 5]
    table = pa.table(
        {
            "decision_id": decided_ids,
            "slot": [1] * len(decided_ids),
            "unit": [f"u{i}" for i in range(len(decided_ids))],
            "action": [("a", "b")[i % 2] for i in range(len(decided_ids))],
            "logged_probability": [0.5] * len(decided_ids),
            "target_probability": [(0.4, 0.6)[i % 2] for i in range(len(decided_ids))],
            "unsupported": [0.0] * len(decided_ids),
            "why": [""] * len(decided_ids),
            "reward": [0.0] * len(decided_ids),
        }
    )
    pq.write_table(table, tmp_path / "target.parquet")
    rule = Rule("purchase", 7 * DAY_MS, worth=True)
    found = []
    for engine in ("duckdb", "spark"):
        with using(engine):
            told = value_bundle(tmp_path / "target.parquet", log, None, rule, read_at_ms=START_MS + 30 * DAY_MS, replicates=0)
        found.append({key: told[key] for key in ("decisions", "unknown", "estimate", "se", "difference", "p_value", "refusal")})
    assert found[0]["refusal"] is None
    assert differences(found[0], found[1]) == []
