"""`liftgate measure quality`: is the log fit to be measured?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import Answer, answer, figure, print_table
from liftgate.app.cli.measure_options import Given, sharing
from liftgate.app.counted import counted


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quality")(quality)


@sharing("events", "read_at", "engine", "as_json")
def quality(
    given: Given,
    *,
    log: Annotated[Path, typer.Option("--log", metavar="DIR", help="A decision log.")],
    window: Annotated[str, typer.Option("--window", metavar="SPAN", help="Count decisions with less time than this, such as 7d.")] = "",
) -> None:
    """Say whether a log is whole: gaps in a writer's numbers, rows that are there twice, how complete each arm is, versions, open windows.

    Exit codes: 0 fit to be measured (with warnings, perhaps), 3 records are missing, 2 asked wrongly.

    Example: liftgate measure quality --log log

    Example: liftgate measure quality --log log --window 7d --json
    """

    def compute() -> Answer:
        from liftgate.measure.quality import measure_quality

        return measure_quality(
            log, given.events, source.span_ms(window, "--window") if window else None, source.time_ms(given.read_at, "--read-at")
        )

    answer("quality", given, compute, _show)


def _show(found: Answer) -> None:
    typer.echo(
        f"{counted(found['decisions'], 'decision')} and {counted(found['events'], 'event')}; "
        f"{counted(found['lost_records'], 'record')} missing"
    )
    rows = [
        [name.lower(), f"{one['n']:,}", f"{one['degraded']:,}", f"{one['offered']:,}", f"{one['exposed']:,}"]
        for name, one in found["arms"].items()
    ]
    print_table("By arm", ["arm", "decisions", "degraded", "something shown", "exposure reported"], rows)
    for one in found["gaps"]:
        typer.echo(f"Missing: {one['stream']} writer {one['writer_id'][:8]}, numbers {one['first']:,} to {one['last']:,}")
    if found["open_windows"] is not None:
        typer.echo(f"{counted(found['open_windows'], 'decision')} with an open window")
    if found["degraded_p"] is not None:
        typer.echo(f"Degraded answers alike in all arms: p {figure(found['degraded_p'])}")
    for words in found["warnings"]:
        typer.echo(f"Mind: {words}.")
