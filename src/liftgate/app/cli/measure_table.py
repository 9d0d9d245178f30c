"""`liftgate measure table`: a log as an experiment table, for every other question and every other tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import DUCKDB, JSON_HELP, Answer, EngineOption, answer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("table")(table)


def table(
    log: Annotated[Path, typer.Option("--log", metavar="DIR", help="A decision log.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Parquet file to write; one that is there is not replaced.")],
    events: source.EventsOption = None,
    layer: source.LayerOption = "",
    placement: source.PlacementOption = "",
    offer: source.OfferOption = None,
    window: source.WindowOption = "7d",
    before: source.BeforeOption = "",
    since: source.SinceOption = "",
    until: source.UntilOption = "",
    read_at: source.ReadAtOption = "",
    allow_gaps: source.GapsOption = False,
    engine: EngineOption = DUCKDB,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Write a log as a table with one row a person: arm, version, triggered, exposed, and what was done in one window for every arm.

    Nothing in it says who the person is. People whose window is still open are left out.

    Exit codes: 0 written, 3 refused, 2 asked wrongly.

    Example: liftgate measure table --log log --window 7d --before 30d --out people.parquet

    Example: liftgate measure lift --table people.parquet --unit row --arm arm --control holdout --metric purchase
    """

    def compute() -> Answer:
        from liftgate.measure.experiment import experiment_table
        from liftgate.measure.refusal import Misused

        if out.exists():
            raise Misused(f"--out {out} is there: name a new file")
        asked = source.Source(
            "", log, events, layer, placement, tuple(offer or ()), window, before, since, until, read_at, allow_gaps
        )  # fmt: skip
        made = experiment_table(log, events, asked.asked(), out)
        return {"what": "table", "path": str(out), "kinds": made.kinds} | source.said_of(made)

    answer(as_json, compute, _show, engine)


def _show(found: Answer) -> None:
    source.show(found)
    typer.echo(f"{found['path']}: columns arm, version, placement, assigned_at, decisions, triggered, exposed; and of each of")
    typer.echo(f"{', '.join(found['kinds'])}: NAME (0 or 1), NAME_count, NAME_value.")
