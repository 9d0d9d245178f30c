"""`liftgate lists`: put people on do-not-contact lists, take them off, and show who is on which."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from liftgate.app.cli.profiles import DEFAULT_REDIS, AsJson, BundleDirectory, Models, Redis
from liftgate.app.cli.say import fail

if TYPE_CHECKING:
    from liftgate.adapters.redis_lists import Changed, RedisLists

_HELP = """Put people on do-not-contact lists, take them off, and show who is on which.

What a list holds back stands in the bundle under `lists:`; who is on it stands in the store and is read with every decision, so a
change holds from the next decision on. docs/guardrails.md explains lists, docs/redis.md what is stored.
"""
_SOME, _MISUSE = 1, 2
_SHOWN = 10
_BUDGET_MS = 5_000.0
T = TypeVar("T")

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

ListName = Annotated[str, typer.Argument(metavar="NAME", help="The list, as the bundle's `lists:` has it.")]
People = Annotated[list[str], typer.Argument(metavar="ID...", help="Person ids.")]


@app.command("load")
def load(
    name: ListName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One person id a line, UTF-8; .gz is unpacked.")],
    bundle: BundleDirectory,
    redis: Redis = DEFAULT_REDIS,
    models: Models = None,
    all_or_nothing: Annotated[bool, typer.Option("--all-or-nothing", help="Change nothing when any line is bad.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put everyone in a file on a list. Nobody is taken off it.

    The file is read and checked to its end before anything is stored. A bad line is reported with its number and left out; the others are
    stored.

    Exit codes: 0 everyone is on the list, 1 some lines were bad, some people's stored lists cannot be read, or the store is away, 2 the
    file, the list's name or the command is wrong (then nothing is stored).

    Example: liftgate lists load no-email unsubscribed.txt --bundle my-bundle --redis redis://localhost
    """
    from liftgate.adapters.redis_lists import IdFile
    from liftgate.domain.errors import BadInput

    _known(name, bundle, models, as_json)
    source = IdFile(file)
    with _progress(file.name) as progress:
        try:
            found = list(source.ids(lambda share: progress("checking", share)))
        except BadInput as error:
            fail(str(error), _MISUSE, as_json)
        if not found and not source.rejected:
            fail(f"{file}: holds no ids", _MISUSE, as_json)
        keep = [] if source.rejected and all_or_nothing else found
        changed = _run(redis, lambda lists: _store(lists, name, [person for _, person in keep], progress), as_json)
    lines = [(keep[i][0], "that the lists stored for this person can be read") for i in changed.unreadable]
    problems = sorted([*source.rejected, *lines])
    if as_json:
        shown = [{"line": line, "wants": wants} for line, wants in problems]
        typer.echo(json.dumps({"list": name, "added": changed.changed, "already_on_it": changed.same, "bad_lines": shown}, indent=2))
    else:
        typer.echo(f"{changed.changed:,} added to {name}, {changed.same:,} were on it already")
        if source.rejected and all_or_nothing:
            typer.echo("nothing was stored, because some lines are bad", err=True)
        for line, wants in problems[:_SHOWN]:
            typer.echo(f"  line {line}: wants {wants}", err=True)
        if len(problems) > _SHOWN:
            typer.echo(f"  and {len(problems) - _SHOWN:,} more; --json lists them all", err=True)
    if problems:
        raise typer.Exit(_SOME)


@app.command("add")
def add(
    name: ListName, people: People, bundle: BundleDirectory, redis: Redis = DEFAULT_REDIS, models: Models = None, as_json: AsJson = False
) -> None:
    """Put people on a list.

    Exit codes: 0 they are on it, 1 what is stored for some cannot be read or the store is away, 2 the list or the command is wrong.

    Example: liftgate lists add no-email c-17 c-18 --bundle my-bundle
    """
    _change(name, people, bundle, redis, models, as_json, on=True)


