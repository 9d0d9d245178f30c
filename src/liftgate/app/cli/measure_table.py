"""`liftgate measure table`: a log as an experiment table, for every other question and every other tool."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import DUCKDB, JSON_HELP, Answer, EngineOption, answer


class Per(StrEnum):
    """What a row is."""

    person = "person"
    decision = "decision"


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
    per: Annotated[
        Per, typer.Option("--per", help="A row a person (for lift), or a row a decision (for calibration, drift, ope).")
    ] = Per.person,
    metric: Annotated[
        str, typer.Option("--metric", metavar="KIND[_value]", help="With --per decision: the event that is its reward.")
    ] = "",
    input_: source.InputOption = None,
    engine: EngineOption = DUCKDB,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Write a log as a table with one row a person: arm, version, triggered, exposed, and what was done in one window for every arm.

    Nothing in it says who the person is. People whose window is still open are left out. With --per decision: a row a decision for a
    treated person in which one offer was drawn, with what the model foretold and what came of it.

    Exit codes: 0 written, 3 refused, 2 asked wrongly.

    Example: liftgate measure table --log log --window 7d --before 30d --out people.parquet

    Example: liftgate measure lift --table people.parquet --unit row --arm arm --control holdout --metric purchase
    """

    def compute() -> Answer:
        from liftgate.measure.experiment import experiment_table
        from liftgate.measure.refusal import Misused

        if out.exists():
            raise Misused(f"--out {out} is there: name a new file")
        if per is Per.decision:
            if layer or placement or offer or before or since or until:
                raise Misused("--per decision goes with --events, --metric, --window, --input, --read-at and --allow-gaps alone")
            return _decisions(log, events, metric or source.METRIC, window, read_at, allow_gaps, out, tuple(input_ or ()))
        if metric:
            raise Misused("--metric goes with --per decision; a row a person has every kind of event")
        asked = source.Source(
            "", log, events, layer, placement, tuple(offer or ()), window, before, since, until, read_at, allow_gaps,
            inputs=tuple(input_ or ()),
        )  # fmt: skip
        made = experiment_table(log, events, asked.asked(), out)
        return {"what": "table", "path": str(out), "kinds": made.kinds} | source.said_of(made)

    answer(as_json, compute, _show, engine)


def _decisions(
    log: Path, events: Path | None, metric: str, window: str, read_at: str, allow_gaps: bool, out: Path, inputs: tuple[str, ...]
) -> dict[str, Any]:
    from liftgate.measure.attribution import Rule
    from liftgate.measure.decision_table import decision_table

    rule = Rule(metric.removesuffix("_value"), source.span_ms(window, "--window"), worth=metric.endswith("_value"))
    read_at_ms = source.time_ms(read_at, "--read-at")
    made = decision_table(log, events, rule, out, read_at_ms=read_at_ms, allow_gaps=allow_gaps, inputs=inputs)
    return {"what": "table", "path": str(out)} | made.as_json()


def _show(found: Answer) -> None:
    if "rows" in found:
        typer.echo(f"{found['path']}: {found['rows']:,} decisions, {found['explored']:,} of them explored, {found['scored']:,} scored.")
        typer.echo(
            "Columns: unit, version, placement, branch, offer, decided_at, half, score, probability, even, reward, outcome; and --input."
        )
        return
    source.show(found)
    typer.echo(f"{found['path']}: columns arm, version, placement, assigned_at, decisions, triggered, exposed; and of each of")
    typer.echo(f"{', '.join(found['kinds'])}: NAME (0 or 1), NAME_count, NAME_value.")
