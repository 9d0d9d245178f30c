"""What the demo prints: for people, with rich; or one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from liftgate.client import Candidate, Decision
from liftgate.demo.lift import Lift, percentile, share_fits
from liftgate.demo.people import person_id
from liftgate.demo.run import Outcome
from liftgate.demo.traffic import IN_FLIGHT
from liftgate.demo.visits import Visit
from liftgate.domain.reason import Arm

_P = (0.5, 0.99)


def summary(outcome: Outcome) -> dict[str, Any]:
    """Return everything that a run has shown as plain values."""
    evidence, answers = outcome.evidence, outcome.answers
    found, refused = _lift(outcome)
    treated, untouched = outcome.planted
    return {
        "people": outcome.options.people,
        "people_stored": outcome.stored,
        "decisions": len(answers.decisions),
        "unanswered": answers.unanswered,
        "seconds": round(outcome.total_s, 2),
        "decisions_per_s": round(rate(outcome), 1),
        "alone_ms": {f"p{p * 100:g}": round(percentile(answers.alone_s, p) * 1000, 3) for p in _P},
        "busy_ms": {f"p{p * 100:g}": round(percentile(answers.busy_s, p) * 1000, 3) for p in _P},
        "server_stages_ms": {f"p{p * 100:g}": round(percentile(evidence.server_ms, p), 3) for p in _P},
        "by_reason": _named(evidence.reasons),
        "by_arm": _named(evidence.arms),
        "by_branch": _named(evidence.branches),
        "held_back_by": _named(evidence.held_back),
        "offered": dict(evidence.offered.most_common()),
        "log": {
            "directory": str(outcome.options.log),
            "bytes": evidence.bytes,
            "decisions": evidence.decisions,
            "exposures": evidence.exposures,
            "purchases": evidence.purchases,
            "acknowledged_but_missing": outcome.missing,
            "damaged": evidence.damaged,
            "gaps": evidence.gaps,
        },
        "lift": None
        if found is None
        else {
            "treatment": {"people": found.treatment.people, "buyers": found.treatment.buyers},
            "holdout": {"people": found.holdout.people, "buyers": found.holdout.buyers},
            "difference": found.difference,
            "interval_95": [found.low, found.high],
            "relative": found.relative,
        },
        "lift_refused": refused,
        "planted": {"treated": treated, "untouched": untouched, "difference": treated - untouched, "relative": treated / untouched - 1},
        "bundle_digest": outcome.bundle.digest,
    }


def rate(outcome: Outcome) -> float:
    """Return decisions a second with many in flight."""
    answers = outcome.answers
    return len(answers.busy_s) / answers.busy_wall_s if answers.busy_wall_s else float("nan")


def show(console: Console, outcome: Outcome) -> None:
    """Print what a run has shown."""
    console.print()
    console.print(_speed(outcome))
    console.print(_shares(outcome))
    console.print(_held_back(outcome))
    console.print(_worth(outcome))
    if outcome.explained is not None:
        console.print(_explained(*outcome.explained))
    console.print(_log(outcome))
    _next(console, outcome)


def _speed(outcome: Outcome) -> Panel:
    answers, evidence = outcome.answers, outcome.evidence
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_row(Text(f"{rate(outcome):,.0f} decisions/s", style="bold green"), f"{IN_FLIGHT} calls in flight, from one Python process")
    table.add_row(_ms(answers.alone_s, 1000), "one call at a time, as the caller sees it")
    table.add_row(_ms(answers.busy_s, 1000), f"{IN_FLIGHT} in flight, as the caller sees it: mostly its own queue")
    table.add_row(_ms(evidence.server_ms, 1), "in the service's stages, for the whole batch (from the log)")
    note = Text("Callers, service and store share this machine. `make bench` measures the service alone.", style="dim")
    return Panel(Group(table, note), title="How fast", title_align="left", box=box.ROUNDED)


def _ms(ordered: list[float], factor: float) -> Text:
    low, high = (percentile(ordered, p) * factor for p in _P)
    return Text(f"p50 {low:.2f} ms  p99 {high:.2f} ms")


def _shares(outcome: Outcome) -> Panel:
    evidence = outcome.evidence
    tables = [_share("by reason", evidence.reasons), _share("by arm", evidence.arms), _share("by branch", evidence.branches)]
    return Panel(
        Columns(tables, padding=(0, 3)), title=f"What {evidence.decisions:,} decisions came to", title_align="left", box=box.ROUNDED
    )


def _share(title: str, counted: Mapping[Any, int], of: str = "of decisions") -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column(title)
    table.add_column(of, justify="right")
    total = sum(counted.values()) or 1
    for member, count in Counter(counted).most_common():
        table.add_row(_words(member), f"{count / total:.1%}")
    return table


def _held_back(outcome: Outcome) -> Panel:
    evidence = outcome.evidence
    offers = Counter(evidence.offered).most_common(8)
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    shown.add_column("most shown")
    shown.add_column("times", justify="right")
    for offer, count in offers:
        shown.add_row(offer, f"{count:,}")
    why = _share("held back because", dict(Counter(evidence.held_back).most_common(8)), "of all held back")
    return Panel(Columns([shown, why], padding=(0, 3)), title="The gate", title_align="left", box=box.ROUNDED)


def _worth(outcome: Outcome) -> Panel:
    found, refused = _lift(outcome)
    treated, untouched = outcome.planted
    if found is None:
        return Panel(f"No lift is printed: {refused}. Try more people: --people 20000.", title="What it was worth", title_align="left")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for title in ("", "people", "buyers", "per 100 people"):
        table.add_column(title, justify="left" if not title else "right")
    for name, group in (("treatment", found.treatment), ("holdout", found.holdout)):
        table.add_row(name, f"{group.people:,}", f"{group.buyers:,}", f"{group.rate * 100:.2f}")
    truth = treated - untouched
    holds = found.low <= truth <= found.high
    measured = Text.assemble(
        ("Measured lift  ", "bold"),
        (f"{found.difference * 100:+.2f}", "bold green"),
        f" buyers per 100 people, 95 % interval {found.low * 100:+.2f} to {found.high * 100:+.2f}, relative {found.relative:+.0%}",
    )
    planted = Text.assemble(
        ("Planted truth  ", "bold"),
        (f"{truth * 100:+.2f}", "bold cyan"),
        f" buyers per 100 people, relative {treated / untouched - 1:+.0%}; ",
        ("the interval holds it." if holds else "the interval misses it, as 1 in 20 intervals should.", "green" if holds else "yellow"),
    )
    evidence = outcome.evidence
    share = outcome.bundle.layers[0].share
    everyone = found.holdout.people + found.treatment.people
    fine = (
        "Measured from the log alone: everyone counts in the arm that they were assigned to, whether they saw anything or not. "
        f"Truth: the mean chance to buy of the same {everyone:,} people after what the service chose for each (for the holdout: "
        "would have chosen), minus their chance untouched. "
        f"Holdout {found.holdout.people / everyone:.2%}, declared {share:.0%}: "
        f"{'fits' if share_fits(found.holdout.people, everyone, share) else 'DOES NOT FIT'}; "
        f"{evidence.moved} decisions moved anyone between arms."
    )
    return Panel(
        Group(table, measured, planted, Text(fine, style="dim")), title="What it was worth", title_align="left", box=box.ROUNDED, style=""
    )


def _explained(visit: Visit, decision: Decision) -> Panel:
    parts: list[Any] = [Text.assemble((f"{visit.person_id} at {visit.placement}: ", "bold"), _request(visit))]
    if decision.explanation is not None:
        parts.append(Text(decision.explanation.summary, style="bold green"))
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
        for title in ("allowed", "P(buy)", "x value", "= worth", "P(chosen)", ""):
            table.add_column(title, justify="left" if title in ("allowed", "") else "right", no_wrap=True)
        parts.append(table)
        for one in sorted(decision.explanation.candidates, key=lambda one: (-_worth_of(one), one.offer_id)):
            if one.propensity is None or one.value is None or one.selection_probability is None:
                rule = f" ({one.rule})" if one.rule else ""
                parts.append(Text.assemble((f"  not {one.offer_id}: ", "yellow"), (f"{one.text}{rule}", "dim")))
                continue
            numbers = (f"{one.propensity:.3f}", f"{one.value:.2f}", f"{_worth_of(one):.2f}", f"{one.selection_probability:.3f}")
            chosen = one.reason == "CHOSEN"
            table.add_row(one.offer_id, *numbers, "chosen" if chosen else "", style="bold green" if chosen else None)
    return Panel(Group(*parts), title="One decision in words", title_align="left", box=box.ROUNDED)


def _worth_of(one: Candidate) -> float:
    return (one.propensity or 0.0) * (one.value or 0.0)


def _request(visit: Visit) -> str:
    attributes = "".join(f", {name} {value:g}" for name, value in visit.context.attributes.items() if isinstance(value, float))
    return f"{visit.context.channel}, {visit.context.device}{attributes}"


def _log(outcome: Outcome) -> Panel:
    evidence, answers = outcome.evidence, outcome.answers
    good = not outcome.wrong
    text = Text.assemble(
        (f"{evidence.decisions:,} decisions, {evidence.exposures:,} exposures and {evidence.purchases:,} purchases in ", ""),
        (str(outcome.options.log), "bold"),
        f" ({evidence.bytes / 2**20:,.0f} MiB, {len(evidence.verdict.files)} segments).\n",
        (
            f"{outcome.missing} of {len(answers.decisions):,} acknowledged decisions missing, "
            f"{evidence.gaps} gaps, {evidence.damaged} damaged, "
            f"{answers.unanswered} calls unanswered. SIGTERM drained the server in {outcome.drain_s:.1f} s.",
            "green" if good else "bold red",
        ),
    )
    return Panel(text, title="The record", title_align="left", box=box.ROUNDED)


def _next(console: Console, outcome: Outcome) -> None:
    log, bundle = relative(outcome.options.log), relative(Path(__file__).parent / "bundle")
    visit = outcome.explained[0] if outcome.explained else None
    who = visit.person_id if visit else person_id(0)
    tries = (
        ("make serve", "the same shop, kept running; then, in another terminal:"),
        (f".venv/bin/liftgate decide --person {who} --placement home.hero --channel web --explain", "ask it, and why"),
        (f".venv/bin/liftgate log cat {log} --limit 1 --one", "one decision as it was recorded"),
        (f".venv/bin/liftgate log verify {log}", "prove that nothing is missing"),
        (f".venv/bin/liftgate replay --log {log} --models {bundle.parent / 'models'}", "decide all of it again: it comes out as logged"),
        (
            f".venv/bin/liftgate report --log {log} --window 1h --read-at 2100-01-01 --out report.html",
            "what it was worth, on one page (the demo's people are done, so no window is waited for)",
        ),
        (f".venv/bin/liftgate bundle check {bundle}", "the rules; change one and see"),
        ("make hillstrom", "64,000 real customers of a randomised campaign"),
        ("make bench", "what a decision costs, against an empty call"),
    )
    console.print("\n[bold]Try next[/bold]")
    for command, meaning in tries:
        console.print(Text.assemble((f"  # {meaning}\n", "dim"), (f"  {command}", "cyan")), soft_wrap=True)


def relative(path: Path) -> Path:
    """Return a path as it is shortest to type from here."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path


def _lift(outcome: Outcome) -> tuple[Lift | None, str]:
    try:
        return outcome.evidence.lift(), ""
    except ValueError as err:
        return None, str(err)


def _named(counted: Mapping[Any, int]) -> dict[str, int]:
    return {member.name: count for member, count in Counter(counted).most_common()}


def _words(member: IntEnum) -> str:
    return "held out" if member is Arm.HOLDOUT else member.name.lower().replace("_", " ")
