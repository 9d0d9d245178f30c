"""`liftgate bundle`: what is wrong with a bundle and how to mend it, its digest, and its JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli import bundle_diff, bundle_explain, bundle_publish, bundle_test
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from rich.console import Console

    from liftgate.bundle.load import Checked

_HELP = """Check, test, explain, compare and publish bundles.

A bundle is a folder of *.yaml files that together say what can be shown, where, to whom, and how it is chosen.
Its sections: features, context, purposes, models, groups, offers, placements, layers, and rules over all offers.
docs/bundle.md explains each.

Example: liftgate bundle check examples/hillstrom/bundle
"""
_BAD = 1

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that holds the bundle's *.yaml files.")]
Models = Annotated[
    Path | None,
    typer.Option("--models", metavar="DIR", help="Folder of models/<name>/<version>/; default: models in DIR, else beside it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("check")
def check(directory: Directory, models: Models = None, as_json: AsJson = False) -> None:
    """Say everything that is wrong with a bundle at once: file, line, what, and how to mend it.

    Also warns of what works and is probably not meant, such as exploring too little to learn from the log.

    Exit codes: 0 the bundle is good (warnings do not change that), 1 it is not.

    Example: liftgate bundle check my-bundle --models models
    """
    from liftgate.bundle.load import check_bundle

    checked = check_bundle(directory, models)
    if as_json:
        typer.echo(json.dumps(report(checked), indent=2))
    else:
        _print(checked)
    if checked.bundle is None:
        raise typer.Exit(_BAD)


@app.command("digest")
def digest(directory: Directory, models: Models = None, as_json: AsJson = False) -> None:
    """Print the bundle's digest, as decisions and the log carry it.

    It is the SHA-256 of the bundle's canonical form: comments, layout, order of keys and split into files change
    nothing, every change of meaning does. Exit codes: 0 printed, 1 the bundle has mistakes (they go to stderr, and with
    --json, as `check` gives them, to stdout).

    Example: liftgate bundle digest my-bundle
    """
    from liftgate.bundle.load import check_bundle

    checked = check_bundle(directory, models)
    if checked.bundle is None:
        if as_json:
            typer.echo(json.dumps(report(checked), indent=2))
        else:
            for mistake in checked.mistakes:
                typer.echo(str(mistake), err=True)
        raise typer.Exit(_BAD)
    name, value = checked.bundle.name, checked.bundle.digest
    typer.echo(json.dumps({"name": name, "digest": value}) if as_json else value)


@app.command("schema")
def schema(tests: Annotated[bool, typer.Option("--tests", help="Of test tables, DIR/tests/*.yaml, instead.")] = False) -> None:
    """Print the JSON Schema of bundle files, for editors that complete and check while you write.

    Example: liftgate bundle schema > bundle-schema.json
    """
    typer.echo(schema_text(tests), nl=False)


def schema_text(tests: bool = False) -> str:
    """Return the published JSON Schema as docs/bundle-schema.json holds it, or docs/bundle-tests-schema.json of test tables."""
    if tests:
        from liftgate.app.cases.document import json_schema
    else:
        from liftgate.bundle.schema import json_schema

    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"


def report(checked: Checked) -> dict[str, Any]:
    """Return what `check --json` prints."""
    document: dict[str, Any] = {
        "good": checked.bundle is not None,
        "mistakes": [{"file": m.file, "line": m.line, "field": m.field, "problem": m.problem, "mend": m.mend} for m in checked.mistakes],
        "warnings": [{"file": c.file, "line": c.line, "field": c.field, "text": c.text} for c in checked.cautions],
    }
    if checked.bundle is not None:
        document |= {"name": checked.bundle.name, "digest": checked.bundle.digest, "counts": _counts(checked)}
        document["exploration"] = [
            {
                "placement": each.placement_id,
                "layer": each.layer or None,
                "arm": each.arm or None,
                "candidates": each.candidates,
                "policy": each.policy.kind,
                "epsilon": each.policy.epsilon if each.policy.kind == "epsilon_greedy" else None,
                "floor": each.policy.floor,
                "smallest_probability": each.smallest_probability,
                # JSON has no infinity.
                "largest_weight": each.largest_weight if each.smallest_probability else None,
            }
            for each in checked.exploration
        ]
    return document


def _counts(checked: Checked) -> dict[str, int]:
    from liftgate.bundle.rules import KINDS

    bundle = checked.bundle
    if bundle is None:
        return {}
    return {
        "features": bundle.schema.profile_count,
        "context inputs": len(bundle.schema.context),
        "purposes": len(bundle.purposes),
        "models": len(bundle.models),
        "offers": len(bundle.offers),
        "placements": len(bundle.placements),
        "conditions": sum(len(getattr(bundle, kind)) for kind in KINDS),
        "caps": len(bundle.caps),
        "layers": len(bundle.layers),
    }


def _print(checked: Checked) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if checked.bundle is None:
        _print_mistakes(console, checked)
    for caution in checked.cautions:
        console.print(f"{caution.place}  warning  {caution.field}", style="yellow", markup=False)
        console.print(f"    {caution.text}", markup=False)
    if checked.bundle is not None:
        _print_summary(console, checked)


def _print_mistakes(console: Console, checked: Checked) -> None:
    for mistake in checked.mistakes:
        console.print(f"{mistake.place}  {mistake.field}".rstrip(), style="bold red", markup=False)
        console.print(f"    {mistake.problem}", markup=False)
        console.print(f"    mend: {mistake.mend}", style="green", markup=False)
    count = len(checked.mistakes)
    console.print(f"{counted(count, 'mistake')}. The bundle cannot be used.", markup=False)


def _print_summary(console: Console, checked: Checked) -> None:
    from liftgate.domain.policy import in_words

    bundle = checked.bundle
    if bundle is None:
        return
    counts = ", ".join(f"{count} {noun if count != 1 else noun.removesuffix('s')}" for noun, count in _counts(checked).items())
    console.print(f"{bundle.name} is good", style="bold green", markup=False)
    console.print(f"  digest  {bundle.digest}", markup=False)
    console.print(f"  holds   {counts}", markup=False)
    for each in checked.exploration:
        weight = f"{each.largest_weight:,.1f}" if each.smallest_probability else "without bound"
        console.print(
            f"  {each.where}: {counted(each.candidates, 'candidate')}, {in_words(each.policy, bundle.currency)}: "
            f"smallest exploration probability {each.smallest_probability:.4g}, largest weight {weight}",
            markup=False,
        )


bundle_test.register(app)
bundle_diff.register(app)
bundle_explain.register(app)
bundle_publish.register(app)
