"""`liftgate caps`: what counts now against caps, contact policies and pauses."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from liftgate.app.cli.say import fail

_FAILED, _MISUSE = 1, 2
_HELP = """Show what counts now against caps, contact policies and pauses.

docs/guardrails.md explains them, docs/redis.md how they are stored.
"""

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keep `show` a word of its own while it is the only one."""


@app.command("show")
def show(
    bundle: Annotated[Path, typer.Option("--bundle", metavar="DIR", envvar="LIFTGATE_BUNDLE", help="The bundle whose caps these are.")],
    person: Annotated[str, typer.Option("--person", metavar="ID", help="What counts of this person.")] = "",
    account: Annotated[str, typer.Option("--account", metavar="ID", help="What counts of this account or household.")] = "",
    total: Annotated[bool, typer.Option("--total", help="What counts over everybody: budgets.")] = False,
    models: Annotated[
        Path | None, typer.Option("--models", metavar="DIR", envvar="LIFTGATE_MODELS", help="Folder of the bundle's models.")
    ] = None,
    redis: Annotated[
        str, typer.Option("--redis", metavar="URL", envvar="LIFTGATE_REDIS", help="The store that `serve` uses.")
    ] = "redis://127.0.0.1:6379/0",
    everything: Annotated[bool, typer.Option("--all", help="List what has counted nothing, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, of everything.")] = False,
) -> None:
    """Show what counts now, and until when: of a person, of an account, or in total.

    A place is held while a decision waits for its offer to be shown. What a held-out person would have used is listed apart. Reading
    changes nothing.

    Exit codes: 0 shown, 1 the store is away, 2 the bundle or the command is wrong.

    Example: liftgate caps show --person c-17 --bundle my-bundle --redis redis://localhost

    Example: liftgate caps show --total --bundle my-bundle --json
    """
    if (bool(person), bool(account), total).count(True) != 1:
        fail("say whose: one of --person ID, --account ID and --total", _MISUSE, as_json)
    from liftgate.app.cli import caps_show
    from liftgate.bundle.load import load_bundle
    from liftgate.domain.errors import BadInput, StoreUnavailable

    try:
        compiled = load_bundle(bundle, models)
    except BadInput as err:
        fail(str(err), _MISUSE, as_json)
    now_ms = time.time_ns() // 1_000_000

    async def look() -> dict[str, Any]:
        if total:
            return await caps_show.in_total(redis, compiled, now_ms)
        if person:
            return await caps_show.of_person(redis, person, compiled, now_ms)
        return await caps_show.of_account(redis, account, compiled, now_ms)

    try:
        found = asyncio.run(look())
    except ValueError as err:
        fail(f"--redis: {err}", _MISUSE, as_json)
    except StoreUnavailable as err:
        fail(f"the store did not answer ({err})", _FAILED, as_json)
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(caps_show.lines(found, everything)))
