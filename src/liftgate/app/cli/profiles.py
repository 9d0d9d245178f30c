"""`liftgate profiles`: load people from a file into the store, and show what is stored about one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli.log_key import KeyIfAny, key_if_any
from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.adapters.profile_file import Reject
    from liftgate.adapters.profile_load import Loaded
    from liftgate.bundle.compiled import Bundle

_HELP = """Load people into the store, or show one.

docs/profiles.md explains files and mappings, docs/redis.md what is stored.
"""
_SOME, _MISUSE = 1, 2
_SHOWN = 10
_BUDGET_MS = 5_000.0

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class Layout(StrEnum):
    """How profiles lie in Redis."""

    packed = "packed"
    hash = "hash"


BundleDirectory = Annotated[
    Path, typer.Option("--bundle", metavar="DIR", envvar="LIFTGATE_BUNDLE", help="The bundle in whose terms people are stored.")
]
Models = Annotated[Path | None, typer.Option("--models", metavar="DIR", envvar="LIFTGATE_MODELS", help="Folder of the bundle's models.")]
Redis = Annotated[
    str,
    typer.Option("--redis", metavar="URL", envvar="LIFTGATE_REDIS", help="redis://, rediss://, unix:// or redis+cluster:// of the store."),
]
DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
"""As `serve` has it."""
ProfileLayout = Annotated[
    Layout,
    typer.Option(
        "--layout", envvar="LIFTGATE_PROFILE_LAYOUT", help="packed (one value a person) or hash (plain HASH); as `serve` reads them."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("load")
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".csv, .csv.gz, .jsonl, .jsonl.gz or .parquet")],
    bundle: BundleDirectory,
    redis: Redis = DEFAULT_REDIS,
    models: Models = None,
    layout: ProfileLayout = Layout.packed,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", metavar="YAML", help="Says which column is what; see docs/profiles.md.")
    ] = None,
    id_column: Annotated[str, typer.Option("--id", metavar="COLUMN", help="Column of the person's id, where there is no mapping.")] = "",
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="COLUMN", help="Pass over a column; may be repeated.")] = None,
    at: Annotated[str, typer.Option("--at", metavar="ISO", help="When the values were true, such as 2026-05-01T00:00:00Z.")] = "",
    rejects: Annotated[
        Path | None, typer.Option("--rejects", metavar="FILE", help="Write every rejected row's line, field and reason here.")
    ] = None,
    all_or_nothing: Annotated[bool, typer.Option("--all-or-nothing", help="Store nothing when any row is bad.")] = False,
    key: KeyIfAny = None,
    as_json: AsJson = False,
) -> None:
    """Load people from a file.

    The file is read and checked to its end before anything is stored. A bad row is reported with line, field and reason, counted, and
    left out; the others are stored. A person's stored profile is replaced whole. Without --at or times in the file, ages are not known.

    People who were erased are left out and counted: they come back by a consent that they give, through ConsentService.Set.

    Exit codes: 0 every row is stored or of somebody erased, 1 some were rejected or the store is away, 2 the file, the mapping or the
    command is wrong, or people were erased and the key is missing (then nothing is stored).

    Example: liftgate profiles load people.csv --bundle my-bundle --redis redis://localhost --id customer --at 2026-05-01T00:00:00Z
    """
    from liftgate.adapters.profile_file import PeopleFile
    from liftgate.adapters.profile_mapping import from_header, read_mapping
    from liftgate.adapters.profile_rows import RowConverter
    from liftgate.bundle.duration import timestamp_ms
    from liftgate.domain.errors import BadInput, StoreUnavailable

    if mapping is not None and (id_column or skip):
        fail("--id and --skip say what a --mapping says itself; give one of the two", _MISUSE, as_json)
    try:
        at_s = timestamp_ms(at) // 1000 if at else 0
    except ValueError as error:
        fail(f"--at {error}", _MISUSE, as_json)
    try:
        compiled = _bundle(bundle, models)
        people = PeopleFile(file)
        if mapping is None:
            meant = from_header(file, people.columns, compiled.schema, compiled.purposes, id_column, skip or ())
        else:
            meant = read_mapping(mapping, compiled.schema, compiled.purposes)
            meant.check(file, people.columns)
        converter = RowConverter(compiled.schema, meant, people.typed, at_s)
        began = time.monotonic()
        with _rejects(rejects) as (reject, shown), _progress(file.name) as progress:
            log_key = key_if_any(key, as_json)
            loaded = asyncio.run(_load(people, converter, compiled, redis, layout, reject, progress, all_or_nothing, log_key))
    except BadInput as error:
        fail(str(error), _MISUSE, as_json)
    except ValueError as error:
        fail(f"--redis: {error}{_embedded(redis)}", _MISUSE, as_json)
    except StoreUnavailable as error:
        fail(f"the store is away ({error}); some people may have been stored, run the command again", _SOME, as_json)
    fed = {one.feature for one in meant.features} | {one.index for one in compiled.streams}
    unfed = sorted({column.name for column in compiled.schema.profile} - {compiled.schema.inputs[index].name for index in fed})
    stale = [] if at_s or meant.at else _aged(compiled, {one.feature for one in meant.features if not one.at})
    _report(loaded, shown, unfed, stale, time.monotonic() - began, rejects, as_json)
    if loaded.rejected:
        raise typer.Exit(_SOME)


async def _load(
    people: Any,
    converter: Any,
    bundle: Bundle,
    url: str,
    layout: Layout,
    reject: Callable[[Reject], None],
    progress: Any,
    all_or_nothing: bool,
    key: bytes | None,
) -> Loaded:
    from liftgate.adapters.profile_load import load_people
    from liftgate.adapters.redis_client import connect
    from liftgate.adapters.redis_profile_writer import RedisProfileWriter
    from liftgate.app.erased_people import ErasedPeople

    client = connect(url, _BUDGET_MS, 2)
    try:
        # A store that is away is better known before a long check than after it.
        await client.fill()
        erased = ErasedPeople(client, key)
        await erased.can_tell()
        writer = RedisProfileWriter(client, bundle.schema, layout.value)
        return await load_people(people, converter, writer, reject, progress, all_or_nothing, erased.among)
    finally:
        await client.close()


def _embedded(url: str) -> str:
    """Return what to say to someone who names the store as `serve` may name it."""
    if url != "embedded":
        return ""
    return ". The embedded store lives inside its server: give the `url` of that server's `embedded_store` log line"


def _bundle(directory: Path, models: Path | None) -> Bundle:
    from liftgate.bundle.load import load_bundle

    return load_bundle(directory, models)


def _aged(bundle: Bundle, features: set[int]) -> list[str]:
    """Return names of features that count as stale when nobody knows their age."""
    return sorted(bundle.schema.inputs[i].name for i in features if bundle.schema.max_age_s[i] < float("inf"))


@contextmanager
def _rejects(path: Path | None) -> Iterator[tuple[Callable[[Reject], None], list[Reject]]]:
    """Give where rejects go, and the first few of them for the eye."""
    from liftgate.domain.errors import BadInput

    first: list[Reject] = []
    try:
        out = path.open("w", encoding="utf-8") if path else None
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from None

    def take(one: Reject) -> None:
        if len(first) < _SHOWN:
            first.append(one)
        if out is not None:
            out.write(json.dumps({"line": one.line, "field": one.field, "reason": one.kind.value, "wants": one.wants}) + "\n")

    try:
        yield take, first
    finally:
        if out is not None:
            out.close()


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str, float], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def tell(step: str, share: float) -> None:
            task = tasks.setdefault(step, None)
            if task is None:
                task = tasks[step] = bar.add_task(f"{step} {name}", total=1.0)
            bar.update(task, completed=share)

        yield tell


def _report(
    loaded: Loaded, shown: list[Reject], unfed: list[str], stale: list[str], took_s: float, rejects: Path | None, as_json: bool
) -> None:
    if as_json:
        document = {
            "rows": loaded.rows,
            "stored": loaded.stored,
            "rejected": loaded.rejected,
            "erased": loaded.erased,
            "reasons": dict(sorted(loaded.kinds.items())),
            "first_rejects": [{"line": one.line, "field": one.field, "reason": one.kind.value, "wants": one.wants} for one in shown],
            "features_not_in_file": unfed,
            "features_stale_without_times": stale,
            "seconds": round(took_s, 3),
        }
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(
        f"{loaded.stored:,} of {counted(loaded.rows, 'person', 'people')} stored in {took_s:.1f} s "
        f"({loaded.rows / max(took_s, 1e-9):,.0f} rows/s)"
    )
    if loaded.erased:
        typer.echo(f"{loaded.erased:,} left out: erased")
    if unfed:
        typer.echo(f"not in the file, so missing for everyone: {', '.join(unfed)}")
    if stale:
        typer.echo(f"of unknown age, so stale by their max_age (give --at): {', '.join(stale)}")
    if loaded.rejected:
        counts = ", ".join(f"{kind.value} {count:,}" for kind, count in sorted(loaded.kinds.items()))
        typer.echo(f"{counted(loaded.rejected, 'row')} rejected: {counts}", err=True)
        for one in shown:
            typer.echo(f"  line {one.line}: {one.field + ': ' if one.field else ''}{one.kind.value}: wants {one.wants}", err=True)
        total = sum(loaded.kinds.values())
        if total > len(shown):
            typer.echo(
                f"  and {total - len(shown):,} more" + (f", all in {rejects}" if rejects else "; --rejects FILE keeps them all"), err=True
            )


@app.command("show")
def show(
    person: Annotated[str, typer.Argument(metavar="ID", help="The person's id.")],
    bundle: BundleDirectory,
    redis: Redis = DEFAULT_REDIS,
    models: Models = None,
    layout: ProfileLayout = Layout.packed,
    as_json: AsJson = False,
) -> None:
    """Show what is stored about one person: features with their ages, consent, and contact history, in plain words.

    Exit codes: 0 shown, 1 nothing is stored or the store is away, 2 the bundle or the command is wrong.

    Example: liftgate profiles show c-17 --bundle my-bundle --redis redis://localhost
    """
    from liftgate.app.cli.profiles_show import lines, look
    from liftgate.domain.errors import BadInput, StoreUnavailable

    try:
        compiled = _bundle(bundle, models)
        found = asyncio.run(look(redis, person, compiled, layout.value, int(time.time() * 1000)))
    except BadInput as error:
        fail(str(error), _MISUSE, as_json)
    except ValueError as error:
        fail(f"--redis: {error}{_embedded(redis)}", _MISUSE, as_json)
    except StoreUnavailable as error:
        fail(f"the store is away ({error})", _SOME, as_json)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(lines(found)))
    if found["profile"] == "missing" and not any(found[key] for key in ("consent_stored", "history", "ghost_history")):
        raise typer.Exit(_SOME)
