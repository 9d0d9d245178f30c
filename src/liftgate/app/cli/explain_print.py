"""How explanations are shown to a person: the sentence, the offers that were ranked, those that were held back, then what was known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Data = Mapping[str, Any]
"""An explanation or a part of one, by the names of the contract."""
_FILE_WIDTH = 200
_NAME_WIDTH = 12
"""Columns that an offer's name has at the least, if it is as long."""
"""Columns of tables that go to a file or a pipe."""
FACTORS = {"uplift": "uplift", "smoothed_propensity": "smoothed", "context_weight": "x weight", "lever": "x lever"}
"""Factors of worth that not every bundle uses, and the titles of their columns."""
RESPONSES = ("uplift", "smoothed_propensity")
"""Those of them that count instead of P(outcome)."""
_OUT = {"BELOW_THRESHOLD": "not worth showing", "LOWER_TIER": "lower tier"}
_MULTIPLIED = {"COUNTED": "counted", "NOT_COUNTED": "did not count", "NOT_KNOWN": "could not be told, so it did not count"}
_MOST_SLOTS = 3
"""Columns of probabilities that a table has room for."""


def show(data: Data) -> None:
    """Print an explanation in full."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_FILE_WIDTH)
    console.print(Text(data["summary"], style="bold"))
    for caveat in data["caveats"]:
        console.print(Text(f"Note: {caveat}", style="yellow"))
    _show_head(console, data)
    show_candidates(console, data)
    _show_slots(console, data)
    _show_consent(console, data)
    _show_inputs(console, data)


def show_candidates(console: Console, data: Data) -> None:
    """Print what was allowed with its numbers, best first, then why each of the others was held back."""
    allowed = [one for one in data["candidates"] if one["selection_probability"] is not None]
    allowed.sort(key=lambda one: (-(one["expected_value"] or 0.0), one["offer_id"]))
    if allowed:
        _show_allowed(console, allowed)
        _show_ranking(console, data["factors"])
    for one in data["candidates"]:
        if one["selection_probability"] is None:
            _show_refused(console, one)


def _show_allowed(console: Console, allowed: Sequence[Data]) -> None:
    slots = min(max((len(one["slot_probabilities"]) for one in allowed), default=1), _MOST_SLOTS)
    table = _allowed_table(allowed, slots)
    # On a narrow terminal later slots give way to names and numbers.
    while slots > 1 and console.measure(table, options=console.options.update(max_width=_FILE_WIDTH)).maximum > console.width:
        slots -= 1
        table = _allowed_table(allowed, slots)
    console.print(table)
    for one in allowed:
        for rule in one["rules"]:
            if rule["outcome"] == "SHADOW":
                console.print(Text(f"{one['offer_id']}: {_rule(rule)} would have held it back; it runs in shadow", style="yellow"))
            elif rule["outcome"] in _MULTIPLIED:
                saw = f"; saw {', '.join(rule['saw'])}" if rule["saw"] else ""
                console.print(Text(f"{one['offer_id']}: {_rule(rule)} {_MULTIPLIED[rule['outcome']]}{saw}", style="dim"))


def _allowed_table(allowed: Sequence[Data], slots: int) -> Table:
    """Return the numbers of what was allowed, with the chances of so many slots."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("allowed", overflow="fold", min_width=min(max(len(one["offer_id"]) for one in allowed), _NAME_WIDTH))
    titles = (
        ["P(chosen)"] if all(len(one["slot_probabilities"]) < 2 for one in allowed) else [f"P slot {slot + 1}" for slot in range(slots)]
    )
    names = [name for name in FACTORS if any(_factor(one, name) not in (None, 1.0) for one in allowed)]
    for title in ("P(outcome)", *(FACTORS[name] for name in names), "x value", "= worth", *titles):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=len("chosen"))
    for one in allowed:
        chosen = one["reason"] == "CHOSEN"
        chances = [number(chance, 4) for chance in one["slot_probabilities"][:slots]] or ["-"]
        factors = [number(_factor(one, name), 4 if name in RESPONSES else 2) for name in names]
        numbers = (number(one["propensity"], 4), *factors, number(one["value"], 2), number(one["expected_value"], 2), *chances)
        said = "chosen" if chosen else _OUT.get(one["reason"], "")
        table.add_row(Text(one["offer_id"]), *numbers, said, style="bold green" if chosen else None)
    return table


def _factor(one: Data, name: str) -> float | None:
    """Return a factor of an offer's worth; None: it has none of that name."""
    found = [factor["value"] for factor in one["factors"] if factor["name"] == name]
    return found[0] if found else None


def _show_ranking(console: Console, factors: Sequence[Data]) -> None:
    if factors:
        parts = ", ".join(f"{one['name']} {100 * one['share']:.0f} %" for one in factors)
        console.print(Text(f"What the ranking of the allowed offers is due to: {parts}", style="dim"))


