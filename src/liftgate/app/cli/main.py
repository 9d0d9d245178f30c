"""The `liftgate` command. A subcommand's module is imported when that subcommand is asked for, and no sooner."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from liftgate import __version__

_GROUPS = {
    "bundle": ("liftgate.app.cli.bundle", "Check, test, explain, compare and publish bundles."),
    "layers": ("liftgate.app.cli.layers", "Show holdouts and experiments, say who is in what, and check the randomness."),
    "profiles": ("liftgate.app.cli.profiles", "Load people into the store, or show one."),
    "caps": ("liftgate.app.cli.caps", "Show what counts now against caps, contact policies and pauses."),
    "consent": ("liftgate.app.cli.consent", "Read and set what a person has agreed to, and show how it changed."),
    "person": ("liftgate.app.cli.person", "Show a person everything that is held about them, or forget them."),
    "operators": ("liftgate.app.cli.operators", "Name the people who may run a service, and give them tokens."),
    "audit": ("liftgate.app.cli.audit", "Read and verify the chain of administrative acts."),
    "review": ("liftgate.app.cli.review", "Approve what is sensitive before anybody sees it."),
    "features": ("liftgate.app.cli.features", "Show what events say of a person, or make it from the event log."),
    "lists": ("liftgate.app.cli.lists", "Put people on do-not-contact lists, or take them off."),
    "events": ("liftgate.app.cli.events", "Tell a service what happened, from files of other tools."),
    "log": ("liftgate.app.cli.log", "Read, verify and seal the decision log."),
    "measure": ("liftgate.app.cli.measure", "Say what an experiment was worth, or why nobody can say."),
    "hypotheses": ("liftgate.app.cli.hypotheses", "Rank what to try, tie it to its experiment, and learn how good the guesses were."),
}
_COMMANDS = {
    "serve": ("liftgate.app.cli.serve", "Serve decisions until told to stop."),
    "status": ("liftgate.app.cli.status", "Say which bundle each worker of each replica runs."),
    "reload": ("liftgate.app.cli.reload", "Make every worker of a server read its bundle again."),
    "stop": ("liftgate.app.cli.stop", "Stop an offer, a group, a model or every use of profiles, everywhere, now."),
    "start": ("liftgate.app.cli.start", "Ask for something stopped to be started again."),
    "decide": ("liftgate.app.cli.decide", "Ask a running service for one decision, and why."),
    "load": ("liftgate.app.cli.load", "Load a server on a schedule that does not wait for it, and say how it answered."),
    "replay": ("liftgate.app.cli.replay", "Decide every logged decision again, exactly, or name the input that changed."),
    "simulate": ("liftgate.app.cli.simulate", "Say what another bundle would have earned on the log there is."),
    "report": ("liftgate.app.cli.report", "Write one page of what a log says: verdict, effect, funnel, parts, scores, what to do."),
    "doctor": ("liftgate.app.cli.doctor", "Look at everything that a service needs, and measure what people cost in memory."),
    "explain": ("liftgate.app.cli.explain", "Say why a decision came out as it did, from the log alone."),
}
_HELP = """Liftgate picks the next-best offer for one person, only where it may, and keeps a record that shows afterwards what it was worth.

Exit codes: 0 fine, 1 it failed (the message says how), 2 it was asked wrongly or cannot start. Some commands have more, such as 3 refused
(what is there does not carry an answer) and 4 an alarm or a gate that is not passed: COMMAND --help names its own.

Example: liftgate serve --bundle DIR --redis embedded
"""


def make_app(wanted: str) -> typer.Typer:
    """Return the app with subcommand `wanted` in full and the others by name and help alone."""
    app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    for name, (module, text) in _COMMANDS.items():
        if name == wanted:
            importlib.import_module(module).register(app)
        else:
            app.command(name, help=text)(_not_asked_for)
    for name, (module, text) in _GROUPS.items():
        if name == wanted:
            app.add_typer(importlib.import_module(module).app, name=name)
        else:
            app.add_typer(typer.Typer(help=text, callback=_not_asked_for, invoke_without_command=True), name=name)
    app.command("version")(version)
    app.callback()(_options)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _not_asked_for() -> None:
    raise AssertionError("only the subcommand that was asked for runs")


def _options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and end.", callback=_version, is_eager=True)] = False,
) -> None:
    """Take the options that go before a command."""


def version(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the version.

    Example: liftgate version --json
    """
    typer.echo(json.dumps({"version": __version__}) if as_json else __version__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends with SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    wanted = next((word for word in given if not word.startswith("-")), "")
    make_app(wanted)(args=given, prog_name="liftgate")


if __name__ == "__main__":
    main()
