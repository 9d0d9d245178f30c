"""`liftgate measure srm` and `lift` from the command line: the contract of options, JSON and exit codes; every refusal."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from liftgate.app.cli.measure import app

ROOT = Path(__file__).parents[2]
DATA = ROOT / os.environ.get("LIFTGATE_TEST_DATA", "../shared/data/hillstrom.csv.gz")
with_data = pytest.mark.skipif(not DATA.is_file(), reason=f"LIFT OF REAL CUSTOMERS DID NOT RUN: {DATA} is not there")
FIELDS = {"estimate", "se", "ci_low", "ci_high", "p_value", "lift", "lift_ci_low", "lift_ci_high", "n", "definition", "refusal"}
Rows = list[dict[str, Any]]
Write = Callable[[Iterable[Mapping[str, Any]]], str]


def _run(*words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the JSON, of stdout or of the error."""
    result = CliRunner().invoke(app, [*words, "--json"])
    text = result.stdout or result.stderr
    return result.exit_code, json.loads(text)


def _lift(table: str, *words: str, control: str = "c") -> tuple[int, dict[str, Any]]:
    return _run("lift", "--table", table, "--unit", "id", "--arm", "arm", "--control", control, *words)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows as a CSV and returns its path."""

    def to(rows: Iterable[Mapping[str, Any]]) -> str:
        given = list(rows)
        path = tmp_path / "table.csv"
        with path.open("w", newline="") as file:
            out = csv.DictWriter(file, list(given[0]))
            out.writeheader()
            out.writerows(given)
        return str(path)

    return to


def _experiment(n: int = 400, effect: float = 1.0, share: float = 0.5, seed: int = 1) -> Rows:
    dice = np.random.default_rng(seed)
    rows: Rows = []
    for i in range(n):
        arm = "t" if i < round(n * share) else "c"
        before = round(float(dice.exponential(10)), 3)
        spend = round(before + float(dice.normal(5, 2)) + effect * (arm == "t"), 3)
        rows.append({"id": f"u{i:05}", "arm": arm, "spend": spend, "before": before, "bought": int(spend > 15), "visits": i % 4 + 1})
    return rows


def _flat(rows: Sequence[Mapping[str, Any]], name: str, arm: str) -> list[float]:
    return [float(row[name]) for row in rows if row["arm"] == arm]


@with_data
def test_hillstrom_end_to_end() -> None:
    """Mens e-mail against none: the published effects on visit, conversion and spend, from all 64,000 rows, each a customer."""
    code, found = _run(
        *("lift", "--table", str(DATA), "--unit", "row", "--arm", "segment", "--control", "No E-Mail"),
        *("--metric", "visit:binary", "--metric", "conversion:binary", "--metric", "spend:mean"),
    )
    assert code == 0
    assert sum(found["n"].values()) == 64_000
    mens = {one["metric"]: one for one in found["results"] if one["arm"] == "Mens E-Mail"}
    assert mens["visit"]["estimate"] == pytest.approx(0.0765896, abs=5e-8)
    assert mens["conversion"]["estimate"] == pytest.approx(0.0068050, abs=5e-8)
    assert mens["spend"]["estimate"] == pytest.approx(0.7698, abs=5e-5)
    assert mens["visit"]["p_value"] == pytest.approx(1.3644511962742905e-112, rel=1e-8, abs=0)
    assert [one["family"] for one in found["results"]] == [6] * 6
    assert set(mens["visit"]) >= FIELDS


@with_data
def test_hillstrom_split() -> None:
    """The three arms come in equal shares: p 0.9037, and an e-value that says nothing against it."""
    code, found = _run("srm", "--table", str(DATA), "--unit", "row", "--arm", "segment", "--stratum", "channel")
    assert code == 0
    assert found["p_value"] == pytest.approx(0.9037, abs=5e-5)
    assert found["e_value"] < 1
    assert sum(found["n"].values()) == 64_000
    assert len(found["strata"]) == 3


def test_one_question_one_answer(write: Write) -> None:
    """With one metric and two arms, the answer stands at the top level, too."""
    rows = _experiment()
    code, found = _lift(write(rows), "--metric", "spend")
    assert code == 0
    assert set(found) >= FIELDS
    assert found["estimate"] == found["results"][0]["estimate"]
    assert found["estimate"] == pytest.approx(np.mean(_flat(rows, "spend", "t")) - np.mean(_flat(rows, "spend", "c")))
    assert found["n"] == {"c": 200, "t": 200}


def test_order_of_rows_and_kind_of_file_say_nothing(write: Write, tmp_path: Path) -> None:
    """Shuffled rows, gzip and Parquet give the same answer; a pattern reads the parts of a table as one."""
    rows = _experiment()
    asked = ("--metric", "spend", "--covariate", "before")
    path = write(rows)
    _, first = _lift(path, *asked)
    for name, half in (("part-1.parquet", "id < 'u00200'"), ("part-2.parquet", "id >= 'u00200'")):
        duckdb.sql(f"copy (select * from '{path}' where {half}) to '{tmp_path / name}' (format parquet)")
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(Path(path).read_bytes()))
    _, packed = _lift(str(tmp_path / "table.csv.gz"), *asked)
    _, parts = _lift(str(tmp_path / "part-*.parquet"), *asked)
    random.Random(1).shuffle(rows)
    _, mixed = _lift(write(rows), *asked)
    for other in (packed, parts, mixed):
        assert other["n"] == first["n"]
        for key in ("estimate", "se", "p_value", "lift_ci_high"):
            assert other[key] == pytest.approx(first[key], rel=1e-9)


def test_rows_of_one_unit_are_one_unit(write: Write) -> None:
    """Several rows of a unit: outcomes are summed, a binary one is whether it ever happened, and n counts units."""
    rows = _experiment(400)
    split = [{**row, "spend": row["spend"] / 2, "bought": part * row["bought"]} for row in rows for part in (0, 1)]
    _, whole = _lift(write(rows), "--metric", "spend", "--metric", "bought:binary", "--metric", "spend:ratio:visits")
    _, parts = _lift(write(split), "--metric", "spend", "--metric", "bought:binary", "--metric", "spend:ratio:visits")
    assert parts["n"] == whole["n"] == {"c": 200, "t": 200}
    for one, other, factor in zip(whole["results"], parts["results"], (1, 1, 2), strict=True):
        assert one["estimate"] == pytest.approx(other["estimate"] * factor)
        assert one["se"] == pytest.approx(other["se"] * factor)


def test_equal_rows_are_units_of_their_own_by_row(write: Write) -> None:
    """--unit row drops no duplicate."""
    rows = [{"arm": row["arm"], "spend": round(row["spend"])} for row in _experiment(400)]
    _, found = _run("lift", "--table", write(rows), "--unit", "row", "--arm", "arm", "--control", "c", "--metric", "spend")
    assert found["n"] == {"c": 200, "t": 200}


def test_missing_outcomes_are_no_event(write: Write) -> None:
    """An empty outcome counts 0 and is told; the unit stays."""
    rows = _experiment()
    for row in rows[::10]:
        row["spend"] = ""
    code, found = _lift(write(rows), "--metric", "spend")
    assert code == 0
    assert found["missing_as_zero"] == {"c": 20, "t": 20}
    assert found["n"] == {"c": 200, "t": 200}
    assert found["mean"]["t"] == pytest.approx(sum(float(row["spend"] or 0) for row in rows if row["arm"] == "t") / 200)


def test_missing_covariates_are_zero_with_an_indicator(write: Write) -> None:
    """CUPED takes 0 for a missing covariate, in both arms, and an indicator beside it; theta is printed for both."""
    rows = _experiment()
    _, whole = _lift(write(rows), "--metric", "spend", "--covariate", "before")
    for row in rows[::7]:
        row["before"] = ""
    code, found = _lift(write(rows), "--metric", "spend", "--covariate", "before")
    assert code == 0
    assert set(found["theta"]) == {"before", "before missing"}
    assert "before" in found["warnings"][0]
    assert whole["se"] < found["se"] < found["unadjusted"]["se"]


def test_where_selects_rows(write: Write) -> None:
    """--where is a condition on columns, read as they are needed."""
    rows = _experiment()
    _, found = _lift(write(rows), "--metric", "spend", "--where", "visits in (1, 2) and not (spend > 40) and id like 'u%'")
    assert sum(found["n"].values()) == sum(row["visits"] < 3 and row["spend"] <= 40 for row in rows)


def test_winsorising_caps_over_both_arms(write: Write) -> None:
    """The cap is a quantile of all values other than 0, is told, and is not another one for each arm."""
    rows = _experiment()
    rows[0]["spend"] = 100_000
    _, raw = _lift(write(rows), "--metric", "spend")
    _, capped = _lift(write(rows), "--metric", "spend", "--winsorise", "0.99")
    assert capped["winsorised_at"]["spend"] == pytest.approx(np.quantile([row["spend"] for row in rows], 0.99))
    assert capped["se"] < raw["se"] / 50


def test_segments_share_one_family(write: Write) -> None:
    """Metrics, arms and segments are corrected together."""
    code, found = _lift(write(_experiment()), "--metric", "spend", "--metric", "bought", "--segment", "visits")
    assert code == 0
    assert {one["family"] for one in found["results"]} == {10}
    assert all(one["p_adjusted"] >= one["p_value"] for one in found["results"])
    assert sum(one["n"]["t"] for one in found["results"] if one["metric"] == "spend" and one["segment"]) == 200


def test_guardrail_metrics(write: Write) -> None:
    """A metric may get worse by less than the margin: passed inside it, not passed where the bound is beyond."""
    path = write(_experiment(2000, effect=-0.5))
    code, found = _lift(path, "--guardrail", "spend,up,3", "--guardrail", "spend,up,0.5", "--guardrail", "spend,down,0.4")
    assert code == 0
    wide, narrow, down = found["guardrails"]
    assert (wide["passed"], narrow["passed"]) == (True, False)
    assert wide["p_non_inferior"] < 0.05 < narrow["p_non_inferior"]
    assert wide["bound"] < wide["estimate"] < down["bound"]


def test_few_events_take_newcombe(write: Write) -> None:
    """Below ten events an arm a binary metric gets an interval that can be trusted, and a lift that may be unbounded."""
    rows = [{"id": i, "arm": "t" if i < 120 else "c", "y": int(i < 7 or i == 120)} for i in range(235)]
    code, found = _lift(write(rows), "--metric", "y:binary")
    assert code == 0
    assert found["method"] == "newcombe"
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((0.0006230655416008535, 0.10727658586695042), rel=1e-7)
    assert found["p_value"] == pytest.approx(0.0359386320581678, rel=1e-7)
    assert (found["lift_bounded"], found["lift_ci_low"]) == (False, None)


def test_a_holdout_of_round_size_is_read_with_a_warning(write: Write) -> None:
    """90 to 10 without a word is answered and told; with the planned shares nothing is left to tell."""
    path = write(_experiment(2000, share=0.9))
    code, found = _lift(path, "--metric", "spend")
    assert (code, found["split"]["checked_against"]) == (0, "round")
    assert "--share" in found["warnings"][0]
    code, found = _lift(path, "--metric", "spend", "--share", "t=9", "--share", "c=1")
    assert (code, found["warnings"]) == (0, [])


def _lost(rows: Rows) -> Rows:
    return [row for i, row in enumerate(rows) if row["arm"] == "c" or i % 5]


def _periods(rows: Rows) -> Rows:
    return [row | {"period": "1" if i % 2 and (row["arm"] == "t" or i % 20 == 1) else "2"} for i, row in enumerate(rows)]


REFUSALS: dict[str, tuple[Callable[[Rows], Rows], tuple[str, ...]]] = {
    "sample_ratio_mismatch": (lambda rows: _lost(rows * 1), ("--metric", "spend")),
    "changed_allocation": (_periods, ("--metric", "spend", "--share", "unknown")),
    "too_few_events": (lambda rows: [row | {"spend": 0 if i % 300 else 1} for i, row in enumerate(rows)], ("--metric", "spend:mean")),
    "zero_variance": (lambda rows: [row | {"spend": 7} for row in rows], ("--metric", "spend")),
    "missing_control": (lambda rows: [row | {"arm": row["arm"].upper()} for row in rows], ("--metric", "spend")),
    "missing_treatment": (lambda rows: [row for row in rows if row["arm"] == "c"], ("--metric", "spend")),
    "missing_key": (lambda rows: [row | {"arm": row["arm"] if i else ""} for i, row in enumerate(rows)], ("--metric", "spend")),
    "no_rows": (lambda rows: rows, ("--metric", "spend", "--where", "visits > 9")),
    "not_a_number": (
        lambda rows: [row | {"spend": "nan" if i == 5 else row["spend"]} for i, row in enumerate(rows)],
        ("--metric", "spend"),
    ),
    "unit_in_two_groups": (lambda rows: [*rows, rows[0] | {"arm": "c"}], ("--metric", "spend")),
    "covariate_varies": (lambda rows: [*rows, rows[0] | {"before": 1}], ("--metric", "spend", "--covariate", "before")),
    "covariate_without_variance": (lambda rows: [row | {"before": 3} for row in rows], ("--metric", "spend", "--covariate", "before")),
    "stratum_without_arm": (
        lambda rows: [row | {"visits": 9 if i == 0 else row["visits"]} for i, row in enumerate(rows)],
        ("--metric", "spend", "--stratum", "visits"),
    ),
    "too_few_units": (
        lambda rows: [row | {"visits": 9 if i in (0, len(rows) - 1) else 1} for i, row in enumerate(rows)],
        ("--metric", "spend", "--stratum", "visits"),
    ),
    "zero_denominator": (lambda rows: [row | {"visits": 0} for row in rows], ("--metric", "spend:ratio:visits")),
    "zero_cap": (lambda rows: [row | {"spend": -row["spend"]} for row in rows], ("--metric", "spend:mean", "--winsorise", "0.5")),
    "weak_first_stage": (lambda rows: [row | {"seen": i % 2} for i, row in enumerate(rows)], ("--metric", "spend", "--exposed", "seen")),
    "trigger_differs_by_arm": (
        lambda rows: [row | {"hit": int(row["arm"] == "t" or i % 2)} for i, row in enumerate(rows)],
        ("--metric", "spend", "--triggered", "hit"),
    ),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal(code: str, write: Write) -> None:
    """Each broken table is refused with its code, a why, a next step, exit 3 and no number; the whole one is answered."""
    change, asked = REFUSALS[code]
    ended, found = _lift(write(change(_experiment(3000))), *asked)
    assert (ended, found["refusal"] and found["refusal"]["code"]) == (3, code)
    assert found["refusal"]["why"]
    assert found["refusal"]["what_to_do"]
    refused = [one for one in found.get("results", []) if one["refusal"] and one["refusal"]["code"] == code]
    assert all(one["p_value"] is None for one in refused)
    assert found.get("results") != [] or (found["estimate"], found["definition"]) == (None, None)


def test_a_weak_first_stage_leaves_the_effect_of_assignment(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing can be said of those exposed, the effect that the refusal recommends instead stands, for people too."""
    change, asked = REFUSALS["weak_first_stage"]
    table = write(change(_experiment(3000)))
    ended, found = _lift(table, *asked)
    assert (ended, found["cace"], found["cace_refusal"]["code"]) == (3, None, "weak_first_stage")
    assert found["ci_low"] < found["estimate"] < found["ci_high"]


