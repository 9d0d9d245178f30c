"""What came of it, as people would rather look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from programme import STEPS, Programme
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 18
MARKS = (("░", "grey50"), ("▒", "dark_orange"), ("█", "green"))
"""Of received, viewed, completed; they differ without colours too."""


def show(console: Console, programme: Programme, result: Mapping[str, Any]) -> None:
    """Print the funnel of each offer, of the members, and what was decided."""
    counted = result["funnel"]
    by_offer, most = counted["by_offer"], max((counts[0] for counts in counted["by_offer"].values()), default=1)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title="received → viewed → completed, and who is offered what now")
    table.add_column("offer", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=WIDTH)
    for name in (*(step.removeprefix("offer ") for step in STEPS), "now"):
        table.add_column(name, justify="right", no_wrap=True)
    # The best first.
    for offer, counts in sorted(by_offer.items(), key=lambda each: (-each[1][2] / max(each[1][0], 1), -each[1][1])):
        shares = (f"{counts[0]:,}", f"{counts[1]:,} {_share(counts[1], counts[0])}", f"{counts[2]:,} {_share(counts[2], counts[0])}")
        table.add_row(offer, nested(counts, most), *shares, f"{result['chosen'].get(offer, 0):,}")
    total = [sum(counts[step] for counts in by_offer.values()) for step in range(len(STEPS))]
    table.add_section()
    table.add_row("[bold]all", "", f"[bold]{total[0]:,}", f"[bold]{total[1]:,}", f"[bold]{total[2]:,}", f"[bold]{result['members']:,}")
    console.print(table, highlight=False)
    people, money = counted["members"], counted["money_usd"]
    console.print(
        f"Of {len(programme.members):,} members {people['received']:,} received an offer; after it {people['viewed']:,} viewed one and "
        f"{people['completed']:,} completed one, {people['completed'] - people['completed_of_viewed']:,} of these without "
        f"having viewed any. {counted['events']['transaction']:,} payments of ${money['paid']:,.2f} in all; "
        f"${money['rewards']:,.0f} in rewards.",
        highlight=False,
    )
    _verdicts(console, result["verdicts"])
    told = result["members"] - result["members_by_context_alone"]
    console.print(
        f"Every count equals a plain count of the file: {sum(counted['events'].values()):,} events by kind and offer, "
        f"{result['features_equal']:,} values of features in {result['members']:,} decisions, {sum(result['verdicts'].values()):,} "
        f"verdicts. {told:,} members were decided for by what they did, {result['members_by_context_alone']:,} by context alone.",
        style="bold",
        highlight=False,
    )
    console.print(f"The log lies in {result['log']}. All of it took {result['total_s']:.0f} s.", highlight=False)


def nested(counts: list[int], most: int) -> Text:
    """Return one bar on which all three begin at the left, the fewer before the more; `most` fills the width."""
    text, at = Text(), 0
    for count, (mark, colour) in zip(reversed(counts), reversed(MARKS), strict=True):
        end = max(round(count / most * WIDTH), int(count > 0))
        text.append(mark * max(end - at, 0), style=colour)
        at = max(at, end)
    return text


def _verdicts(console: Console, verdicts: Mapping[str, int]) -> None:
    words = {
        "ALLOWED": "could be offered",
        "CHANNEL_NOT_ALLOWED": "does not go out on the channel",
        "FREQUENCY_CAP": "they have looked at it, and it still runs",
        "NOT_SUITABLE": "not for them, by what they did",
        "SUITABILITY_UNKNOWN": "not known whether it is for them, so no",
    }
    most = max(verdicts.values())
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for reason, count in sorted(verdicts.items(), key=lambda each: -each[1]):
        bar = Text("█" * max(round(count / most * WIDTH), 1), style="green" if reason == "ALLOWED" else "grey50")
        table.add_row(f"{count:,}", bar, words.get(reason, reason.lower().replace("_", " ")))
    console.print(f"Of {sum(verdicts.values()):,} verdicts, each offer for each member:", highlight=False)
    console.print(table, highlight=False)
    console.print()


def _share(part: int, whole: int) -> str:
    return f"{part / whole:4.0%}" if whole else ""
