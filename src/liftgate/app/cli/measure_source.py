"""`liftgate measure ... --log DIR`: the options that turn a log into a table, the same for every question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from liftgate.measure.experiment import Asked, Made

ARM, CONTROL, METRIC, ROW, VERSION = "arm", "holdout", "purchase", "row", "version"
"""Columns of the table that a log becomes, and the control where no layer is named."""

LogOption = Annotated[Path | None, typer.Option("--log", metavar="DIR", help="A decision log, instead of --table: one row a person then.")]
EventsOption = Annotated[Path | None, typer.Option("--events", metavar="DIR", help="Where the event log is; absent: in --log.")]
LayerOption = Annotated[
    str,
    typer.Option("--layer", metavar="NAME", help="With --log: compare this layer's arms; absent: treatment against everybody held out."),
]
PlacementOption = Annotated[str, typer.Option("--placement", metavar="NAME", help="With --log: only decisions of this placement.")]
OfferOption = Annotated[
    list[str] | None,
    typer.Option("--offer", metavar="ID", help="With --log: `triggered` is 1 where one of these was chosen, shown or not; absent: any."),
]
WindowOption = Annotated[
    str, typer.Option("--window", metavar="SPAN", help="With --log: how long after a person's first decision outcomes count, such as 7d.")
]
BeforeOption = Annotated[
    str, typer.Option("--before", metavar="SPAN", help="With --log: also count events this long before, as `..._before`, for --covariate.")
]
SinceOption = Annotated[str, typer.Option("--since", metavar="TIME", help="With --log: people whose first decision came then or later.")]
UntilOption = Annotated[str, typer.Option("--until", metavar="TIME", help="With --log: people whose first decision came before.")]
ReadAtOption = Annotated[
    str,
    typer.Option("--read-at", metavar="TIME", help="With --log: windows open at this time are left out; absent: the log's latest moment."),
]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="NAME", help="Also an input, such as context.device; a person's is that of the first decision. `all`: each."
    ),
]
GapsOption = Annotated[bool, typer.Option("--allow-gaps", help="With --log: measure although records are missing from it.")]


@dataclass(frozen=True, slots=True)
class Source:
    """What a command was told about where its table comes from."""

    table: str
    log: Path | None
    events: Path | None = None
    layer: str = ""
    placement: str = ""
    offers: tuple[str, ...] = ()
    window: str = "7d"
    before: str = ""
    since: str = ""
    until: str = ""
    read_at: str = ""
    allow_gaps: bool = False
    inputs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    score: bool = False

    @contextmanager
    def opened(self) -> Iterator[tuple[str, Made | None]]:
        """Yield the path of the table, and how it was made of a log. Raises Misused, Refused."""
        from liftgate.measure.experiment import experiment_table
        from liftgate.measure.log import new_aside
        from liftgate.measure.refusal import Misused

        if bool(self.table) == (self.log is not None):
            raise Misused("say where the data is: either --table FILE or --log DIR")
        if self.log is None:
            yield self.table, None
            return
        with new_aside() as aside:
            path = Path(aside) / "experiment.parquet"
            yield str(path), experiment_table(self.log, self.events, self.asked(), path)

    def asked(self) -> Asked:
        """Return the options as what the table is asked for. Raises Misused."""
        from liftgate.measure.experiment import Asked

        return Asked(
            layer=self.layer,
            window_ms=span_ms(self.window, "--window") if self.window else 0,
            before_ms=span_ms(self.before, "--before") if self.before else 0,
            placement=self.placement,
            offers=self.offers,
            since_ms=time_ms(self.since, "--since"),
            until_ms=time_ms(self.until, "--until"),
            read_at_ms=time_ms(self.read_at, "--read-at"),
            allow_gaps=self.allow_gaps,
            inputs=self.inputs,
            groups=self.groups,
            score=self.score,
        )


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
    """Return the planned shares: those that were given, else what the log says, within each bundle where bundles are strata."""
    if found := tuple(given):
        return found
    if made is None:
        return ()
    return made.shares_within if made.shares_within and VERSION in named else made.shares


def show(found: dict[str, Any]) -> None:
    """Print what is to be known of the log that an answer comes from."""
    if "log" not in found:
        return
    one = found["log"]
    words = [f"{one['people']:,} people"]
    if one["open_windows"]:
        words.append(f"{one['open_windows']:,} more left out, for their window is open")
    if one["lost_records"]:
        words.append(f"{one['lost_records']:,} records are MISSING from the log")
    typer.echo("From the log: " + "; ".join(words) + ".")