def test_an_unknown_kind_of_metric_names_those_there_are(write: Write) -> None:
    """`spend:median` is asked wrongly, and the answer says which kinds a metric has."""
    ended, found = _lift(write(_experiment(300)), "--metric", "spend:median")
    assert ended == 2
    assert "binary, mean and ratio:DENOMINATOR" in str(found)


def test_a_whole_table_is_not_refused(write: Write) -> None:
    """The table that the refusals break is answered: strata, a first stage and a trigger that are as they should be."""
    rows = [row | {"seen": int(row["arm"] == "t" and i % 3 > 0), "hit": i % 2, "period": i % 2} for i, row in enumerate(_experiment(3000))]
    asked = (
        "--metric",
        "spend",
        "--covariate",
        "before",
        "--exposed",
        "seen",
        "--triggered",
        "hit",
        "--stratum",
        "visits",
        "--winsorise",
        "0.99",
    )
    code, found = _lift(write(rows), *asked)
    assert (code, found.get("error"), found["refusal"]) == (0, None, None)
    assert {one["analysis"] for one in found["results"]} == {"itt", "triggered"}


@pytest.mark.parametrize(
    "words",
    [
        ("--metric", "nothing"),
        ("--metric", "spend:binary"),
        ("--metric", "spend", "--where", "spend > (select 1)"),
        ("--metric", "spend", "--where", "no_such = 1"),
        ("--metric", "spend", "--share", "t=0.5"),
        ("--metric", "spend", "--share", "t"),
        ("--metric", "spend", "--alpha", "2"),
        ("--metric", "spend", "--winsorise", "99"),
        ("--metric", "spend", "--correction", "none"),
        ("--guardrail", "spend,up"),
        ("--metric", "spend", "--triggered", "visits"),
        (),
    ],
)
def test_misuse_ends_with_2(words: tuple[str, ...], write: Write) -> None:
    """A wrong question is told apart from data that cannot answer."""
    code, found = _lift(write(_experiment(40)), *words)
    assert code == 2
    assert found["error"]


