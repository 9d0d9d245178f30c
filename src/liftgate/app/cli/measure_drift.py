"""`liftgate measure drift`: whether columns have moved from a reference, and whether to train again."""

from __future__ import annotations

from typing import Annotated

import typer

from liftgate.app.cli.measure_answer import ANSWERED, DUCKDB, JSON_HELP, TABLE_HELP, Answer, EngineOption, answer, figure, print_table

ALARM = 4


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("drift")(drift)


def drift(
    reference: Annotated[str, typer.Option("--reference", metavar="FILE", help=f"What the model was trained on. {TABLE_HELP}")],
    current: Annotated[str, typer.Option("--current", metavar="FILE", help=f"What came since. {TABLE_HELP}")],
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="COL", help="A column in both: a number or a category; may be repeated.")
    ] = None,
    score: Annotated[str | None, typer.Option("--score", metavar="COL", help="The model's score, compared as well.")] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="COL", help="What happened since, 0 or 1: then calibration decides on training.")
    ] = None,
    reference_where: Annotated[
        str, typer.Option("--reference-where", metavar="EXPR", help="Only these rows of the reference, such as \"bundle_version = '7'\".")
    ] = "",
    current_where: Annotated[str, typer.Option("--current-where", metavar="EXPR", help="Only these rows of what came since.")] = "",
    engine: EngineOption = DUCKDB,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Say how far columns have moved from a reference, and whether to train the model again, and why.

    PSI is printed with what it would be without a shift, which depends on the rows and bins: 0.1 means much for a million rows and
    nothing for 200. Watch: PSI above 0.1. Alarm: above 0.2. Either only where chance reaches it less than once in 1,000 columns.
    Missing values are a bin of their own.

    Exit codes, for a scheduler: 0 no alarm, 4 alarm or train again, 3 refused, 2 asked wrongly.

    Example: liftgate measure drift --reference trained.parquet --current week.parquet --column age --column country --score p

    Example: liftgate measure drift --reference log.parquet --current log.parquet --reference-where "bundle = 'a'"
    --current-where "bundle = 'b'" --column spend
    """
    alarms: list[bool] = []

    def compute() -> Answer:
        from liftgate.measure.drift_table import compare_tables

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

    try:
        answer(as_json, compute, _show, engine)
    except typer.Exit as end:
        raise typer.Exit(ALARM if end.exit_code == ANSWERED and any(alarms) else end.exit_code) from None


def _show(found: Answer) -> None:
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
        print_table("Reference to current", header, rows)
        typer.echo(
            "expected: PSI without a shift; by chance: reached by 1 column in 1,000 without one; JS: Jensen-Shannon distance; distance: "
            "Wasserstein in standard deviations of the reference"
        )
    for one in found["refused_columns"].values():
        typer.echo(f"Not compared ({one['code']}): {one['why']}.")
    typer.echo(f"{found['why'].rstrip('.')}.")


def _missing(one: Answer) -> str:
    before, now = one["missing_reference"], one["missing_current"]
    return f"{before:.1%} to {now:.1%}" if before or now else "-"
