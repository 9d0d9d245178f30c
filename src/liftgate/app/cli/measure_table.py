"""`liftgate measure table`: a log as an experiment table, for every other question and every other tool."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from liftgate.app.cli import measure_decisions as decisions
from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import Answer, answer
from liftgate.app.cli.measure_options import METRIC, Given, sharing
from liftgate.app.counted import counted


class Per(StrEnum):
    """What a row is."""

    person = "person"
    decision = "decision"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("table")(table)


@sharing(
    "events", "layer", "placement", "offer", "window", "before", "since", "until", "read_at", "allow_gaps", "engine", "as_json"
)  # fmt: skip
def table(
    given: Given,
    *,
    log: Annotated[Path, typer.Option("--log", metavar="DIR", help="A decision log.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Parquet file to write; one that is there is not replaced.")],
    per: Annotated[
        Per, typer.Option("--per", help="A row a person (for lift), or a row a decision (for calibration, drift, ope).")
    ] = Per.person,
    metric: Annotated[
        str, typer.Option("--metric", metavar="KIND[_value]", help="With --per decision: the event that is its reward.")
    ] = "",
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="NAME", help="Also an input, such as context.device; a person's is that of the first decision. `all`: each."
        ),
    ] = None,
    train: Annotated[
        bool,
        typer.Option(
            "--train",
            help="With --per decision: only what a model may be trained on: decisions whose exposure was told, and no reward for what came "
            "late.",
        ),
    ] = False,
) -> None:
    """Write a log as a table with one row a person: arm, version, triggered, exposed, and what was done in one window for every arm.

    Nothing in it says who the person is. People whose window is still open are left out. With --per decision: a row a decision for a
    treated person in which one offer was drawn, with what the model foretold and what came of it.

    Exit codes: 0 written, 3 refused, 2 asked wrongly.

    Example: liftgate measure table --log log --window 7d --before 30d --out people.parquet

    Example: liftgate measure table --per decision --train --log log --window 7d --metric purchase --input all --out train.parquet

    Example: liftgate measure lift --table people.parquet --unit row --arm arm --control holdout --metric purchase
    """

    def compute() -> Answer:
        from liftgate.measure.experiment import experiment_table
        from liftgate.measure.refusal import Misused

        if out.exists():
            raise Misused(f"--out {out} is there: name a new file")
        if per is Per.decision:
            if any((given.layer, given.placement, given.offer, given.before, given.since, given.until)):
                raise Misused("--per decision goes with --events, --metric, --window, --input, --train, --read-at and --allow-gaps alone")
            asked = replace(given, log=log, rewarded=metric or METRIC)
            return {"what": "table", "path": str(out)} | decisions.made_of(asked, out, input_ or (), train).as_json()
        if train:
            raise Misused("--train goes with --per decision")
        if metric:
            raise Misused("--metric goes with --per decision; a row a person has every kind of event")
        made = experiment_table(log, given.events, source.asked(given, inputs=input_ or ()), out)
        return {"what": "table", "path": str(out), "kinds": made.kinds} | source.said_of(made)

    answer("table", given, compute, _show)


def _show(found: Answer) -> None:
    if "rows" in found:
        typer.echo(
            f"{found['path']}: {counted(found['rows'], 'decision')}, {found['explored']:,} of them explored, {found['scored']:,} scored."
        )
        typer.echo(
            "Columns: unit, version, placement, branch, offer, decided_at, half, score, probability, even, reward, outcome; and --input."
        )
        return
    source.show(found)
    typer.echo(f"{found['path']}: columns arm, version, placement, assigned_at, decisions, triggered, exposed; and of each of")
    typer.echo(f"{', '.join(found['kinds'])}: NAME (0 or 1), NAME_count, NAME_value.")