def test_people_get_a_page(write: Write) -> None:
    """Without --json: a table, the split, theta, and a refusal in words."""
    rows = _experiment()
    asked = [
        "lift",
        "--unit",
        "id",
        "--arm",
        "arm",
        "--control",
        "c",
        "--metric",
        "spend",
        "--covariate",
        "before",
        "--guardrail",
        "bought,up,0.5",
    ]
    page = CliRunner().invoke(app, [*asked, "--table", write(rows)])
    assert page.exit_code == 0, page.output
    assert "CUPED theta before" in page.stdout
    assert "passed" in page.stdout
    page = CliRunner().invoke(app, [*asked, "--table", write(_lost(_experiment(3000)))])
    assert page.exit_code == 3
    assert "What to do:" in page.stdout


def test_a_mismatch_is_seen_by_srm(write: Write) -> None:
    """4 % lost from one arm: refused, with the figures beside it; the planned shares decide."""
    rows = [{"id": i, "arm": "t" if i % 2 else "c"} for i in range(60_000)]
    lost = [row for i, row in enumerate(rows) if row["arm"] == "c" or i % 25 > 0]
    asked = ("srm", "--table", write(lost), "--unit", "id", "--arm", "arm")
    code, found = _run(*asked)
    assert (code, found["mismatch"]) == (3, True)
    assert found["e_value"] > 1000
    assert found["p_value"] < 1e-6
    assert _run(*asked, "--share", "t=1.02", "--share", "c=0.98")[0] == 3
    assert _run(*asked, "--share", "t=0.96", "--share", "c=1.0")[0] == 0


