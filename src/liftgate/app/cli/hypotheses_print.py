"""How `liftgate hypotheses` shows a backlog and what was learned: for people, and as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from liftgate.app.cli.hypotheses_setup import layer_text
from liftgate.app.cli.measure_answer import figure, percent, print_table
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.measure.hypotheses import Hypothesis, Track


def row_of(one: Hypothesis, rank: int | None = None) -> dict[str, Any]:
    """Return a hypothesis with its scores and stage; with a rank, in a backlog."""
    ice = {} if one.ice is None else {"ice_product": one.ice.score, "ice_mean": one.ice.mean}
    pie = {} if one.pie is None else {"pie_mean": one.pie.score}
    ranked = {} if rank is None else {"rank": rank}
    return ranked | one.model_dump() | {"stage": one.stage, "scores": ice | pie}


def track_of(found: Track) -> dict[str, Any]:
    """Return what was learned as plain data."""
    return {
        "what": "learned",
        "guesses": [
            {
                "id": one.hypothesis.id,
                "expected_lift": one.hypothesis.expected_lift,
                "measured": one.measured.model_dump(),
                "error": one.error,
                "inside_interval": one.inside,
                "verdict": one.verdict,
            }
            for one in found.learned
        ],
        "mean_expected": found.mean_expected,
        "mean_measured": found.mean_measured,
        "optimism": found.optimism,
        "right_direction": found.right_direction,
        "inside_interval": found.inside,
        "with_interval": found.with_interval,
        "rank_agreement": found.rank_agreement,
        "definition": "optimism = mean of expected - measured lift; rank_agreement = Spearman of ICE and measured lift",
    }


def show_backlog(found: dict[str, Any]) -> None:
    """Print the backlog for people."""
    rows = [
        [
            str(one["rank"]),
            one["id"],
            figure(one["scores"].get("ice_product")),
            figure(one["scores"].get("pie_mean"), 3),
            percent(one["expected_lift"], 1),
            one["metric"],
            one["owner"],
            one["stage"],
        ]
        for one in found["hypotheses"]
    ]
    if not rows:
        typer.echo("No hypotheses yet: `liftgate hypotheses new` writes the first.")
        return
    print_table(f"Backlog by {found['by'].upper()}", ["", "hypothesis", "ICE", "PIE", "expected", "metric", "owner", "stage"], rows)
    typer.echo(f"{found['formula']['ice']}; {found['formula']['pie']}. They can rank differently.")


def show_one(found: dict[str, Any]) -> None:
    """Print what a file now says."""
    one = found["hypothesis"]
    typer.echo(f"{found['file']}: {one['stage']}.")
    if "ice_product" in one["scores"]:
        typer.echo(f"ICE {one['scores']['ice_product']} = {one['ice']['impact']} x {one['ice']['confidence']} x {one['ice']['ease']}")
    if "pie_mean" in one["scores"]:
        parts = " + ".join(str(one["pie"][name]) for name in ("potential", "importance", "ease"))
        typer.echo(f"PIE {one['scores']['pie_mean']:.2f} = ({parts}) / 3")
    if "setup" in found:
        setup = found["setup"]
        typer.echo(
            f"Experiment {setup['experiment_id']}: {setup['metric']}, {' and '.join(setup['arms'])} alike, "
            f"N* {counted(setup['n_star'], 'unit')} of all arms.\n"
            f"For the bundle, at a coverage of a tenth on the first day:\n\n{layer_text(setup)}\n\n"
            f"While it runs: {setup['look']}\nAt the end:    {setup['readout']}\n               {setup['learn']}"
        )


def show_learned(found: dict[str, Any]) -> None:
    """Print how good the guesses were."""
    rows = []
    for one in found["guesses"]:
        low, high = one["measured"]["ci_low"], one["measured"]["ci_high"]
        interval = "-" if low is None and high is None else f"{percent(low, 1)} to {percent(high, 1)}"
        rows.append([one["id"], percent(one["expected_lift"], 1), percent(one["measured"]["lift"], 1), interval, one["verdict"]])
    print_table("Guesses and what came", ["hypothesis", "expected", "measured", "interval", "verdict"], rows)
    n = len(rows)
    way = "high" if found["optimism"] > 0 else "low"
    typer.echo(
        f"On average guesses run {way} by {100 * abs(found['optimism']):.1f} points of lift; "
        f"the direction was right in {found['right_direction']} of {n}."
    )
    if found["with_interval"]:
        typer.echo(f"{found['inside_interval']} of {counted(found['with_interval'], 'guess', 'guesses')} within the measured interval.")
    if found["rank_agreement"] is not None:
        typer.echo(f"ICE and what came agree in rank by {found['rank_agreement']:+.2f} (1: perfectly, 0: not at all).")
