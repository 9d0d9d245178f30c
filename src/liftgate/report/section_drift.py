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
    answers, title = facts["answers"], "Has the world moved?"
    answer = answers["drift"]
    if not answer.get("columns"):
        return chapter("drift", title, refused(answer, facts), command(facts, "drift"))
    shown: list[Content] = [
        tag("p", tag("strong", "Train again? "), ended(answer["why"])),
        refused(answer),
        tag(
            "p",
            _compared(facts),
            " PSI says how far a column has moved; what chance alone would give stands beside it.",
            class_="small soft",
        ),
    ]
    rows = [_row(one) for one in sorted(answer["columns"].each(), key=_most_moved)]
    shown.append(table("Inputs, scores and outcomes, what moved most first", _HEAD, rows[:_SHOWN]))
    if rows[_SHOWN:]:
        shown.append(more("The other columns", table("What moved less", _HEAD, rows[_SHOWN:])))
    shown += [tag("p", ended(one["why"]), class_="small soft") for one in answer["refused_columns"].each()]
    names = [name for name in answers.value if name == "drift" or name.startswith("drift ")]
    if len(names) > 1:
        shown.append(_by_bundle(facts, names))
    shown.append(more("How it was computed", tag("p", ended(answer["levels"])), tag("p", ended(answer["definition"]))))
    return chapter("drift", title, *shown, command(facts, "drift"))


def _compared(facts: Fact) -> str:
    command_ = str(facts["commands"]["drift"].value)
    if not command_.partition("--reference ")[2].startswith("decisions.parquet "):
        return "Compared with what the models were trained on."
    if len(facts["answers"]["quality"]["versions"].value) > 1:
        return "The decisions of the newest bundle are compared with those of the first."
    return "The second half of the time is compared with the first."


def _most_moved(one: Fact) -> tuple[int, float]:
    return _LEVELS.index(one["level"].value), -one["psi"].value


def _row(one: Fact) -> list[Content]:
    missing: Content = [one["missing_reference"].show("share"), " and ", one["missing_current"].show("share")]
    if not one["missing_reference"].value and not one["missing_current"].value:
        missing = "none"
    level = tag("span", one["level"].show(), class_=f"level {one['level'].value}")
    return [one["column"].show(), level, *(one[key].show("number") for key in ("psi", "psi_expected", "psi_by_chance")), missing]


def _by_bundle(facts: Fact, names: list[str]) -> Html:
    rows: list[list[Content]] = []
    for name in names:
        one = facts["answers"][name]
        bundle = name.partition(" ")[2] or "the newest"
        if not one.get("columns"):
            rows.append([bundle, "\u2013", "refused", "\u2013", "\u2013"])
            continue
        moved = [each["column"] for each in one["columns"].each() if each["level"].value == "alarm"]
        said: Content = [[", " if i else "", each.show()] for i, each in enumerate(moved)] or "none"
        judged = one.get("calibration")
        ratio = (
            "\u2013" if judged is None or judged.get("refusal") is not None else judged["observed_over_expected"]["estimate"].show("number")
        )
        again = {True: "yes", False: "no", None: "nobody can say"}[one["retrain"].value]
        rows.append([_digest(bundle), one["columns"][0]["n_current"].show("count"), said, ratio, again])
    return table("By bundle", ["bundle", "decisions", "in alarm", "outcomes for each foreseen", "train again?"], rows)


def _digest(bundle: str) -> Html:
    return tag("code", bundle)
