"""`liftgate measure ... --log DIR`: what the options mean that turn a log into a table, the same for every question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liftgate.app.cli.measure_options import Given
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.measure.experiment import Asked, Made

ARM, CONTROL, ROW, VERSION = "arm", "holdout", "row", "version"
"""Columns of the table that a log becomes, and the control where no layer is named."""


@contextmanager
def opened(given: Given, *, groups: Sequence[str] = (), score: bool = False) -> Iterator[tuple[str, Made | None]]:
    """Yield the path of the table, and how it was made of a log. Raises Misused, Refused."""
    from liftgate.measure.experiment import experiment_table
    from liftgate.measure.log import new_aside

    one_source(given)
    if given.log is None:
        yield given.table, None
        return
    with new_aside() as aside:
        path = Path(aside) / "experiment.parquet"
        yield str(path), experiment_table(given.log, given.events, asked(given, groups=groups, score=score), path)


def asked(given: Given, *, inputs: Sequence[str] = (), groups: Sequence[str] = (), score: bool = False) -> Asked:
    """Return the options as what the table of a log is asked for. Raises Misused."""
    from liftgate.measure.experiment import Asked

    return Asked(
        layer=given.layer,
        window_ms=span_ms(given.window, "--window") if given.window else 0,
        before_ms=span_ms(given.before, "--before") if given.before else 0,
        placement=given.placement,
        offers=tuple(given.offer or ()),
        since_ms=time_ms(given.since, "--since"),
        until_ms=time_ms(given.until, "--until"),
        read_at_ms=time_ms(given.read_at, "--read-at"),
        allow_gaps=given.allow_gaps,
        inputs=tuple(inputs),
        groups=tuple(groups),
        score=score,
    )


def one_source(given: Given) -> None:
    """Raise Misused unless there is a table or a log, and not both."""
    from liftgate.measure.refusal import Misused

    if bool(given.table) == (given.log is not None):
        raise Misused("say where the data is: either --table FILE or --log DIR")


def span_ms(text: str, option: str) -> int:
    """Return a length such as `7d` in milliseconds. Raises Misused."""
    from liftgate.measure.moments import seconds_of

    return round(1000 * seconds_of(text, option))


def time_ms(text: str, option: str) -> int | None:
    """Return a moment such as `2026-11-22T08:00:00Z` in milliseconds since 1970, None for an empty text. Raises Misused."""
    from liftgate.measure.moments import timestamp_of

    return round(1000 * timestamp_of(text, option)) if text else None


def said_of(made: Made | None) -> dict[str, Any]:
    """Return what an answer says of the log that it comes from; nothing of a table."""
    return {} if made is None else made.as_json()


def role(said: str, usual: str, made: Made | None, option: str) -> str:
    """Return the column (or arm) that was named, else the one that a log's table has. Raises Misused where there is neither."""
    from liftgate.measure.refusal import Misused

    if said or (made is not None and usual):
        return said or usual
    if made is not None:
        raise Misused(f"--layer wants {option} with the arm that the others are held against")
    raise Misused(f"--table wants {option}")


def strata(named: Iterable[str], made: Made | None, path: str, where: str = "", option: str = "") -> tuple[str, ...]:
    """Return the strata. Raises Refused where several bundles decided the rows and nobody asked to compare within each.

    `option`: the command's own that does so; empty: it has none.
    """
    found = tuple(named)
    if made is not None and made.versions > 1 and VERSION not in found:
        from liftgate.app.cli.measure_decisions import require_one_version

        within = f"compare within each: {option} {VERSION}; or " if option else ""
        require_one_version(path, where, f"{within}measure one alone, with --since and --until, or --where \"{VERSION} = '...'\"")
    return found


def shares(given: Iterable[str], named: Iterable[str], made: Made | None) -> tuple[str, ...]:
    """Return the planned shares: those that were given, else what the log says, within each bundle where bundles are strata.

    Raises Misused where nobody said of which of the log's layers.
    """
    from liftgate.measure.refusal import Misused

    if found := tuple(given):
        return found
    if made is None:
        return ()
    if made.choice:
        raise Misused(
            f"the log has {len(made.choice)} layers that may be meant: name one with --layer ({', '.join(made.choice)}), or say "
            f"with --share what was planned for treatment and {CONTROL}"
        )
    return made.shares_within if made.shares_within and VERSION in named else made.shares


def show(found: dict[str, Any]) -> None:
    """Print what is to be known of the log that an answer comes from."""
    if "log" not in found:
        return
    one = found["log"]
    words = [f"{counted(one['people'], 'person', 'people')}" + (f" of layer {one['layer']}" if one["layer"] else "")]
    if one["open_windows"]:
        words.append(f"{one['open_windows']:,} more left out, for their window is open")
    if one["lost_records"]:
        words.append(f"{counted(one['lost_records'], 'record')} MISSING from the log")
    typer.echo("From the log: " + "; ".join(words) + ".")
