"""`liftgate layers`: what experiments and holdouts there are, who is in what, and whether the randomness holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli.say import fail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from liftgate.bundle.compiled import Bundle
    from liftgate.measure.hypotheses import Hypothesis

_HELP = """Look at a bundle's layers: holdouts, ablations, experiments, and the share with random propensities.

Each layer draws its units by a salt of its own, so layers are independent of one another. docs/experiments.md says how to define, ramp,
stop and read one.

Example: liftgate layers show examples/hillstrom/bundle
"""
_BAD, _WRONG = 1, 2

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

Directory = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="Folder that holds the bundle's *.yaml files; or LOG/bundles/DIGEST.json, as a log keeps it."),
]
Models = Annotated[
    Path | None,
    typer.Option("--models", metavar="DIR", help="Folder of models/<name>/<version>/; default: models in DIR, else beside it."),
]
At = Annotated[str | None, typer.Option("--at", metavar="TIME", help="As of this moment, such as 2026-11-01T00:00:00Z; absent: now.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("show")
def show(directory: Directory, models: Models = None, at: At = None, as_json: AsJson = False) -> None:
    """Show every layer: its arms and their ranges, coverage, dates, whom it looks at, and what it is to show.

    The picture of a layer is its whole range of units from left to right: a letter is an arm in use, a dot is kept for an arm by a
    coverage below 1, a blank belongs to no arm.

    Exit codes: 0 shown, 2 the bundle has mistakes or the command was wrong.

    Example: liftgate layers show my-bundle --at 2026-12-24T00:00:00Z
    """
    from liftgate.app.layers.view import shown

    found = shown(_bundle(directory, models, as_json), _moment(at, as_json))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from liftgate.app.cli.layers_print import show_layers

    show_layers(found)


@app.command("who")
def who(
    directory: Directory,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The person's id, as requests send it; empty: not known.")] = "",
    account: Annotated[str, typer.Option("--account", help="The account or household that requests name.")] = "",
    session: Annotated[str, typer.Option("--session", help="The session that requests name.")] = "",
    visitor: Annotated[str, typer.Option("--visitor", help="The visitor that requests name.")] = "",
    placement: Annotated[str, typer.Option("--placement", help="At this placement; absent: wherever a layer looks.")] = "",
    channel: Annotated[str | None, typer.Option("--channel", help="On this channel; absent: wherever a layer looks.")] = None,
    models: Models = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Say where each layer puts one person, and why. A pure function of the ids: nothing is looked up, so it holds on every server.

    A layer with a condition (`if:`), and a bundle that asks for consent to experiments, decide the rest from the profile at each
    decision; `liftgate explain` says how a decision came out.

    Exit codes: 0 answered, 2 the bundle has mistakes or the command was wrong.

    Example: liftgate layers who my-bundle customer-17 --account household-3 --placement home.hero
    """
    from liftgate.app.layers.view import Asked, whose

    units = {kind: unit for kind, unit in (("person", person), ("account", account), ("session", session), ("visitor", visitor)) if unit}
    if not units:
        fail("name a PERSON, --account, --session or --visitor", _WRONG, as_json)
    bundle = _bundle(directory, models, as_json)
    place = bundle.placement_index.get(placement) if placement else None
    if placement and place is None:
        fail(f"there is no placement {placement}; the bundle has {', '.join(bundle.placement_index)}", _WRONG, as_json)
    found = whose(bundle, Asked(units, place, channel, _moment(at, as_json)))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from liftgate.app.cli.layers_print import show_whose

    show_whose(found)


