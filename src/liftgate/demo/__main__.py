"""`python -m liftgate.demo`: a simulated shop, end to end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from liftgate.demo.keep import keep
from liftgate.demo.printout import show, summary
from liftgate.demo.run import Advance, Options, Step, run
from liftgate.demo.server import ServerFailed
from liftgate.domain.errors import BadInput

OWN = Path(".liftgate/demo")
"""Where runs go that name no folder: the last one is replaced."""
KEPT = Path(".liftgate/serve")
"""Where --keep writes when no folder is named: always added to."""
_BESIDE_BAR = 73
"""Columns of a progress line without its bar."""
_HELP = """Run a simulated shop end to end, and see what came of it.

20,000 made-up people with features and consent go into an embedded Valkey. A real `liftgate serve` decides what each is
shown, over gRPC. What they see and buy follows a truth that only the simulator knows, and is reported as events. Then the
server is drained, the log is read back, and the lift of treatment over holdout stands beside the truth that was planted.

Same seed: same people, same visits, same truth. Exit codes: 0 fine, 1 a decision is missing from the log or unanswered, 2 it could not run.

Examples: python -m liftgate.demo --people 5000 --decisions 6000, python -m liftgate.demo --seed 7 --json
"""


def main(
    people: Annotated[int, typer.Option("--people", min=100, max=1_000_000, help="People in the shop.")] = 20_000,
    decisions: Annotated[
        int, typer.Option("--decisions", min=100, max=10_000_000, help="Decide calls; everyone comes once first.")
    ] = 22_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another shop.")] = 1,
    log: Annotated[
        Path | None, typer.Option("--log", help=f"Folder for the log, new or empty. Absent: {OWN}/log, replacing the last.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    keep_serving: Annotated[bool, typer.Option("--keep", help="Make no calls: serve the shop until Ctrl-C, for you to ask.")] = False,
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="With --keep: the port to serve on.")] = 7420,
    metrics_port: Annotated[
        int, typer.Option("--metrics-port", min=0, max=65_535, help="With --keep: the port of /metrics; 0: none.")
    ] = 9464,
) -> None:
    """Run the demo."""
    console = Console()
    # Told to end from outside, the demo still takes its server and its store with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if keep_serving:
            keep(console, Options(people, decisions, seed, *kept_folder(log)), port, metrics_port)
            return
        options = Options(people, decisions, seed, *folder(log))
        if not as_json:
            console.print(f"[bold]Liftgate demo[/bold]: a shop of {people:,} people and {decisions:,} visits (seed {seed})")
        with progress(console, quiet=as_json) as step:
            outcome = run(options, step)
    except (ServerFailed, BadInput) as err:
        print(f"liftgate.demo: {err}", file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        print("liftgate.demo: interrupted", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(summary(outcome), indent=2))
    else:
        show(console, outcome)
        console.print(f"[dim]All of it took {outcome.total_s:.0f} s.[/dim]")
    if outcome.wrong:
        raise typer.Exit(1)


def folder(log: Path | None) -> tuple[Path, Path]:
    """Return where the log goes and where the server's words go. Raises BadInput when the folder is in use."""
    if log is None:
        OWN.mkdir(parents=True, exist_ok=True)
        if not _claim(OWN / "running"):
            raise BadInput(f"another demo is running in {OWN}: wait for it, or name a folder with --log DIR")
        for last in (OWN / "log", OWN / "keys"):
            shutil.rmtree(last, ignore_errors=True)
        return _beside(OWN / "log")
    if log.exists() and (not log.is_dir() or any(log.iterdir())):
        raise BadInput(f"--log {log} is not empty: name a new folder, so that runs do not mix")
    return _beside(log)


def _claim(lock: Path) -> bool:
    """Hold a lock until this process ends; False when another process holds it. True where there are no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows has none
        return True
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


def kept_folder(log: Path | None) -> tuple[Path, Path]:
    """Return where the log goes and where the server's words go with --keep. A log that is there is added to."""
    return _beside(KEPT / "log" if log is None else log)


def _beside(log: Path) -> tuple[Path, Path]:
    log.mkdir(parents=True, exist_ok=True)
    return log, log.with_name(log.name + ".server.log")


@contextmanager
def progress(console: Console, quiet: bool) -> Iterator[Step]:
    """Yield what announces a step, and draw a bar for each unless `quiet`."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        # What is left beside the longest words, counts, rate and clock: those are cut first otherwise.
        BarColumn(bar_width=min(max(console.width - _BESIDE_BAR, 1), 40)),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=quiet, refresh_per_second=4) as bars:

        def step(text: str, total: int) -> Advance:
            task = bars.add_task(text, total=total, rate="")
            since_drawn = 0

            def advance(count: int) -> None:
                nonlocal since_drawn
                since_drawn += count
                # Drawing for every call would cost as much as the call.
                if since_drawn >= 100 or bars.tasks[task].completed + since_drawn >= total:
                    speed = bars.tasks[task].speed
                    bars.update(task, advance=since_drawn, rate=f"{speed:,.0f}/s" if speed else "")
                    since_drawn = 0

            return advance

        yield step


def cli() -> None:
    """Run the command line."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(help=_HELP)(main)
    app(prog_name="python -m liftgate.demo")


if __name__ == "__main__":
    cli()
