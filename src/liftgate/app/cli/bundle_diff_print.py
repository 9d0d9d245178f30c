"""How `liftgate bundle diff` shows differences: for people, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from liftgate.app.counted import counted
from liftgate.bundle.difference import Change, Written
from liftgate.bundle.layer_changes import Running
from liftgate.bundle.mistake import Caution, Mistake
from liftgate.replay.compare import Comparison

_SIGN = {"added": "+", "removed": "-", "changed": "~"}
_STYLE = {"added": "green", "removed": "red", "changed": "yellow"}
_FILE_WIDTH = 200


def document(before: Written, after: Written, changes: Sequence[Change], layers: Running, found: Comparison | None) -> dict[str, Any]:
    """Return what `--json` prints."""
    whole: dict[str, Any] = {
        "old": {"name": before.bundle.name, "digest": before.bundle.digest},
        "new": {"name": after.bundle.name, "digest": after.bundle.digest},
        "same": before.bundle.digest == after.bundle.digest,
        "changes": [asdict(change) for change in changes],
        "running_layers": {
            "opens": list(layers.opens),
            "carry_over": [asdict(one) for one in layers.carry_over],
            "publish_refuses": [asdict(one) for one in layers.refused],
        },
    }
    if found is not None:
        whole["log"] = _logged(found, after.bundle.currency)
    return whole


def _logged(found: Comparison, currency: str) -> dict[str, Any]:
    compared = max(found.compared, 1)
    return {
        "decisions": found.read,
        "made_under_other_bundles": dict(found.other_bundle),
        "cannot_be_decided_again": dict(found.not_again),
        "reproduced": found.reproduced,
        "not_reproduced": found.not_reproduced,
        "reproduction_rate": found.reproduction,
        "mismatches": found.mismatches,
        "not_known_under_new": dict(found.unknowable),
        "compared": found.compared,
        "people": {"compared": found.people.count, "exact": found.people.exact},
        "changed": {
            "decisions": found.changed,
            "people": found.changed_people.count,
            "would_offer_of_held_out": found.changed_would_offer,
        },
        "offers": [
            {
                "offer": name,
                "before": share.before,
                "after": share.after,
                "share_before": share.before / compared,
                "share_after": share.after / compared,
            }
            for name, share in sorted(found.offers.items())
        ],
        "reasons": [
            {"offer": offer, "before": was, "after": now, "decisions": count} for (offer, was, now), count in sorted(found.reasons.items())
        ],
        "expected_value": {"currency": currency, "decisions": found.treated, "before": found.value_before, "after": found.value_after},
        "examples": [asdict(example) for example in found.examples],
    }


def show(before: Written, after: Written, changes: Sequence[Change], layers: Running, found: Comparison | None) -> None:
    """Print the difference for a person to read."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"{before.bundle.name} {before.bundle.digest[:12]} -> {after.bundle.name} {after.bundle.digest[:12]}", style="bold"))
    if not changes:
        console.print(
            Text("The two say the same." if before.bundle.digest == after.bundle.digest else "No difference that a rule could show.")
        )
    section = None
    entry: tuple[str, str] | None = None
    for change in changes:
        if change.section != section:
            section = change.section
            console.print(Text(section or "head", style="bold"))
        if not change.key:
            _whole(console, change)
            entry = None
            continue
        if entry != (change.section, change.name):
            entry = (change.section, change.name)
            concerned = f"  (for {', '.join(change.offers)})" if change.offers else ""
            console.print(Text.assemble(("  ~ ", "yellow"), change.name, (concerned, "dim")))
        _key(console, change)
    _show_running(console, layers)
    if found is not None:
        _show_log(Console(highlight=False, width=None if console.is_terminal else _FILE_WIDTH), found, after.bundle.currency)


def _show_running(console: Console, layers: Running) -> None:
    """Print what becomes of layers that run."""
    if not (layers.opens or layers.carry_over or layers.refused):
        return
    console.print(Text("layers that run", style="bold"))
    for text in layers.opens:
        console.print(f"  {text}: everybody is drawn afresh")
    for caution in layers.carry_over:
        console.print(Text.assemble(("  warning  ", "yellow"), f"{caution.field}: {caution.text}", (_at(caution), "dim")))
    for mistake in layers.refused:
        console.print(
            Text.assemble(("  publish refuses  ", "red"), f"{mistake.field}: {mistake.problem}; {mistake.mend}", (_at(mistake), "dim"))
        )


def _at(one: Caution | Mistake) -> str:
    return f"  {one.file}:{one.line} (new)" if one.file else ""


def _whole(console: Console, change: Change) -> None:
    words = f" {change.before} -> {change.after}" if change.kind == "changed" else f" {change.before or change.after}".rstrip()
    places = " -> ".join(place for place in (change.before_at, change.after_at) if place)
    line = Text.assemble((f"  {_SIGN[change.kind]} {change.name}{words}", _STYLE[change.kind]), (f"  {places}", "dim"))
    console.print(line)


