"""Options that questions share, each declared once: what it is called, its help, and its value where nobody says anything.

    @sharing("table", "log", "where", "engine", "as_json", table="One row a unit.")
    def question(given: Given, *, bins: Annotated[int, typer.Option("--bins")] = 10) -> None:

The question gets those that it names in `given`, whose other fields have their defaults; a keyword replaces an option's help. In --help
they come in the order of `Given`, its own behind them, and those of LAST at the end.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

TABLE_HELP = "CSV (plain or .gz) or Parquet file, or a pattern of them in quotes."
JSON_HELP = "Print JSON."
METRIC, DUCKDB = "purchase", "duckdb"
DECISION_LOG = "A decision log, instead of a table: one row a decision for a treated person."
DECISION_WINDOW = "With --log: how long after a decision it counts."
LAST = ("share", "where", "engine", "as_json")
PEOPLE = ("table", "log", "events", "layer", "placement", "offer", "window", "since", "until", "read_at", "allow_gaps")
"""What turns a log into a row a person."""
DECISIONS = ("log", "events", "rewarded", "window", "credit", "read_at", "allow_gaps")
"""What turns a log into a row a decision."""


@dataclass(frozen=True, slots=True)
class Given:
    """What was said; see each option's help."""

    table: Annotated[str, typer.Option("--table", metavar="FILE", help=TABLE_HELP)] = ""
    log: Annotated[Path | None, typer.Option("--log", metavar="DIR", help="A decision log, instead of --table: one row a person then.")] = (
        None
    )
    events: Annotated[Path | None, typer.Option("--events", metavar="DIR", help="Where the event log is; absent: in --log.")] = None
    layer: Annotated[
        str,
        typer.Option(
            "--layer", metavar="NAME", help="With --log: compare this layer's arms; absent: those of the log's one holdout of everything."
        ),
    ] = ""
    placement: Annotated[str, typer.Option("--placement", metavar="NAME", help="With --log: only decisions of this placement.")] = ""
    offer: Annotated[
        list[str] | None,
        typer.Option(
            "--offer", metavar="ID", help="With --log: `triggered` is 1 where one of these was chosen, shown or not; absent: any."
        ),
    ] = None
    rewarded: Annotated[
        str,
        typer.Option("--metric", metavar="KIND[_value]", help="With --log: the event that is the outcome; with _value what it was worth."),
    ] = METRIC
    window: Annotated[
        str,
        typer.Option("--window", metavar="SPAN", help="With --log: how long after a person's first decision outcomes count, such as 7d."),
    ] = "7d"
    credit: Annotated[
        str,
        typer.Option("--credit", metavar="NAME", help="With --log: events that name no decision belong to the last, first or each before."),
    ] = "last"
    before: Annotated[
        str,
        typer.Option("--before", metavar="SPAN", help="With --log: also count events this long before, as `..._before`, for --covariate."),
    ] = ""
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="With --log: people whose first decision came then or later.")] = ""
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="With --log: people whose first decision came before.")] = ""
    read_at: Annotated[
        str,
        typer.Option(
            "--read-at", metavar="TIME", help="With --log: windows open at this time are left out; absent: the log's latest moment."
        ),
    ] = ""
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="With --log: measure although records are missing from it.")] = False
    unit: Annotated[
        str,
        typer.Option(
            "--unit", metavar="COL|row", help="Column of what was randomised, such as the customer; `row` where every row is one."
        ),
    ] = ""
    arm: Annotated[str, typer.Option("--arm", metavar="COL", help="Column of the arm.")] = ""
    control: Annotated[
        str, typer.Option("--control", metavar="VALUE", help="The arm that the others are held against; with --log: holdout unless named.")
    ] = ""
    share: Annotated[
        list[str] | None,
        typer.Option(
            "--share",
            metavar="ARM=WEIGHT",
            help="Planned share of an arm, as a weight; repeat for every arm, or say `unknown`. "
            "Left out: equal shares, or a round holdout that fits; with --log: what the log says.",
        ),
    ] = None
    where: Annotated[
        str,
        typer.Option(
            "--where", metavar="EXPR", help="Only rows that meet this condition in SQL, such as \"country = 'NL' and age >= 18\"."
        ),
    ] = ""
    engine: Annotated[
        str,
        typer.Option("--engine", metavar="duckdb|spark", help="What reads the table: embedded, or Spark (liftgate[spark] and Java 17)."),
    ] = DUCKDB
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False


def sharing(*names: str, **helps: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what makes a typer command of a question: its first parameter is `given`, the others are options of its own."""
    shared = [_parameter(one.name, one.default, helps.get(one.name)) for one in fields(Given) if one.name in names]

    def decorate(question: Callable[..., None]) -> Callable[..., None]:
        own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in inspect.signature(question, eval_str=True).parameters.values()]
        every = [one for one in shared if one.name not in LAST] + own[1:] + [one for one in shared if one.name in LAST]

        @functools.wraps(question)
        def command(**said: Any) -> None:
            question(Given(**{one.name: said.pop(one.name) for one in shared}), **said)

        # What typer reads; the question's own says `given`.
        command.__annotations__ = {one.name: one.annotation for one in every}
        command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]  # what typer reads options from
        return command

    return decorate


def _parameter(name: str, default: Any, words: str | None) -> inspect.Parameter:
    annotation = _HINTS[name]
    if words is not None:
        kind, option = get_args(annotation)
        option = copy(option)
        option.help = words
        annotation = Annotated[kind, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_HINTS = get_type_hints(Given, include_extras=True)
