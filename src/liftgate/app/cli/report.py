"""`liftgate report`: one page of what a log says."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from liftgate.app.cli import measure_source as source
from liftgate.app.cli.measure_answer import ANSWERED, MISUSED, REFUSED
from liftgate.app.cli.measure_options import JSON_HELP, METRIC, Given, sharing
from liftgate.app.cli.say import fail


def register(app: typer.Typer) -> None:
    """Add `report` to the app."""
    app.command("report")(report)


@sharing("events", "read_at", "allow_gaps", "as_json", as_json=f"{JSON_HELP} The page is written as well.")
def report(
    given: Given,
    *,
    log: Annotated[
        Path, typer.Option("--log", metavar="DIR", envvar="LIFTGATE_LOG", help="The log, as `liftgate serve --log DIR` got it.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page, .html; one that is there is replaced.")],
    window: Annotated[str, typer.Option("--window", metavar="SPAN", help="How long after a decision outcomes count.")] = "7d",
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="COL[:KIND]", help="As for `measure lift`; the first decides. Default: purchase, purchase_value."),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="NAME", help="Layers to measure, the headline first; absent: the holdout of everything, and all."),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            "--segment",
            metavar="NAME",
            help="Where it works: placement, version, or an input of first decisions, such as context.device or profile.age (numbers "
            "in bands); may be repeated. Absent: placement, channel, device and the like.",
        ),
    ] = None,
    n_star: Annotated[
        int | None,
        typer.Option(
            "--n-star",
            metavar="N",
            min=1,
            help="The headline's N*: units of all arms, as it was frozen before the start; absent: as the bundle or a hypothesis has it.",
        ),
    ] = None,
    hypotheses: Annotated[
        Path | None, typer.Option("--hypotheses", metavar="DIR", help="Folder of hypothesis files, for backlog and track record.")
    ] = None,
    simulated: Annotated[
        Path | None, typer.Option("--simulated", metavar="FILE", help="What `liftgate simulate --json` printed for another bundle.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            metavar="FILE",
            help="What the models were trained on, for drift: a table with columns called as the log's inputs.",
        ),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep the tables of people and decisions that the numbers come from.")
    ] = None,
) -> None:
    """Write one page of what a log says: verdict, data, effect, course, funnel, parts, segments, scores, drift, policies, what to do.

    The page is one file that loads nothing and runs nothing. Every number on it is a number in the JSON of a command that it names.

    Exit codes: 0 written, with a verdict; 3 written, and the verdict is refused (the page says why, and what to do); 1 the page cannot be
    written; 2 asked wrongly.

    Example: liftgate report --log .liftgate/log --window 7d --out report.html

    Example: liftgate report --log log --out hero.html --metric purchase --layer hero-test --hypotheses hypotheses --segment device
    """
    if out.suffix != ".html":
        fail(f"--out {out}: name it .html", MISUSED, given.as_json)
    try:
        from liftgate.measure.refusal import Misused
        from liftgate.report.facts import Wanted, gather
        from liftgate.report.page import render, told

        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
        wanted = Wanted(
            log=log,
            events=given.events,
            window=window,
            window_ms=source.span_ms(window, "--window"),
            read_at=given.read_at,
            read_at_ms=source.time_ms(given.read_at, "--read-at"),
            metrics=tuple(metric or (METRIC, f"{METRIC}_value")),
            layers=tuple(layer or ()),
            segments=tuple(segment or ()),
            n_star=n_star,
            reference=reference,
            allow_gaps=given.allow_gaps,
            keep=keep,
            plan=partial(_plan, log),
            beside=_beside(hypotheses, simulated, given.as_json),
            beside_commands={} if hypotheses is None else _commands(hypotheses),
        )
        facts = told(gather(wanted))
        out.write_text(render(facts), encoding="utf-8")
    except ImportError as err:  # pragma: no cover
        fail(f"reporting needs more than serving: pip install 'liftgate[measure]' ({err})", MISUSED, given.as_json)
    except Misused as err:
        fail(str(err), MISUSED, given.as_json)
    except OSError as err:
        fail(f"{err.filename or out} cannot be written or read ({err.strerror})", 1, given.as_json)
    if given.as_json:
        typer.echo(json.dumps(facts | {"page": str(out)}, indent=2, allow_nan=False))
    else:
        _show(facts, out)
    raise typer.Exit(REFUSED if facts["verdict"]["level"] == "refused" else ANSWERED)


def _show(facts: dict[str, Any], out: Path) -> None:
    said = facts["verdict"]
    typer.echo(f"{said['what']} {said['why']}")
    for i, one in enumerate(facts["recommendations"], 1):
        typer.echo(f"{i}. {one['what']} {one['why']}")
    typer.echo(f"{out}: {out.stat().st_size / 1000:,.0f} kB.")


def _plan(log: Path, digest: str, at_ms: int) -> tuple[str, dict[str, Any]] | None:
    """Return the layers of a bundle that the log kept, as `layers show` prints them, and that command; None: it is not to be had."""
    from liftgate.adapters.bundle_archive import archive_path
    from liftgate.adapters.bundle_kept import read_kept
    from liftgate.app.layers.view import moment, shown

    path = archive_path(log, digest)
    kept = read_kept(log, digest, path.parent)
    if kept.written is None:
        return None
    return f"liftgate layers show {shlex.quote(str(path))} --at {moment(at_ms)}", shown(kept.written.bundle, at_ms)


def _commands(hypotheses: Path) -> dict[str, str]:
    folder = shlex.quote(str(hypotheses))
    return {"hypotheses": f"liftgate hypotheses list --dir {folder} --by ice", "learned": f"liftgate hypotheses learn --dir {folder}"}


def _beside(hypotheses: Path | None, simulated: Path | None, as_json: bool) -> dict[str, Any]:
    """Return the answers of other commands that the page shows."""
    found: dict[str, Any] = {}
    if simulated is not None:
        try:
            answer = json.loads(simulated.read_bytes())
        except (OSError, ValueError) as err:
            fail(f"--simulated {simulated} is no answer of `liftgate simulate --json` ({type(err).__name__})", MISUSED, as_json)
        if not isinstance(answer, dict) or answer.get("what", "simulate") != "simulate" or "refusal" not in answer:
            fail(f"--simulated {simulated} is no answer of `liftgate simulate --json`", MISUSED, as_json)
        found["simulated"] = answer
    if hypotheses is not None:
        from liftgate.app.cli.hypotheses import backlog_of, learned_of

        found["hypotheses"] = {"refusal": None} | backlog_of(hypotheses, "ice", as_json)
        found["learned"] = learned_of(hypotheses, as_json)
    return found
