"""`liftgate serve`."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from liftgate.app.cli.say import fail
from liftgate.app.exit_code import CannotStart, ExitCode

_HELP = """Serve decisions until SIGTERM. SIGHUP reads the bundle again.

Every flag is also an environment variable: --max-batch is LIFTGATE_MAX_BATCH; docs/configuration.md lists them. A secret is better
given by its variable than by its flag. Logs are JSON lines on stderr.

Exit codes: 0 drained, 1 a fault of ours, 2 cannot start (the message says why), 3 the disk lost log writes.

Example: liftgate serve --bundle examples/hillstrom/bundle --redis embedded --log .liftgate/log
"""


def register(app: typer.Typer) -> None:
    """Add `serve` to the app, with one option for each setting."""
    # pydantic and the settings, and nothing heavier.
    from liftgate.app.configuration import default_of
    from liftgate.app.settings import Settings, flag, variable

    def serve(**options: Any) -> None:
        _serve(options)

    parameters = []
    for name, info in Settings.model_fields.items():
        switch = info.annotation is bool
        declared = f"{flag(name)}/--no-{flag(name)[2:]}" if switch else flag(name)
        text = f"{info.description} [{variable(name)}; {default_of(info).strip('`')}]"
        option = typer.Option(declared, help=text, show_default=False, metavar=None if switch else name.rsplit("_", 1)[-1].upper())
        kind: Any = Annotated[bool | None if switch else str | None, option]
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind))
    option = typer.Option("--json", help="Print the settings that would be used as JSON, secrets hidden, and do not serve.")
    parameters.append(inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]))
    serve.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    serve.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command("serve", help=_HELP)(serve)


def _serve(options: dict[str, Any]) -> None:
    from liftgate.app.settings import BadSettings, read

    as_json = options.pop("as_json")
    try:
        settings = read(options)
    except BadSettings as err:
        fail(f"cannot start:\n{err}", ExitCode.CANNOT_START, as_json)
    if as_json:
        typer.echo(json.dumps(settings.shown()))
        return
    if not Path(settings.bundle).is_dir():
        fail(f"cannot start:\n--bundle (LIFTGATE_BUNDLE) {settings.bundle} is no directory", ExitCode.CANNOT_START, as_json)
    from liftgate.app.service import run

    try:
        code = run(settings)
    except CannotStart as err:
        fail(f"cannot start:\n{err}", ExitCode.CANNOT_START, as_json)
    raise typer.Exit(code)