@app.command("remove")
def remove(
    name: ListName, people: People, bundle: BundleDirectory, redis: Redis = DEFAULT_REDIS, models: Models = None, as_json: AsJson = False
) -> None:
    """Take people off a list.

    Exit codes: 0 they are off it, 1 what is stored for some cannot be read or the store is away, 2 the list or the command is wrong.

    Example: liftgate lists remove no-email c-17 --bundle my-bundle
    """
    _change(name, people, bundle, redis, models, as_json, on=False)


@app.command("show")
def show(
    person: Annotated[str, typer.Argument(metavar="ID", help="The person's id.")], redis: Redis = DEFAULT_REDIS, as_json: AsJson = False
) -> None:
    """Show which lists a person is on.

    Exit codes: 0 shown, 1 what is stored cannot be read (then every list holds back) or the store is away, 2 the command is wrong.

    Example: liftgate lists show c-17 --redis redis://localhost
    """
    found = _run(redis, lambda lists: lists.show(person), as_json)
    if as_json:
        typer.echo(json.dumps({"readable": found is not None, "lists": sorted(found or ())}))
    elif found is None:
        typer.echo("what is stored cannot be read, so every list holds back")
    else:
        typer.echo("\n".join(sorted(found)) if found else "on no list")
    if found is None:
        raise typer.Exit(_SOME)


def _change(name: str, people: list[str], bundle: Path, redis: str, models: Path | None, as_json: bool, on: bool) -> None:
    _known(name, bundle, models, as_json)
    changed = _run(redis, lambda lists: lists.change(name, people, on), as_json)
    if as_json:
        typer.echo(json.dumps({"list": name, "changed": changed.changed, "same": changed.same, "unreadable": len(changed.unreadable)}))
    else:
        verb, already = ("added to", "were on it already") if on else ("taken off", "were not on it")
        typer.echo(f"{changed.changed} {verb} {name}, {changed.same} {already}")
        if changed.unreadable:
            typer.echo(f"what is stored for {len(changed.unreadable)} of them cannot be read and stays as it is", err=True)
    if changed.unreadable:
        raise typer.Exit(_SOME)


def _known(name: str, bundle: Path, models: Path | None, as_json: bool) -> None:
    """End with words unless the bundle declares the list."""
    from liftgate.bundle.load import load_bundle
    from liftgate.bundle.mistake import did_you_mean, one_of
    from liftgate.domain.errors import BadInput

    try:
        lists = [each.name for each in load_bundle(bundle, models).suppressions.lists]
    except BadInput as error:
        fail(str(error), _MISUSE, as_json)
    if name not in lists:
        fail(f"the bundle declares no list `{name}`; {did_you_mean(name, lists, one_of(lists))}", _MISUSE, as_json)


def _run(url: str, act: Callable[[RedisLists], Awaitable[T]], as_json: bool) -> T:
    from liftgate.adapters.redis_client import connect
    from liftgate.adapters.redis_lists import RedisLists
    from liftgate.domain.errors import StoreUnavailable

    async def run() -> T:
        client = connect(url, _BUDGET_MS, 2)
        try:
            await client.fill()
            return await act(RedisLists(client))
        finally:
            await client.close()

    try:
        return asyncio.run(run())
    except ValueError as error:
        fail(f"--redis: {error}", _MISUSE, as_json)
    except StoreUnavailable as error:
        fail(f"the store is away ({error}); some people may have been changed, run the command again", _SOME, as_json)


async def _store(lists: RedisLists, name: str, people: list[str], progress: Callable[[str, float], None]) -> Changed:
    from liftgate.adapters.redis_lists import Changed

    whole, chunk = Changed(), 5_000
    for start in range(0, len(people), chunk):
        some = await lists.change(name, people[start : start + chunk], on=True)
        whole.changed += some.changed
        whole.same += some.same
        whole.unreadable += [start + i for i in some.unreadable]
        progress("storing", min((start + chunk) / len(people), 1.0))
    return whole


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str, float], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def tell(step: str, share: float) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(f"{step} {name}", total=1.0)
            bar.update(tasks[step], completed=share)

        yield tell