@app.command("check")
def check(
    directory: Directory,
    ids: Annotated[int, typer.Option("--ids", min=10_000, max=20_000_000, help="Made-up units to count.")] = 1_000_000,
    baseline: Annotated[
        float | None, typer.Option("--baseline", metavar="X", help="What the control has: a rate, or a mean with --sd.")
    ] = None,
    sd: Annotated[float | None, typer.Option("--sd", metavar="X", help="Standard deviation of a unit: the metric is a mean.")] = None,
    lift: Annotated[str, typer.Option("--lift", metavar="X%", help="Relative effect looked for; absent: the hypothesis's.")] = "",
    effect: Annotated[float | None, typer.Option("--effect", metavar="X", help="Absolute effect looked for, instead of --lift.")] = None,
    traffic: Annotated[
        float | None, typer.Option("--traffic-per-day", metavar="N", help="New units a day where the layer looks, in an arm or not.")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="How often no effect may look like one, two-sided.")] = 0.05,
    power: Annotated[float, typer.Option("--power", help="How often the effect is found if it is there.")] = 0.8,
    hypotheses: Annotated[Path, typer.Option("--hypotheses", metavar="DIR", help="Folder of hypothesis files; layers name theirs.")] = Path(
        "hypotheses"
    ),
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Check that layers draw as they say, explore enough, and can show what they are to show.

    Counts made-up ids in every layer: shares as declared, buckets even, each pair of layers independent (chi-square, all looks together
    object to a right draw once in ten thousand). Then, by placement, the smallest probability that exploration gives an offer and the
    largest importance weight that follows from it. Then the units and days that each layer needs for its effect.

    Exit codes: 0 all is well, 1 the draw is not what it says, 2 the bundle has mistakes or the command was wrong.

    Example: liftgate layers check my-bundle --baseline 0.04 --traffic-per-day 5000
    """
    from liftgate.app.cli.layers_print import Progress, show_check

    bundle = _bundle(directory, models, as_json)
    try:
        from liftgate.app.layers.check import Wanted, checked

        wanted = Wanted(baseline, sd, _share(lift) if lift else None, effect, traffic, alpha, power)
        with Progress(ids, quiet=as_json) as progress:
            found = checked(bundle, ids, wanted, _hypotheses(hypotheses, as_json), progress.more)
    except ValueError as err:
        fail(str(err), _WRONG, as_json)
    except ImportError as err:  # pragma: no cover
        fail(f"checking needs more than serving: pip install 'liftgate[measure]' ({err})", _WRONG, as_json)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show_check(found)
    raise typer.Exit(_BAD if found["objections"] else 0)


def _bundle(directory: Path, models: Path | None, as_json: bool) -> Bundle:
    from liftgate.bundle.load import load_bundle
    from liftgate.bundle.mistake import BundleError

    if directory.suffix == ".json":
        from liftgate.adapters.bundle_kept import read_kept

        kept = read_kept(directory.parent.parent, directory.stem, models or directory.parent)
        if kept.written is None:
            fail(kept.problem, _WRONG, as_json)
        return kept.written.bundle
    try:
        return load_bundle(directory, models)
    except BundleError as err:
        fail("\n".join([f"{directory} has mistakes:", *(f"  {mistake}" for mistake in err.mistakes)]), _WRONG, as_json)


def _moment(at: str | None, as_json: bool) -> int:
    from liftgate.adapters.system import SystemClock
    from liftgate.bundle.duration import timestamp_ms

    try:
        return SystemClock().now_ms() if at is None else timestamp_ms(at)
    except ValueError as err:
        fail(f"--at {at} {err}; write 2026-11-01T00:00:00Z", _WRONG, as_json)


def _share(text: str) -> float:
    """Return 0.05 of `5%` or `0.05`. Raises ValueError."""
    try:
        return float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise ValueError(f"--lift {text!r} is no share; write 5% or 0.05") from None


def _hypotheses(folder: Path, as_json: bool) -> Mapping[str, Hypothesis]:
    from liftgate.app.backlog import read_backlog

    if not folder.is_dir():
        return {}
    backlog = read_backlog(folder)
    if backlog.mistakes:
        fail("\n".join(str(mistake) for mistake in backlog.mistakes), _WRONG, as_json)
    filed: dict[str, Any] = {name: each.hypothesis for name, each in backlog.filed.items()}
    return filed
