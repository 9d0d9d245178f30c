"""How `liftgate measure` answers: JSON or a page for people, what is refused and what was asked wrongly, and the exit code for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from liftgate.app.cli.measure_options import Given
from liftgate.app.cli.say import fail

if TYPE_CHECKING:
    from rich.table import Table

ANSWERED, MISUSED, REFUSED = 0, 2, 3
_UNBOUNDED = 10_000
"""Characters: wider than any table."""
Answer = dict[str, Any]
"""What a command found, as plain data. Its key `refusal` is a dict with code, why and what_to_do, or None."""


def answer(what: str, given: Given, compute: Callable[[], Answer], show: Callable[[Answer], None]) -> NoReturn:
    """Run `compute` on the engine that was named, print what it found (`show` prints it for people), end: 0 answered, 3 refused, 2 misuse.

    Import what is heavy (liftgate.measure and all below it) inside `compute`. It refuses by raising `Refused`, or by filling `refusal`
    beside the figures that it still can give. JSON always has all of `liftgate.measure.envelope.KEYS`; `what` is the command's name,
    empty for one that measures nothing: its JSON has `refusal` alone in any case.
    """
    as_json, told = given.as_json, False
    try:
        from liftgate.measure.envelope import enveloped
        from liftgate.measure.refusal import Misused, Refused
    except ImportError as err:  # pragma: no cover
        fail(f"measuring needs more than serving: pip install 'liftgate[measure]' ({err})", MISUSED, as_json)
    try:
        from liftgate.measure.engine import using

        with using(given.engine):
            found, told = compute(), True
    except Misused as err:
        fail(str(err), MISUSED, as_json)
    except Refused as err:
        found = {"refusal": err.refusal.as_json()}
    except MemoryError:
        found = {
            "refusal": {"code": "too_little_memory", "why": "the machine has too little memory for this", "what_to_do": "ask about less"}
        }
    except ImportError as err:
        fail(f"measuring needs more than serving: pip install 'liftgate[measure]' ({err})", MISUSED, as_json)
    found = plain(enveloped(what, found) if what else {"refusal": None} | found)
    if as_json:
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
    else:
        if told and len(found) > 1:
            show(found)
        if found["refusal"]:
            say_refusal(found["refusal"])
    raise typer.Exit(REFUSED if found["refusal"] else ANSWERED)


def plain(value: Any) -> Any:
    """Return the value as JSON can hold it; see `liftgate.measure.plain`, which is not loaded before it is needed."""
    from liftgate.measure.plain import plain as as_json_holds_it

    return as_json_holds_it(value)


def say_refusal(refusal: Mapping[str, str]) -> None:
    """Print a refusal for people."""
    typer.echo(f"\nRefused ({refusal['code']}): {refusal['why']}.\nWhat to do: {refusal['what_to_do']}.")


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = ()) -> list[str]:
    """Print a table: texts to the left, figures to the right. Return the `spare` columns left out, in this order, for want of width."""
    from rich.console import Console

    console, left_out = Console(highlight=False, markup=False), list[str]()
    for name in ("", *spare):
        left_out += [name] if name else []
        kept = [i for i, column in enumerate(header) if column not in left_out]
        page = _page(title, [header[i] for i in kept], [[row[i] for i in kept] for row in rows])
        if console.measure(page, options=console.options.update(max_width=_UNBOUNDED)).maximum <= console.width:
            break
    console.print(page)
    return left_out


def _page(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table

    page = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for i, name in enumerate(header):
        page.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        page.add_row(*row)
    return page


def figure(value: float | None, digits: int = 4) -> str:
    """Return a number for people: significant digits, and a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


def percent(value: float | None, digits: int = 2) -> str:
    """Return a share for people, with its sign, and a dash where there is none."""
    return "-" if value is None else f"{100 * value:+.{digits}f} %"