def _show_refused(console: Console, one: Data) -> None:
    rule = f" ({one['rule']})" if one["rule"] else ""
    console.print(Text.assemble(("not ", "yellow"), (one["offer_id"], "yellow"), ": ", (f"{one['text']}{rule}", "dim")))
    for rule in one["rules"]:
        if rule["outcome"] == "PASSED" or not rule["text"]:
            continue
        line = Text.assemble("    ", (_rule(rule), "cyan"))
        if rule["outcome"] == "ONE_OF":
            line.append("  one of these", style="dim")
        if rule["saw"]:
            line.append(f"  saw {', '.join(rule['saw'])}")
        console.print(line)


def _rule(rule: Data) -> str:
    group = f" (group {rule['group']})" if rule["group"] else ""
    return f"{rule['section']}: {rule['text']}{group}"


def _show_head(console: Console, data: Data) -> None:
    layers = ", ".join(f"{one['layer']}: {one['arm']}" for one in data["assignments"])
    fallback = data["fallback_reason"] != "UNSPECIFIED"
    joint = data["slate_joint_probability"]
    lines = [
        ("decision", data["decision_id"] or "none: a dry run"),
        ("decided at", moment(data["decided_at_ms"])),
        ("placement", data["placement_id"]),
        ("shown", ", ".join(data["offered"]) + (", the default" if data["default_served"] else "") if data["offered"] else "nothing"),
        ("would show", ", ".join(data["would_offer"]) + (", the default" if data["would_offer_default"] else "")),
        ("reason", f"{data['reason'].lower()}: {data['reason_text']}"),
        ("group", data["arm"].lower() + (f" ({layers})" if layers else "")),
        ("choice", data["branch"].lower() + (", degraded" if data["degraded"] else "")),
        ("fallback", f"{data['fallback_reason'].lower()} at stage {data['fallback_stage'].lower()}" if fallback else ""),
        ("bundle", f"{data['bundle']} {data['bundle_digest']}"),
        *(("model", f"{one['model']} {one['version']}, sha256 {one['sha256']}") for one in data["models"]),
        ("scores", ("by models" if data["scored"] else "declared base rates") if data["models"] else ""),
        ("policy", data["policy"].replace("_", " ") + (f"; the slate's probability was {joint:.4g}" if joint is not None else "")),
        ("attempts", f"{data['reservation_attempts']}: a cap filled up meanwhile" if data["reservation_attempts"] > 1 else ""),
        ("recovered", "another worker completed the record after a crash" if data["recovered"] else ""),
        ("withheld", ", ".join(data["masked_paths"]) + ", for want of consent or because it is stopped" if data["masked_paths"] else ""),
    ]
    for label, value in lines:
        if value:
            console.print(Text.assemble((f"  {label:<11}", "dim"), value))


def _show_slots(console: Console, data: Data) -> None:
    for s, slot in enumerate(data["slots"]):
        if slot["offer_id"]:
            words = f"{slot['draw']:.6f} fell to {slot['offer_id']}, whose probability was {slot['selection_probability']:.4g}"
            if s and slot["marginal_probability"] is not None:
                words += f" after what was drawn before it, {slot['marginal_probability']:.4g} in this slot at all"
            console.print(Text.assemble((f"  draw {s + 1:<6}", "dim"), words))


def _show_consent(console: Console, data: Data) -> None:
    if data["consent"]:
        found = ", ".join(
            f"{one['purpose']}: {'granted' if one['reason'] == 'ALLOWED' else one['reason'].removeprefix('CONSENT_').lower()}"
            for one in data["consent"]
        )
        version = f" (policy version {data['consent_version']})" if data["consent_version"] else ""
        console.print(Text.assemble(("  consent    ", "dim"), found + version))


def _show_inputs(console: Console, data: Data) -> None:
    if not data["inputs"]:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for title in ("input", "value", "age", "came from"):
        table.add_column(title, overflow="fold")
    for one in data["inputs"]:
        came_from = _STATES.get(one["state"], one["state"].lower()) if one["value"] or one["state"] == "MASKED" else "not known"
        table.add_row(Text(one["name"]), Text(one["value"] or "-"), age(one["age_s"]), came_from)
    console.print(table)


_STATES = {
    "STORED": "stored or sent",
    "DEFAULT_MISSING": "not known: its default",
    "DEFAULT_STALE": "too old: its default",
    "MASKED": "withheld",
    "UNSPECIFIED": "-",
}


def age(seconds: float | None) -> str:
    """Return an age in the unit that reads best; a dash where it is not known."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def number(value: float | None, places: int) -> str:
    """Return a number for a table, a dash where there is none."""
    return "-" if value is None else f"{value:.{places}f}"


def moment(milliseconds: int) -> str:
    """Return a time in words."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
