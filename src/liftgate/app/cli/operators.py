"""`liftgate operators`: who may run a service, and the tokens that show it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from liftgate.app.cli.say import fail

_HELP = """Name the people who may run a service, and give them tokens.

`liftgate serve --operators FILE` reads the file. It holds names, roles and the SHA-256 of each token, so it is no secret; who may write
it may make themselves an operator, so guard that. The token itself is printed once and kept by its owner, in LIFTGATE_TOKEN.

Roles: `admin` publishes and reloads; `operator` stops what is served, and starts it again; others are named by the bundle's reviews.

Example: liftgate operators add ada --role admin --file operators.yaml
"""
_WRONG = 2

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _group() -> None:
    """Keep `add` a subcommand."""


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The operator's name, as the audit chain will show it.")],
    role: Annotated[list[str] | None, typer.Option("--role", help="A role; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Add the entry to this file, made when absent. Absent: print it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an operator: print a fresh token, once, and the entry for the operators file.

    The token goes to standard output and nowhere else; hand it to its owner and forget it. A server reads the file again at a reload.

    Exit codes: 0 done, 2 the command was wrong, or the file cannot take the entry.

    Example: liftgate operators add ada --role admin --role compliance --file operators.yaml
    """
    from liftgate.adapters.operators import is_name, is_role, new_token, token_hash

    roles = list(dict.fromkeys(role or ()))
    if not is_name(name):
        fail(f"{name!r} is no operator's name: use 1 to 64 of a-z, 0-9, `.`, `_`, `@`, `-`, a letter or digit first", _WRONG, as_json)
    for each in roles:
        if not is_role(each):
            fail(f"{each!r} is no role: use 1 to 64 of a-z, 0-9, `_`, `-`, a letter first", _WRONG, as_json)
    token = new_token()
    entry = f'  {name}:\n    roles: [{", ".join(roles)}]\n    token_sha256: "{token_hash(token)}"\n'
    if file is not None:
        _append(file, name, entry, as_json)
    if as_json:
        typer.echo(json.dumps({"name": name, "roles": roles, "token": token, "token_sha256": token_hash(token)}))
        return
    typer.echo(f"token of {name}, shown this once (LIFTGATE_TOKEN): {token}")
    typer.echo(f"added to {file}" if file is not None else f"entry for the operators file:\n\noperators:\n{entry}", nl=file is not None)


def _append(file: Path, name: str, entry: str, as_json: bool) -> None:
    """Put the entry at the end of the file, whole or not at all."""
    from liftgate.adapters.operators import operators_in
    from liftgate.domain.errors import BadInput

    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else "operators:\n"
        if before and not before.endswith("\n"):
            before += "\n"
        try:
            operators_in(file.name, (before + entry).encode())
        except BadInput as err:
            fail(f"{file} cannot take the entry of {name}:\n{err}", _WRONG, as_json)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, file.stat().st_mode & 0o777 if file.exists() else 0o640)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(before + entry)
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, file)
    except (OSError, UnicodeDecodeError) as err:
        fail(f"{file} cannot be written: {type(err).__name__}", _WRONG, as_json)
    finally:
        part.unlink(missing_ok=True)
