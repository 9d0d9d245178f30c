"""How `liftgate replay` shows what came of it: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from liftgate.app.counted import counted
from liftgate.replay.again import Replayed

if TYPE_CHECKING:
    from liftgate.replay.counterfactual import Counterfactual

_SHOWN = 20


def document(found: Replayed, missing: Sequence[str], other: Counterfactual | None, code: int) -> dict[str, Any]:
    """Return what `--json` prints."""
    whole: dict[str, Any] = {
        "decisions": found.decisions,
        "reproduced": found.reproduced,
        "differing": found.differing,
        "not_again": found.not_again,
        "exit_code": code,
        "bundles": [asdict(one) | {"not_again": dict(one.not_again)} for one in found.bundles.values()],
        "changed": [asdict(one) for one in found.changed.values() if one.kind != "result"],
        "otherwise": [asdict(one) for one in found.changed.values() if one.kind == "result"],
        "missing_models": list(missing),
        "largest_deviation": {"score": found.score_deviation, "probability": found.probability_deviation},
    }
    if other is not None:
        whole["counterfactual"] = {
            "bundle_digest": other.digest,
            "rows": other.rows,
            "usable": other.usable,
            "not_usable": dict(other.why),
            "unsupported_rows": other.unsupported_rows,
            "unsupported_probability": other.unsupported_mass / other.first_slots if other.first_slots else None,
            "decisions": other.first_slots,
            "answered_otherwise": other.changed,
        }
    return whole


def show(found: Replayed, missing: Sequence[str], other: Counterfactual | None) -> None:
    """Print it for a person to read."""
    console = Console(highlight=False, soft_wrap=True)
    for under in found.bundles.values():
        share = under.reproduced / under.decisions
        style = "green" if under.reproduced == under.decisions else "yellow"
        name = f"{under.name} {under.digest[:12]}".strip()
        console.print(
            Text(f"{name}: {under.reproduced:,} of {counted(under.decisions, 'decision')} came out as logged ({share:.2%})", style=style)
        )
        for why, count in under.not_again.most_common():
            console.print(f"  {count:,} could not be decided again: {why}", markup=False)
    for words in dict.fromkeys(missing):
        console.print(f"Missing: {words}", style="red", markup=False)
    changed = [one for one in found.changed.values() if one.kind != "result"]
    for one in changed[:_SHOWN]:
        console.print(Text(f"Changed {one.kind}: {one.name}", style="red"))
        console.print(f"  {one.said}{_of(one.decisions, one.example)}", markup=False)
    results = [one for one in found.changed.values() if one.kind == "result"]
    for one in results[:_SHOWN]:
        console.print(Text(f"Came out otherwise: {one.name}", style="red"))
        console.print(f"  {one.said}{_of(one.decisions, one.example)}", markup=False)
    left = max(len(changed) - _SHOWN, 0) + max(len(results) - _SHOWN, 0)
    if left:
        console.print(f"  and {left} more: --json has them all")
    if found.reproduced:
        console.print(
            f"Largest deviation: scores {found.score_deviation:.1e} (at most 1e-06), probabilities {found.probability_deviation:.1e} "
            "(at most 1e-12)"
        )
    if other is not None:
        _show_other(console, other)


def _of(decisions: int, example: str) -> str:
    count = f"; {counted(decisions, 'decision')}" if decisions else ""
    return count + (f", first {example}" if example else "")


def _show_other(console: Console, other: Counterfactual) -> None:
    console.print(f"Under {other.digest[:12]}: {other.usable:,} of {counted(other.rows, 'row')} with a target probability")
    for why, count in other.why.most_common():
        console.print(f"  {count:,} without: {why}", markup=False)
    if other.first_slots:
        mass = other.unsupported_mass / other.first_slots
        console.print(
            f"  {other.changed:,} of {counted(other.first_slots, 'decision')} would have answered something else by the same draw; "
            f"{mass:.4f} of the probability is on what the log could not have shown ({counted(other.unsupported_rows, 'row')})"
        )
