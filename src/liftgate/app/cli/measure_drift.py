"""`liftgate measure drift`: whether columns have moved from a reference, and whether to train again."""

from __future__ import annotations

from typing import Annotated

import typer

from liftgate.app.cli import measure_decisions as decisions
from liftgate.app.cli.measure_answer import ANSWERED, Answer, answer, figure, print_table
from liftgate.app.cli.measure_options import DECISION_LOG, DECISION_WINDOW, DECISIONS, TABLE_HELP, Given, sharing

ALARM = 4


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("drift")(drift)


@sharing(*DECISIONS, "engine", "as_json", log=DECISION_LOG, window=DECISION_WINDOW)
def drift(
    given: Given,
    *,
    reference: Annotated[str, typer.Option("--reference", metavar="FILE", help=f"What the model was trained on. {TABLE_HELP}")] = "",
    current: Annotated[str, typer.Option("--current", metavar="FILE", help=f"What came since. {TABLE_HELP}")] = "",
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column", metavar="COL", help="A column in both: a number or a category; may be repeated. With --log: an input; absent: all."
        ),
    ] = None,
    score: Annotated[str | None, typer.Option("--score", metavar="COL", help="The model's score, compared as well.")] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="COL", help="What happened since, 0 or 1: then calibration decides on training.")
    ] = None,
    reference_where: Annotated[
        str, typer.Option("--reference-where", metavar="EXPR", help="Only these rows of the reference, such as \"bundle_version = '7'\".")
    ] = "",
    current_where: Annotated[str, typer.Option("--current-where", metavar="EXPR", help="Only these rows of what came since.")] = "",
) -> None:
    """Say how far columns have moved from a reference, and whether to train the model again, and why.

    PSI is printed with what it would be without a shift, which depends on the rows and bins: 0.1 means much for a million rows and
    nothing for 200. Watch: PSI above 0.1. Alarm: above 0.2. Either only where chance reaches it, and the chi-square of its bins,
    less than once in 1,000 columns.
    Missing values are a bin of their own.

    With --log every bundle's decisions are compared: their inputs, placements, offers, scores, calibration and outcomes, with --reference,
    or with the rows of the log that meet --reference-where, or with its first bundle (of one bundle, with the first half of its time).

    Exit codes, for a scheduler: 0 no alarm, 4 alarm or train again, 3 refused, 2 asked wrongly.

    Example: liftgate measure drift --reference trained.parquet --current week.parquet --column age --column country --score p

    Example: liftgate measure drift --log log --window 7d --reference trained.parquet

    Example: liftgate measure drift --reference log.parquet --current log.parquet --reference-where "bundle = 'a'"
    --current-where "bundle = 'b'" --column spend
    """
    alarms: list[bool] = []

    def compute() -> Answer:
        from liftgate.measure.drift_table import compare_tables
        from liftgate.measure.refusal import Misused

        if given.log is not None:
            found = from_log()
            alarms.append(found["alarm"])
            return found
        if not reference or not current:
            raise Misused("give --reference and --current, or --log")
        found = compare_tables(
            reference,
            current,
            column or [],
            score=score,
            outcome=outcome,
            reference_where=reference_where,
            current_where=current_where,
        )
        alarms.append(found["alarm"])
        return found

    def from_log() -> Answer:
        from liftgate.measure.drift_log import KNOWN, compare_bundles

        inputs = tuple(name for name in column or ("all",) if name not in KNOWN)
        with decisions.opened(given, inputs) as (path, made):
            there = [name for name in columns_of(path) if name not in KNOWN]
            found = compare_bundles(
                path,
                there,
                reference=reference,
                reference_where=reference_where,
                current_where=current_where,
                binary=not given.rewarded.endswith("_value"),
            )
            return decisions.said_of(made) | found

    def columns_of(path: str) -> tuple[str, ...]:
        from liftgate.measure.table import open_table

        return open_table(path).columns

    try:
        answer("drift", given, compute, _show)
    except typer.Exit as end:
        raise typer.Exit(ALARM if end.exit_code == ANSWERED and any(alarms) else end.exit_code) from None


def _show(found: Answer) -> None:
    decisions.show(found)
    for version, one in found.get("versions", {}).items():
        typer.echo(f"Bundle {version[:12]}")
        _show_columns(one)
    if "columns" in found:
        _show_columns(found)
    elif "why" in found:
        typer.echo(f"{found['why'].rstrip('.')}.")


def _show_columns(found: Answer) -> None:
    rows = [
        [
            one["column"],
            one["level"],
            figure(one["psi"], 3),
            figure(one["psi_expected"], 2),
            figure(one["psi_by_chance"], 2),
            figure(one["jensen_shannon"], 3),
            figure(one["ks"], 3),
            figure(one["wasserstein_over_sd"], 3),
            _missing(one),
        ]
        for one in found["columns"]
    ]
    if rows:
        header = ["column", "level", "PSI", "expected", "by chance", "JS", "KS", "distance", "missing"]
        if all(row[-1] == "-" for row in rows):
            header, rows = header[:-1], [row[:-1] for row in rows]
        spare = ["distance", "KS", "JS", "expected", "by chance"]
        if left_out := print_table("Reference to current", header, rows, spare):
            typer.echo(f"Left out to fit: {', '.join(left_out)}; a wider terminal (or COLUMNS=160) and --json have them.")
        typer.echo(
            "expected: PSI without a shift; by chance: reached by 1 column in 1,000 without one, were no bin empty; "
            "JS: Jensen-Shannon distance; distance: Wasserstein in standard deviations of the reference"
        )
    for one in found["refused_columns"].values():
        typer.echo(f"Not compared ({one['code']}): {one['why']}.")
    typer.echo(f"{found['why'].rstrip('.')}.")


def _missing(one: Answer) -> str:
    before, now = one["missing_reference"], one["missing_current"]
    return f"{before:.1%} to {now:.1%}" if before or now else "-"
