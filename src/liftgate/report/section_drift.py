"""Whether the world has moved: every input, the scores, calibration and outcomes, by bundle."""

from __future__ import annotations

from liftgate.report.section_head import chapter, command, more, refused
from liftgate.report.shown import Content, Fact, Html, table, tag
from liftgate.report.verdict import ended

_SHOWN = 12
"""Columns in sight, those that moved most; the rest folds out."""
_LEVELS = ("alarm", "watch", "steady")
_HEAD = ["column", "level", "PSI", "expected without a shift", "by chance", "missing, before and now"]


def drift_section(facts: Fact) -> Html:
    """Return what has moved, bundle by bundle, and whether to train again."""
    answer, title = facts["answers"]["drift"], "Has the world moved?"
    if answer.get("versions") is None:
        return chapter("drift", title, refused(answer, facts), command(facts, "drift"))
    newest = newest_of(answer)
    shown: list[Content] = [
        tag("p", tag("strong", "Verdict: "), ended(newest["why"])),
        refused(answer),
        tag(
            "p",
            _compared(answer),
            " PSI says how far a column has moved; what chance alone would give stands beside it.",
            class_="small soft",
        ),
    ]
    rows = [_row(one) for one in sorted(newest["columns"].each(), key=_most_moved)]
    shown.append(table("Inputs, scores and outcomes, what moved most first", _HEAD, rows[:_SHOWN]))
    if rows[_SHOWN:]:
        shown.append(more("The other columns", table("What moved less", _HEAD, rows[_SHOWN:])))
    shown += [tag("p", ended(one["why"]), class_="small soft") for one in newest["refused_columns"].each()]
    shown.append(_by_bundle(answer))
    shown.append(more("How it was computed", tag("p", ended(answer["levels"])), tag("p", ended(answer["definition"]))))
    return chapter("drift", title, *shown, command(facts, "drift"))


def newest_of(answer: Fact) -> Fact:
    """Return what is said of the newest bundle."""
    return list(answer["versions"].each())[-1]


def _compared(answer: Fact) -> str:
    if answer["reference"].value.startswith("version = "):
        return "The decisions of the newest bundle are compared with those of the first."
    if answer["reference"].value.startswith("half = "):
        return "The second half of the time is compared with the first."
    return "The newest bundle's decisions are compared with what the models were trained on."


def _most_moved(one: Fact) -> tuple[int, float]:
    return _LEVELS.index(one["level"].value), -one["psi"].value


def _row(one: Fact) -> list[Content]:
    missing: Content = [one["missing_reference"].show("share"), " and ", one["missing_current"].show("share")]
    if not one["missing_reference"].value and not one["missing_current"].value:
        missing = "none"
    level = tag("span", one["level"].show(), class_=f"level {one['level'].value}")
    return [one["column"].show(), level, *(one[key].show("number") for key in ("psi", "psi_expected", "psi_by_chance")), missing]


def _by_bundle(answer: Fact) -> Html:
    rows: list[list[Content]] = []
    for one in answer["versions"].each():
        columns = list(one["columns"].each())
        moved = [each["column"] for each in columns if each["level"].value == "alarm"]
        said: Content = [[", " if i else "", each.show()] for i, each in enumerate(moved)] or "none"
        judged = one.get("calibration")
        ratio: Content = "\u2013"
        if judged is not None and judged.get("refusal") is None:
            ratio = judged["observed_over_expected"]["estimate"].show("number")
        again = {True: "yes", False: "no", None: "nobody can say"}[one["retrain"].value]
        n = columns[0]["n_current"].show("count") if columns else "\u2013"
        rows.append([tag("code", one.name[:12]), n, said, ratio, again])
    return table("By bundle", ["bundle", "decisions", "in alarm", "outcomes for each foreseen", "train again?"], rows)
