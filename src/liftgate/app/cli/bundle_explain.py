"""`liftgate bundle explain`: a bundle in plain words, for reviewers who do not read YAML."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli.say import fail

if TYPE_CHECKING:
    from rich.console import Console

    from liftgate.app.cli.bundle_explain_words import Statement
    from liftgate.bundle.load import Checked

_FAILED, _WRONG = 1, 2


def register(app: typer.Typer) -> None:
    """Add `explain` to the app."""
    app.command("explain")(explain)


def explain(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that holds the bundle's *.yaml files.")],
    name: Annotated[str | None, typer.Argument(metavar="[OFFER|PLACEMENT]", help="Only this offer or placement; absent: all.")] = None,
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="Folder of models/<name>/<version>/; default: models in DIR, else beside it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say in plain words what a bundle says: for each offer who may get it, when, where, how often, with which consent and review.

    Every statement names the file and line that it comes from; what an offer inherits from its group says so. Conditions that are simple
    become sentences, the others are quoted.

    Exit codes: 0 explained, 1 the bundle has mistakes, 2 the command was wrong or nothing has that name.

    Example: liftgate bundle explain my-bundle free-shipping
    """
    from liftgate.bundle.load import check_bundle
    from liftgate.bundle.mistake import did_you_mean

    checked = check_bundle(directory, models)
    bundle = checked.bundle
    if bundle is None:
        words = "\n".join(map(str, checked.mistakes))
        fail(f"{directory} has mistakes; `liftgate bundle check {directory}` shows them:\n{words}", _FAILED, as_json)
    known = (*bundle.offer_index, *bundle.placement_index)
    if name is not None and name not in known:
        fail(
            f"{bundle.name} has no offer or placement {name!r}; {did_you_mean(name, known, 'without a name, all are explained')}",
            _WRONG,
            as_json,
        )
    subjects = _subjects(checked, name)
    if as_json:
        shown = [
            {"kind": kind, "name": subject, "where": where, "statements": list(map(asdict, some))}
            for kind, subject, where, some in subjects
        ]
        typer.echo(json.dumps({"bundle": bundle.name, "digest": bundle.digest, "subjects": shown}, indent=2, ensure_ascii=False))
    else:
        _print(subjects)


def _subjects(checked: Checked, name: str | None) -> list[tuple[str, str, str, list[Statement]]]:
    """Return (kind, name, where, statements) of everything that was asked for."""
    from liftgate.app.cli.bundle_explain_whole import bundle_statements
    from liftgate.app.cli.bundle_explain_words import offer_statements, placement_statements

    draft, bundle = checked.draft, checked.bundle
    if bundle is None:
        return []
    found: list[tuple[str, str, str, list[Statement]]] = []
    if name is None:
        found.append(("bundle", bundle.name, draft.where(("bundle",)), bundle_statements(draft, bundle)))
    for placement in sorted(bundle.placement_index):
        if name in (None, placement):
            found.append(("placement", placement, draft.where(("placements", placement)), placement_statements(draft, placement)))
    for offer in sorted(bundle.offer_index):
        if name in (None, offer):
            found.append(("offer", offer, draft.where(("offers", offer)), offer_statements(draft, bundle, offer)))
    return found


def _print(subjects: list[tuple[str, str, str, list[Statement]]]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for i, (kind, name, where, statements) in enumerate(subjects):
        if i:
            console.print()
        _line(console, f"{kind} {name}", where, "bold")
        heading = ""
        for one in statements:
            if one.heading != heading:
                heading = one.heading
                console.print(f"  {heading}", style="bold dim", markup=False)
            _line(console, f"    - {one.text}", f"{one.where}{f', from group {one.inherited}' if one.inherited else ''}", "")


def _line(console: Console, text: str, place: str, style: Any) -> None:
    from rich.text import Text

    console.print(Text.assemble((text, style), (f"  [{place}]", "dim")))
