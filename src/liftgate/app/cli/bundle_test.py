"""`liftgate bundle test`: the bundle's own tables of cases, and which rules they saw at work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from liftgate.app.cli.say import fail
from liftgate.app.counted import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from liftgate.app.cases.coverage import Coverage
    from liftgate.app.cases.run import Ran
    from liftgate.bundle.compiled import Bundle
    from liftgate.bundle.mistake import Mistake

_FAILED, _WRONG = 1, 2


def register(app: typer.Typer) -> None:
    """Add `test` to the app."""
    app.command("test")(run_cases)


def run_cases(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that holds the bundle; its cases are in DIR/tests/*.yaml.")],
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="Folder of models/<name>/<version>/; default: models in DIR, else beside it."),
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.")] = None,
    min_coverage: Annotated[
        float | None, typer.Option("--min-coverage", metavar="PERCENT", min=0, max=100, help="Fail below this coverage of rules.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run the bundle's tables of cases, and say which rules they saw at work.

    A case is a person in a context at a placement, and what must come of it: which offers are allowed, why the others are not, what
    is chosen and answered. Cases run through the walk of the server with the bundle's own models; people, consent and contact history
    are kept in memory, and no store or log is touched. docs/bundle-tests.md has every key.

    Coverage: for each condition, cap, date, channel and purpose, whether some case saw it let an offer pass, deny one, and (for
    conditions) fail to tell. What no case has seen is listed with its line.

    Exit codes: 0 every case passed, 1 one failed, coverage is too low, or the bundle or a test file has mistakes, 2 the command was
    wrong or there are no cases.

    Example: liftgate bundle test my-bundle --junit results.xml --min-coverage 90
    """
    from liftgate.adapters.onnx_models import OnnxModels
    from liftgate.app.cases.coverage import coverage
    from liftgate.app.cases.junit import junit as as_junit
    from liftgate.app.cases.reading import plan
    from liftgate.app.cases.run import run
    from liftgate.bundle.load import check_bundle
    from liftgate.domain.errors import BadInput

    checked = check_bundle(directory, models)
    if checked.bundle is None:
        _mistaken(checked.mistakes, "The bundle cannot be used", as_json)
    bundle = checked.bundle
    planned = plan(directory, bundle)
    if planned.mistakes:
        _mistaken(sorted(set(planned.mistakes)), "Nothing was run", as_json)
    if not planned.cases:
        fail(f"{directory / 'tests'} holds no *.yaml with cases; docs/bundle-tests.md has a first one", _WRONG, as_json)
    try:
        loaded = OnnxModels.load(bundle)
    except BadInput as err:
        fail(str(err), _FAILED, as_json)
    ran = run(planned.cases, bundle, loaded)
    covered = coverage(checked.draft, bundle, ran)
    if junit is not None:
        try:
            junit.write_bytes(as_junit(ran, bundle))
        except OSError as err:
            fail(f"--junit {junit}: cannot be written ({err.strerror})", _WRONG, as_json)
    too_low = min_coverage is not None and covered.percent < min_coverage
    if as_json:
        typer.echo(json.dumps(report(bundle, ran, covered, min_coverage), indent=2, ensure_ascii=False))
    else:
        _print(bundle, ran, covered)
        if too_low:
            typer.echo(f"coverage is below the {min_coverage:g} % of --min-coverage", err=True)
    if too_low or not all(one.passed for one in ran):
        raise typer.Exit(_FAILED)


def report(bundle: Bundle, ran: Sequence[Ran], covered: Coverage, min_coverage: float | None) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "bundle": bundle.name,
        "digest": bundle.digest,
        "passed": sum(one.passed for one in ran),
        "failed": sum(not one.passed for one in ran),
        "cases": [
            {
                "file": one.planned.file,
                "line": one.planned.line,
                "name": one.planned.name,
                "passed": one.passed,
                "problems": one.problems,
                "seconds": round(one.took_s, 6),
            }
            for one in ran
        ],
        "coverage": {
            "percent": round(covered.percent, 2),
            "seen": covered.seen,
            "possible": covered.possible,
            "minimum": min_coverage,
            "rules": [
                {
                    "where": rule.where,
                    "owner": rule.owner,
                    "section": rule.section,
                    "text": rule.text,
                    "offers": [bundle.offers[k].offer_id for k in rule.offers],
                    "seen": {one.value: case for one, case in rule.seen.items()},
                    "missing": [one.value for one in rule.missing],
                }
                for rule in covered.rules
            ],
        },
    }


def _mistaken(mistakes: Iterable[Mistake], so: str, as_json: bool) -> NoReturn:
    """Show every mistake as `bundle check` does, and end."""
    every = list(mistakes)
    if as_json:
        listed = [{"file": m.file, "line": m.line, "field": m.field, "problem": m.problem, "mend": m.mend} for m in every]
        typer.echo(json.dumps({"good": False, "mistakes": listed}, indent=2, ensure_ascii=False))
    else:
        console = _console()
        for mistake in every:
            console.print(f"{mistake.place}  {mistake.field}".rstrip(), style="bold red", markup=False)
            console.print(f"    {mistake.problem}", markup=False)
            console.print(f"    mend: {mistake.mend}", style="green", markup=False)
        console.print(f"{counted(len(every), 'mistake')}. {so}.", markup=False)
    raise typer.Exit(_FAILED)


def _print(bundle: Bundle, ran: Sequence[Ran], covered: Coverage) -> None:
    console = _console()
    width = max(len(one.planned.place) for one in ran)
    for one in ran:
        console.print(
            f"{'pass' if one.passed else 'FAIL'}  {one.planned.place:<{width}}  {one.planned.name}",
            style="" if one.passed else "bold red",
            markup=False,
        )
        for problem in one.problems:
            console.print(f"      {problem}", style="red", markup=False)
    failed = sum(not one.passed for one in ran)
    words = f"{counted(len(ran), 'case')}: {'all passed' if not failed else f'{failed} failed'}"
    console.print(words, style="bold green" if not failed else "bold red", markup=False)
    console.print(f"coverage of rules: {covered.percent:.1f} % ({covered.seen} of {covered.possible})", markup=False)
    uncovered = [rule for rule in covered.rules if rule.missing]
    if uncovered:
        console.print("no case sees", style="yellow", markup=False)
        place = max(len(rule.where) for rule in uncovered)
        name = max(len(f"{rule.owner}.{rule.section}") for rule in uncovered)
        for rule in uncovered:
            what = " or ".join(one.value for one in rule.missing)
            console.print(f"  {rule.where:<{place}}  {rule.owner + '.' + rule.section:<{name}}  {what}: {rule.text}", markup=False)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)
