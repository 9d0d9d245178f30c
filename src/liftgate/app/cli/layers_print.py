"""How `liftgate layers` prints what it found."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

import typer

from liftgate.app.counted import counted

_WIDTH = 64
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+*"
"""One an arm: an experiment has at most 64."""
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")


class Progress:
    """A bar on stderr while ids are counted; nothing where nobody watches."""

    def __init__(self, total: int, quiet: bool) -> None:
        """`total`: how many there are."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("counting ids"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty())
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def more(self, count: int) -> None:
        """Take note of so many more."""
        self._bar.advance(self._task, count)


def picture(arms: list[dict[str, Any]], width: int = _WIDTH) -> str:
    """Return a layer's range: a letter for an arm in use, a dot for what is kept for one, a blank for neither; small arms one letter."""
    cells = [" "] * width
    for arm in arms:
        for cell in range(round(arm["from"] * width), round(arm["to"] * width)):
            cells[cell] = "."
    # The largest first: small ones are not painted over.
    for letter, arm in sorted(zip(_LETTERS, arms, strict=False), key=lambda one: -float(one[1]["share"])):
        first, last = round(arm["from"] * width), round(arm["in_use_to"] * width)
        if arm["share"] > 0:
            for cell in range(first, last) if last > first else (min(int(arm["from"] * width), width - 1),):
                cells[cell] = letter
    return "".join(cells)


def show_layers(found: dict[str, Any]) -> None:
    """Print every layer with its picture."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text.assemble((found["bundle"], "bold"), f"  {found['digest'][:12]}"))
    if not found["layers"]:
        console.print("It has no layers: nobody is held out, and nothing is tried. docs/experiments.md begins with a holdout.")
    if found["experiment_purpose"]:
        console.print(Text(f"Only who has consented to {found['experiment_purpose']} is in any of them."))
    for layer in found["layers"]:
        console.print()
        what = f"  {layer['kind']} by {layer['unit']}, phase {layer['phase']}, {layer['state']}"
        console.print(Text.assemble((layer["layer"], "bold"), what))
        drawn = Text("  |")
        for cell in picture(layer["arms"]):
            drawn.append(cell, style=_COLOURS[_LETTERS.index(cell) % len(_COLOURS)] if cell in _LETTERS else "dim")
        console.print(drawn.append("|"))
        for i, arm in enumerate(layer["arms"]):
            owns = arm["to"] - arm["from"]
            used = "" if arm["in_use_to"] >= arm["to"] else f" of {owns * layer['space']:.4%} that it owns"
            legend = f"  {_LETTERS[i]} {arm['arm']}: {arm['share']:.4%} of units{used}"
            console.print(Text(legend, style=_COLOURS[i % len(_COLOURS)]))
        for line in _facts(layer):
            console.print(Text(f"    {line}", style="dim"))
    for name, parts in found["namespaces"].items():
        console.print()
        console.print(Text.assemble(("namespace ", ""), (name, "bold"), "  nobody is in two of its layers"))
        drawn_parts = [{"from": p["from"], "to": p["to"], "in_use_to": p["to"], "share": p["to"] - p["from"]} for p in parts]
        console.print(Text(f"  |{picture(drawn_parts)}|"))
        for letter, part in zip(_LETTERS, parts, strict=False):
            console.print(Text(f"  {letter} {part['layer']}: {part['from']:g} to {part['to']:g}, {part['state']}"))


def _facts(layer: dict[str, Any]) -> list[str]:
    said = []
    if layer["coverage"] not in (None, 1.0):
        said.append(f"coverage {layer['coverage']:g}: raising it moves nobody who is in")
    if layer["from"] or layer["until"]:
        said.append(" ".join(f"{key} {layer[key]}" for key in ("from", "until") if layer[key]))
    for key in ("placements", "channels", "withholds"):
        if layer[key] is not None:
            said.append(f"{key}: {', '.join(layer[key])}")
    if layer["if"]:
        said.append(f"if {layer['if']}")
    if layer["answer"]:
        said.append(f"answers {layer['answer']}")
    stated = [f"{key} {layer[key]:,}" if key == "n_star" else f"{key} {layer[key]}" for key in _STATED if layer[key]]
    return [*said, *([", ".join(stated)] if stated else []), f"salt {' / '.join(layer['salt'])}   {layer['source']}"]


_STATED = ("owner", "hypothesis", "metric", "n_star")


def show_whose(found: dict[str, Any]) -> None:
    """Print where each layer puts one unit."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    wide = max((len(one["layer"]) for one in found["layers"]), default=0)
    for one in found["layers"]:
        arm = (one["arm"], "bold green") if one["arm"] else ("not in it", "yellow")
        console.print(Text.assemble(f"{one['layer']:<{wide}}  ", arm, f"  {one['why']}"), soft_wrap=True)
        if one["if"]:
            console.print(Text(f"{'':<{wide}}  if the profile says so at the decision: {one['if']}", style="dim"))
    if not found["layers"]:
        console.print("The bundle has no layers.")
    if found["experiment_purpose"]:
        console.print(Text(f"All of this only with consent to {found['experiment_purpose']}.", style="dim"))


def show_check(found: dict[str, Any]) -> None:
    """Print what `check` found."""
    from liftgate.app.cli.measure_answer import figure, print_table

    rows = [
        [one["layer"] if i == 0 else "", arm["arm"], f"{arm['expected']:.4%}", f"{arm['counted']:.4%}", *(_p(one) if i == 0 else ["", ""])]
        for one in found["layers"]
        for i, arm in enumerate(one["arms"])
    ]
    if rows:
        print_table(f"Shares over {counted(found['ids'], 'id')}", ["layer", "arm", "declared", "counted", "p shares", "p even"], rows)
    if found["pairs"]:
        worst = min(found["pairs"], key=lambda pair: pair["p"])
        count = len(found["pairs"])
        which = f"{worst['one']} and {worst['other']}"
        typer.echo(f"Independence: {counted(count, 'pair')} of draws, smallest p {worst['p']:.3g} ({which}).")
        typer.echo(f"Below {found['limit']:.2g} any p would be an objection.")
    rows = [
        [each["where"], str(each["candidates"]), figure(each["smallest_probability"]), _weight(each["largest_weight"])]
        for each in found["exploration"]
    ]
    print_table("Exploration, all candidates allowed", ["where", "offers", "smallest probability", "largest weight"], rows)
    rows = [
        [one["layer"], one["control"], figure(one["effect"]), _whole(one["units"]), _whole(one["days"]), _whole(one["n_star"])]
        for one in found["plans"]
    ]
    if rows:
        print_table("What each layer needs", ["layer", "against", "effect", "units in arms", "days", "n_star"], rows)
    for one in found["plans"]:
        for note in one["notes"]:
            typer.echo(f"Note: {one['layer']}: {note}.")
        if one["effect_at_n_star"] is not None:
            typer.echo(f"Note: {one['layer']}: at n_star the smallest effect that shows is {one['effect_at_n_star']:.4g}, absolute.")
    for objection in found["objections"]:
        typer.secho(f"WRONG: {objection}", fg="red")
    typer.echo("The draw is what it says." if not found["objections"] else "Do not run experiments on this draw.")


def _p(one: dict[str, Any]) -> list[str]:
    return [f"{one['p_shares']:.3g}", f"{one['p_even']:.3g}"]


def _weight(weight: float | None) -> str:
    return "without bound" if weight is None else f"{weight:,.1f}"


def _whole(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"
