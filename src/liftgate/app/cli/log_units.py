"""`liftgate log units`: which people share accounts, sessions or visitors, for measuring layers that are drawn by them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from liftgate.app.cli.log_key import key_of_log
from liftgate.app.cli.profiles import DEFAULT_REDIS, Redis
from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

_AWAY, _WRONG = 1, 2
_BUDGET_MS = 5_000.0


def units(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The log's directory, as `liftgate serve --log DIR` got it.")
    ],
    people: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="CSV with person_id and one of account_id, session_id, visitor_id: who was seen with what."),
    ],
    redis: Redis = DEFAULT_REDIS,
    key: Annotated[
        Path | None,
        typer.Option(
            "--pseudonym-key-file",
            metavar="FILE",
            envvar="LIFTGATE_PSEUDONYM_KEY_FILE",
            help="Key of the log's pseudonyms; absent: LIFTGATE_PSEUDONYM_KEY, or keys/pseudonym.key beside the log.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write which pseudonyms of a log are one account, session or visitor, so that layers drawn by them can be measured.

    An account has another pseudonym with each of its people, made with their own key, so that erasing one of them unlinks their rows from
    the others'. The table, DIR/units/table.parquet, joins them again for those who were not erased; `liftgate measure` takes it by itself.
    It holds no ids. It ties people together, so treat it as a backup of the store; an erasure removes it, and you make it anew.

    Exit codes: 0 written, 1 the store is away or DIR cannot be written, 2 the file, the key or the command is wrong.

    Example: liftgate log units log members.csv --redis redis://localhost
    """
    from liftgate.adapters.redis_client import connect
    from liftgate.app.unit_table import Row, read_memberships, rows_of, write
    from liftgate.domain.errors import BadInput, StoreUnavailable

    secret = key_of_log(directory, key, "without it no pseudonym can be told", as_json)

    async def made() -> list[Row]:
        client = connect(redis, _BUDGET_MS, 1)
        try:
            return await rows_of(client, secret, read_memberships(people))
        finally:
            await client.close()

    try:
        rows = asyncio.run(made())
        target = write(directory, rows)
    except BadInput as error:
        fail(str(error), _WRONG, as_json)
    except ValueError as error:
        fail(f"--redis: {error}", _WRONG, as_json)
    except StoreUnavailable as error:
        fail(str(error), _AWAY, as_json)
    except ImportError:
        fail("writing the table wants pyarrow: pip install 'liftgate[offline]'", _WRONG, as_json)
    except OSError as error:
        fail(f"{directory}: {error.strerror}", _AWAY, as_json)
    many = len({row.unit for row in rows})
    said = {"units": many, "pseudonyms": len(rows), "file": str(target)}
    typer.echo(json.dumps(said) if as_json else f"{counted(many, 'unit')} under {counted(len(rows), 'pseudonym')}: {target}")