def test_the_command_line_is_light() -> None:
    """Serving, and asking for help, load none of what measures."""
    code = (
        "import sys; import liftgate.app.worker, liftgate.app.cli.serve, liftgate.app.cli.measure; "
        "print([m for m in ('ibis', 'duckdb', 'scipy', 'sqlglot', 'pandas', 'sklearn', 'liftgate.measure') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def _two_periods(n: int = 4000) -> Rows:
    """Half control in the first period, a tenth in the second, as planned."""
    rows = _experiment(n)
    return [
        row | {"phase": "a" if i < n // 2 else "b", "arm": "c" if i % (2 if i < n // 2 else 10) == 0 else "t"} for i, row in enumerate(rows)
    ]


def test_shares_are_planned_within_a_stratum(write: Write) -> None:
    """Each period is held against its own shares, by srm and lift; the whole against both by their units; another plan is refused."""
    path = write(_two_periods())
    right = ("--share", "phase=a:c=1", "--share", "phase=a:t=1", "--share", "phase=b:c=1", "--share", "phase=b:t=9")
    for what in (("srm", "--unit", "id", "--arm", "arm"), ("lift", "--unit", "id", "--arm", "arm", "--control", "c", "--metric", "spend")):
        asked = (*what, "--table", path, "--stratum", "phase")
        assert _run(*asked, *right)[0] == 0
        assert _run(*asked, *right[:-1], "phase=b:t=4")[1]["refusal"]["code"] == "sample_ratio_mismatch"
        code, found = _run(*asked, *right[:4])
        assert (code, "nothing for 'b'" in json.dumps(found)) == (2, True)
    _, whole = _run("srm", "--table", path, "--unit", "id", "--arm", "arm", "--stratum", "phase", *right)
    assert whole["shares"] == pytest.approx({"c": 0.3, "t": 0.7})
    assert _run("srm", "--table", path, "--unit", "id", "--arm", "arm", *right)[0] == 2


@pytest.mark.parametrize("columns", [("period",), ("phase", "allocation_version")])
def test_a_changed_allocation_is_seen_in_tables_of_several_rows_a_unit(columns: tuple[str, ...], write: Write) -> None:
    """Nine to one, then half and half, each unit on two rows: refused, unless compared within periods, which finds no effect."""
    dice = np.random.default_rng(7)
    rows: Rows = []
    for i in range(6_000):
        late = i >= 3_000
        arm = "t" if i % 10 < (5 if late else 9) else "c"
        known = {"id": f"u{i:05}", "arm": arm} | dict.fromkeys(columns, "b" if late else "a")
        for part in range(2):
            spend = round(float(dice.normal(9 if late else 3, 1)), 3)
            rows.append(known | {"spend": spend} | ({"phase": part} if len(columns) > 1 else {}))
    table = write(rows)
    code, found = _lift(table, "--metric", "spend")
    assert (code, found["refusal"] and found["refusal"]["code"]) == (3, "changed_allocation")
    assert f"--stratum {columns[-1]}" in found["refusal"]["what_to_do"]
    code, found = _lift(table, "--metric", "spend", "--stratum", columns[-1])
    assert (code, found["ci_low"] < 0 < found["ci_high"]) == (0, True)


def test_a_period_that_changes_within_a_unit_is_refused(write: Write) -> None:
    """Rows of one unit in two periods do not say in which it was assigned; the first on every row, under another name, does."""
    rows = [row | {"period": part, "first": i % 2} for i, row in enumerate(_experiment(400)) for part in range(2)]
    table = write(rows)
    code, found = _lift(table, "--metric", "spend")
    assert (code, found["refusal"] and found["refusal"]["code"], "'period'" in found["refusal"]["why"]) == (3, "changed_allocation", True)
    assert _lift(table, "--metric", "spend", "--period", "first")[0] == 0
