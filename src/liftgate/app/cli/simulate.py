"""`liftgate simulate`: what another bundle would have earned on the log there is; a gate for CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import (
    REFUSED,
    Answer,
    figure,
    percent,
    plain,
    print_table,
    say_refusal,
)
from liftgate.app.cli.measure_decisions import rule_of
from liftgate.app.cli.measure_options import DECISION_WINDOW, Given, sharing
from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from liftgate.bundle.difference import Written

_MISUSED, _GATE = 2, 4
_SHOWN_REASONS = 5


def register(app: typer.Typer) -> None:
    """Add `simulate` to the app."""
    app.command("simulate")(simulate)


@sharing("events", "rewarded", "window", "credit", "read_at", "allow_gaps", "engine", "as_json", window=DECISION_WINDOW)
def simulate(
    given: Given,
    *,
    bundle: Annotated[Path, typer.Option("--bundle", metavar="DIR", help="The bundle that might have decided.")],
    log: Annotated[
        Path, typer.Option("--log", metavar="DIR", envvar="LIFTGATE_LOG", help="The log, as `liftgate serve --log DIR` got it.")
    ],
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", envvar="LIFTGATE_MODELS", help="Folder of <name>/<version>/model.onnx; as for replay."),
    ] = None,
    max_unknown: Annotated[
        float, typer.Option("--max-unknown", metavar="SHARE", help="Refuse where the log cannot tell of more decisions than this.")
    ] = 0.1,
    min_ess_share: Annotated[
        float, typer.Option("--min-ess-share", metavar="SHARE", help="Refuse below this share of effective decisions.")
    ] = 0.01,
    no_worse_than: Annotated[
        float | None,
        typer.Option(
            "--no-worse-than",
            metavar="MARGIN",
            help="The gate: exit code 4 unless the whole 95 % interval of the difference lies above -MARGIN. 0: must be better.",
        ),
    ] = None,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="FILE", help="Keep the replay's table, .parquet.")] = None,
    replicates: Annotated[int, typer.Option("--replicates", help="Bootstrap samples over people.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap.")] = 0,
) -> None:
    """Say what a bundle would have earned a decision, had it decided instead, with an interval; or refuse.

    Every decision of the log is made again under its own bundle, which must give what the log says, and under this one. A decision then
    counts for as much as this bundle would have made it more often than the one that ran, with its outcome as it was. What people would
    have done next, had they seen something else before, is not in it: no counter moves.

    Refuses where the log cannot know: offers that it never showed, too few effective decisions, missing records, open windows.

    Exit codes: 0 answered (and the gate passed), 1 the log cannot be read, 2 asked wrongly, 3 refused, 4 the gate did not pass.

    Example: liftgate simulate --bundle my-bundle-next --log .liftgate/log --window 7d

    Example: liftgate simulate --bundle my-bundle-next --log .liftgate/log --metric purchase_value --no-worse-than 0.02 --json
    """
    if no_worse_than is not None and no_worse_than < 0:
        fail("--no-worse-than is a margin of 0 or more, in units of the metric", _MISUSED, given.as_json)
    if keep is not None and keep.suffix != ".parquet":
        fail(f"--keep {keep}: name it .parquet", _MISUSED, given.as_json)
    try:
        from liftgate.measure.envelope import enveloped
        from liftgate.measure.refusal import Misused, Refused
    except ImportError as err:  # pragma: no cover
        fail(f"simulating needs more than serving: pip install 'liftgate[measure]' ({err})", _MISUSED, given.as_json)
    from liftgate.app.cli.replay import given_bundle
    from liftgate.measure.engine import using
    from liftgate.measure.log import new_aside
    from liftgate.measure.ope_trust import Limits
    from liftgate.measure.simulate import value_bundle

    other = given_bundle(bundle, models, given.as_json)
    try:
        rule = rule_of(given)
        with using(given.engine), new_aside() as aside:
            table = keep or Path(aside) / "target.parquet"
            _replayed(log, models, other, table, given.as_json)
            found = value_bundle(
                table,
                log,
                given.events,
                rule,
                read_at_ms=source.time_ms(given.read_at, "--read-at"),
                max_unknown=max_unknown,
                allow_gaps=given.allow_gaps,
                limits=Limits(min_ess_share=min_ess_share),
                replicates=replicates,
                seed=seed,
            )
    except Misused as err:
        fail(str(err), _MISUSED, given.as_json)
    except Refused as err:
        found = {"refusal": err.refusal.as_json()}
    raise typer.Exit(_say(plain(enveloped("simulate", found)), other, no_worse_than, given.as_json))


def _replayed(log: Path, models: Path | None, given: Written, table: Path, as_json: bool) -> None:
    """Write the replay's table. Raises Refused where the log's own bundles do not give what it says."""
    import pyarrow as pa

    from liftgate.app.cli.bundle_diff_print import deciding
    from liftgate.app.counterfactual import write_counterfactual
    from liftgate.app.replaying import Having
    from liftgate.measure.refusal import Misused, Refused
    from liftgate.replay.again import Again
    from liftgate.replay.read import NotedDamage

    if not log.is_dir():
        raise Misused(f"--log {log}: no log is there")
    again: Again
    having = Having(log, models or Path("models"), given, lambda kind, name, said: again.found.note(kind, name, said))
    again = Again(having)
    try:
        with deciding(log, quiet=as_json) as advance:
            write_counterfactual(log, having, given, table, NotedDamage(again.found), again, advance)
    except (OSError, pa.ArrowException) as err:
        fail(f"the log cannot be read: {err}; `liftgate log verify {log}` says which file", 1, as_json)
    found = again.found
    if found.differing:
        raise Refused(
            "not_reproduced",
            f"{found.differing:,} of {counted(found.decisions, 'decision')} did not come out as the log says under their own bundle",
            f"`liftgate replay --log {log}` names what changed",
        )


def _say(found: Answer, given: Written, margin: float | None, as_json: bool) -> int:
    """Print the answer, and return the exit code."""
    import json

    gate: dict[str, Any] | None = None
    if margin is not None:
        passed = found["refusal"] is None and found["difference_ci_low"] > -margin
        gate = {"no_worse_than": margin, "passed": passed}
    found = {"bundle": given.bundle.name, "bundle_digest": given.bundle.digest} | found | {"gate": gate}
    if as_json:
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
    else:
        _show(found)
    return REFUSED if found["refusal"] else _GATE if gate is not None and not gate["passed"] else 0


def _show(found: Answer) -> None:
    if "decisions" in found:
        left = f"; {found['open_windows']:,} more left out, for their window is open" if found["open_windows"] else ""
        typer.echo(f"{counted(found['decisions'], 'decision')} for treated people{left}.")
    for words, n in list(found.get("unknown_because", {}).items())[:_SHOWN_REASONS]:
        typer.echo(f"{n:,} cannot be told: {words}.")
    if found.get("estimate") is not None:
        name, log = found["metric"], found["on_log"]["estimate"]
        print_table(
            f"{name} a decision",
            ["", "estimate", "95 % interval"],
            [
                ["as it was", figure(log), ""],
                [
                    f"under {found['bundle']} {found['bundle_digest'][:12]}",
                    figure(found["estimate"]),
                    f"{figure(found['ci_low'])} to {figure(found['ci_high'])}",
                ],
                [
                    "difference",
                    figure(found["difference"]),
                    f"{figure(found['difference_ci_low'])} to {figure(found['difference_ci_high'])}",
                ],
            ],
        )
        relative = found["difference"] / log if log else None
        seen = found["diagnostics"]
        typer.echo(f"That is {percent(relative)} of what was earned, by {found['estimator'].upper()}; {found['definition']}.")
        typer.echo(
            f"Effective decisions: {seen['ess']:,.0f} ({seen['ess_share']:.0%}); mean weight {figure(seen['mean_weight'])}, should be 1."
        )
        for words in found["warnings"]:
            typer.echo(f"Mind: {words}.")
    if found["gate"] is not None and not found["refusal"]:
        typer.echo(
            "The gate: passed."
            if found["gate"]["passed"]
            else f"The gate: NOT passed; it may be worse by {found['gate']['no_worse_than']:g} or more."
        )
    if found["refusal"]:
        say_refusal(found["refusal"])
