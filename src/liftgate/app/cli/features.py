"""`liftgate features`: what events say of a person, and the same features from the event log."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli.profiles import DEFAULT_REDIS, AsJson, BundleDirectory, Models, Redis
from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.bundle.compiled import Bundle
    from liftgate.signals.plan import FeaturePlan

_HELP = """Features that events keep fresh: show them, make them anew from the event log, or tell what they were.

docs/signals.md says what each feature means and how its window is counted, docs/redis.md what is stored.
"""
_AWAY, _WRONG = 1, 2
_BUDGET_MS = 5_000.0

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

Log = Annotated[
    Path,
    typer.Option(
        "--log", metavar="DIR", envvar="LIFTGATE_LOG", exists=True, file_okay=False, help="The log of `liftgate serve --log DIR`."
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--pseudonym-key-file",
        metavar="FILE",
        envvar="LIFTGATE_PSEUDONYM_KEY_FILE",
        help="Key of the log's pseudonyms; absent: LIFTGATE_PSEUDONYM_KEY, or keys/pseudonym.key beside the log, where `serve` made one.",
    ),
]


@app.command("show")
def show(
    person: Annotated[str, typer.Argument(metavar="ID", help="The person's id.")],
    bundle: BundleDirectory,
    redis: Redis = DEFAULT_REDIS,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Show what events say of a person now: every feature, how old it is and what it rests on, and what is kept.

    A decision reads them only while the person agrees to the use of the profile; this shows what is kept all the same.

    Exit codes: 0 shown, 1 the store is away or what is kept cannot be read, 2 the command or the bundle is wrong.

    Example: liftgate features show c-17 --bundle my-bundle --redis redis://localhost
    """
    from liftgate.app.cli.features_show import lines, look
    from liftgate.domain.errors import StoreUnavailable

    loaded, plan = _loaded(bundle, models, as_json)
    try:
        found = asyncio.run(look(redis, person, loaded, plan))
    except StoreUnavailable as error:
        fail(str(error), _AWAY, as_json)
    except ValueError as error:
        fail(f"--redis: {error}", _WRONG, as_json)
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines(found)))
    if not found["readable"]:
        raise typer.Exit(_AWAY)


@app.command("backfill")
def backfill(
    bundle: BundleDirectory,
    log: Log,
    redis: Redis = DEFAULT_REDIS,
    models: Models = None,
    people: Annotated[
        Path | None, typer.Option("--people", metavar="FILE", help="One person id a line; absent: everyone of whom anything is stored.")
    ] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make what is kept for features anew from the event log, for a feature that is new or a store that was lost.

    Each person's state is replaced whole, and only while no event comes in for them; else the log is read again, up to five times. Events
    from before the person agreed to the use of the profile do not count, and nothing is kept of who does not agree, or was
    erased. An event that the service logged and answered as uncounted counts twice when it is sent again afterwards.

    Exit codes: 0 done, 1 the store is away, or events kept coming in for some people, 2 the command, the key or the bundle is wrong.

    Example: liftgate features backfill --bundle my-bundle --log log --redis redis://localhost
    """
    from liftgate.adapters.redis_lists import IdFile
    from liftgate.domain.errors import BadInput, StoreUnavailable

    loaded, plan = _loaded(bundle, models, as_json)
    _need_pyarrow(as_json)
    ids: list[str] | None = None
    if people is not None:
        source = IdFile(people)
        try:
            ids = [person_id for _, person_id in source.ids(lambda share: None)]
        except BadInput as error:
            fail(str(error), _WRONG, as_json)
        if source.rejected:
            line, wants = source.rejected[0]
            fail(f"{people}: line {line} wants {wants}; nothing was changed", _WRONG, as_json)
    try:
        found = asyncio.run(_fill(redis, ids, log, loaded, plan, _key(log, key, as_json)))
    except StoreUnavailable as error:
        fail(str(error), _AWAY, as_json)
    except ValueError as error:
        fail(f"--redis: {error}", _WRONG, as_json)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        typer.echo(
            f"features of {found.written:,} of {counted(found.people, 'person', 'people')} from {counted(found.events, 'event')} in the log"
        )
        typer.echo(
            f"{found.without_events:,} without an event that matters, {found.without_consent:,} without consent to the use of the profile"
        )
        if found.erased:
            typer.echo(f"{found.erased:,} left out: erased")
        if found.strangers:
            typer.echo(f"in the log besides: {counted(found.strangers, 'person', 'people')} (or another pseudonym key)")
        if found.changed:
            typer.echo(f"{found.changed:,} stand as they were: events kept coming in; run it again", err=True)
    if found.changed:
        raise typer.Exit(_AWAY)


@app.command("at")
def at(
    bundle: BundleDirectory,
    log: Log,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Parquet file to write.")],
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Write what every feature was at every logged decision, from the event log alone: one row a decision, for training.

    Point in time: an event counts once it had been received, so nothing from after the decision does. What is missing is null. The person
    is the log's pseudonym. Consent at that time is not asked: rows of decisions made without it say so in the decision log.

    Exit codes: 0 written, 2 the command, the log or the bundle is wrong.

    Example: liftgate features at --bundle my-bundle --log log --out features.parquet
    """
    loaded, plan = _loaded(bundle, models, as_json)
    _need_pyarrow(as_json)
    from liftgate.app.cli.features_at import write

    try:
        rows = write(out, log, loaded, plan)
    except OSError as error:
        fail(f"--out {out}: {error.strerror}", _WRONG, as_json)
    said = {"decisions": rows, "features": len(plan.definitions), "file": str(out)}
    typer.echo(json.dumps(said) if as_json else f"{counted(rows, 'decision')} x {counted(len(plan.definitions), 'feature')} in {out}")


def _loaded(directory: Path, models: Path | None, as_json: bool) -> tuple[Bundle, FeaturePlan]:
    from liftgate.bundle.load import load_bundle
    from liftgate.domain.errors import BadInput
    from liftgate.signals.plan import FeaturePlan

    try:
        bundle = load_bundle(directory, models)
        plan = FeaturePlan(bundle.streams, {offer.offer_id: offer.group for offer in bundle.offers}, bundle.currency)
    except BadInput as error:
        fail(str(error), _WRONG, as_json)
    if not plan.definitions:
        fail(f"{directory}: no feature has a `from:`, so events keep none fresh; docs/signals.md says how to write one", _WRONG, as_json)
    return bundle, plan


def _key(log: Path, key: Path | None, as_json: bool) -> bytes:
    """Return the key of a log's pseudonyms."""
    from liftgate.app.cli.log_key import key_of_log

    return key_of_log(log, key, "without the key nobody in the log can be told", as_json)


async def _fill(redis: str, people: list[str] | None, log: Path, bundle: Bundle, plan: FeaturePlan, key: bytes) -> Any:
    from liftgate.adapters.redis_backfill import RedisBackfill
    from liftgate.adapters.redis_client import connect
    from liftgate.adapters.system import SystemClock
    from liftgate.app.backfill import backfill as fill
    from liftgate.app.erased_people import ErasedPeople
    from liftgate.app.known_people import names_of

    client = connect(redis, _BUDGET_MS, 1)
    try:
        store = RedisBackfill(client)
        ids = people if people is not None else [person async for person in store.people()]
        erased = await ErasedPeople(client, key).among(ids)
        return await fill(store, ids, log, bundle, plan, await names_of(client, key, ids), SystemClock().now_ms(), erased)
    finally:
        await client.close()


def _need_pyarrow(as_json: bool) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        fail("reading a log wants pyarrow: pip install 'liftgate[offline]'", _WRONG, as_json)