def _key(console: Console, change: Change) -> None:
    if change.kind == "changed":
        console.print(Text.assemble(("      - ", "red"), f"{change.key}: {change.before}", (f"  {change.before_at} (old)", "dim")))
        console.print(Text.assemble(("      + ", "green"), f"{change.key}: {change.after}", (f"  {change.after_at} (new)", "dim")))
        return
    text, place = (change.after, f"{change.after_at} (new)") if change.kind == "added" else (change.before, f"{change.before_at} (old)")
    console.print(Text.assemble((f"      {_SIGN[change.kind]} ", _STYLE[change.kind]), f"{change.key}: {text}", (f"  {place}", "dim")))


def _show_log(console: Console, found: Comparison, currency: str) -> None:
    console.print()
    console.print(Text(f"{counted(found.read, 'decision')} in the log", style="bold"))
    for digest, count in found.other_bundle.most_common():
        console.print(Text(f"  {count:,} made under another bundle ({digest[:12]}): left aside"))
    _causes(console, "cannot be decided again", found.not_again)
    style = "green" if found.decided_again and not found.not_reproduced else "red"
    rate = f"{found.reproduction:.4%} of {counted(found.decided_again, 'decision')} come out under OLD as the log says"
    console.print(Text(f"  {rate}", style=style))
    for mismatch in found.mismatches:
        console.print(Text(f"    {mismatch}", style="red"))
    if found.not_reproduced or not found.decided_again:
        return
    _causes(console, "of which the record does not say what NEW would do", found.unknowable)
    about = "" if found.people.exact else "about "
    console.print(Text(f"  compared: {counted(found.compared, 'decision')} for {about}{counted(found.people.count, 'person', 'people')}"))
    if not found.compared:
        return
    share = found.changed / found.compared
    who = f"{about}{counted(found.changed_people.count, 'person', 'people')}"
    words = f"NEW would have answered {counted(found.changed, 'decision')} otherwise ({share:.2%}), for {who}"
    console.print(Text(words, style="bold"))
    if found.changed_would_offer:
        console.print(
            Text(f"  and would have offered something else to held-out people in {counted(found.changed_would_offer, 'decision')}")
        )
    if found.treated:
        was, now = found.value_before / found.treated, found.value_after / found.treated
        change = f"{now - was:+.4f}; in all {found.value_after - found.value_before:+,.2f}"
        console.print(Text(f"  expected value a decision: {was:.4f} -> {now:.4f} {currency} ({change})"))
    _shares(console, found)
    _reasons(console, found)
    for example in found.examples:
        console.print(Text(f"  {example.decision_id}  {_listed(example.before)} -> {_listed(example.after)}"))


def _causes(console: Console, words: str, causes: Counter[str]) -> None:
    if causes:
        console.print(Text(f"  {sum(causes.values()):,} {words}", style="yellow"))
        for why, count in causes.most_common():
            console.print(Text(f"    {count:,}  {why}"))


def _shares(console: Console, found: Comparison) -> None:
    moved = {name: share for name, share in found.offers.items() if share.before != share.after}
    if not moved:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("offer", overflow="fold")
    for title in ("served", "would be", "share", "would be"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, share in sorted(moved.items(), key=lambda item: item[1].before - item[1].after):
        shares = (f"{share.before / found.compared:.2%}", f"{share.after / found.compared:.2%}")
        table.add_row(Text(name), f"{share.before:,}", f"{share.after:,}", *shares, style="green" if share.after > share.before else "red")
    console.print(table)


def _reasons(console: Console, found: Comparison) -> None:
    if not found.reasons:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for title in ("offer", "reason", "would be"):
        table.add_column(title, overflow="fold")
    table.add_column("decisions", justify="right", no_wrap=True)
    for (offer, was, now), count in sorted(found.reasons.items(), key=lambda item: (item[0][0], -item[1])):
        table.add_row(Text(offer), was, now, f"{count:,}")
    console.print(table)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


@contextmanager
def deciding(log: Path, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how many decisions are done, on stderr, where that is a terminal."""
    if quiet:
        yield lambda _: None
        return
    columns = (TextColumn("deciding again"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("deciding again", total=_rows(log))
        yield lambda count: bar.update(task, advance=count)


def _rows(log: Path) -> int | None:
    """Return how many decisions the log holds; None: it has segments, and counting them would be reading them."""
    import pyarrow.parquet as pq

    sealed = {path.stem for path in log.glob("decision-*.parquet")}
    if any(path.stem not in sealed for pattern in ("decision-*.seg", "decision-*.open") for path in log.glob(pattern)):
        return None
    return sum(int(pq.ParquetFile(path).metadata.num_rows) for path in log.glob("decision-*.parquet"))
