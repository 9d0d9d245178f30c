"""Where people are lost on the way, and what keeping some would be worth."""

from __future__ import annotations

from liftgate.report.picture import bar
from liftgate.report.section_head import chapter, command, more, refused
from liftgate.report.shown import Content, Fact, Html, join, table, tag
from liftgate.report.steps import named_step


def funnel_section(facts: Fact) -> Html:
    """Return the funnel of every arm, and what a realistic improvement is worth."""
    answer = facts["answers"]["funnel"]
    title = "The funnel: where people are lost"
    if (no := refused(answer, facts)) is not None:
        return chapter("funnel", title, no, command(facts, "funnel"))
    shown: list[Content] = [
        tag(
            "p",
            "From the decision to coming back. Shares are of everybody assigned, so arms may be compared. A step that only one arm can do "
            "(nobody sees what was withheld) says nothing between arms.",
        ),
        *_of_arms(answer),
    ]
    for name in _funnels(facts):
        layer, other = name.partition(" ")[2], facts["answers"][name]
        if layer and not layer.startswith("by ") and other.get("refusal") is None:
            shown.append(more(["By arm of ", tag("code", layer)], _of_arms(other), command(facts, name)))
    for name in _funnels(facts):
        by, other = name.partition(" by ")[2], facts["answers"][name]
        parts = [one for one in other["funnels"].each() if one["segment"].value is not None] if other.get("refusal") is None else []
        if parts and (by or name == "funnel"):
            shown.append(more(["By ", tag("code", by or _first_segment(facts))], [_steps(one) for one in parts], command(facts, name)))
    shown.append(more("Notes", [tag("p", one.show(), ".") for one in answer["notes"].each()]) if answer["notes"].value else None)
    return chapter("funnel", title, *shown, command(facts, "funnel"))


def _funnels(facts: Fact) -> list[str]:
    return [name for name in facts["answers"].value if name.partition(" ")[0] == "funnel"]


def _first_segment(facts: Fact) -> str:
    """Return the column of the first funnel's segments: the first that the effect is told of."""
    results = facts["answers"]["lift"].get("results")
    named = [next(iter(one["segment"])) for one in results.value if one["segment"]] if results is not None else []
    return str(named[0]) if named else "segment"


def _of_arms(answer: Fact) -> list[Content]:
    whole = [one for one in answer["funnels"].each() if one["segment"].value is None]
    shown: list[Content] = [_steps(one) for one in sorted(whole, key=lambda each: each["arm"].value == answer["control"].value)]
    treated = [one for one in whole if one["arm"].value != answer["control"].value]
    return [*shown, _differences(answer), *(_bottlenecks(one, answer) for one in treated)]


def _steps(one: Fact) -> Html:
    rows: list[list[Content]] = []
    for step in one["steps"].each():
        ends: Content = [step["ci_low"].show("share"), " to ", step["ci_high"].show("share")]
        lost: Content = step["lost"].show("count")
        lost = tag("strong", lost, " most") if step["step"].value == one["biggest_drop"].value else lost
        counts = [step["units"].show("count"), step["rate"].show("share"), bar(step["rate"].value), ends]
        rows.append([named_step(step["step"]), *counts, lost, step["conditional_rate"].show("share")])
    segment: Content = ["" if one["segment"].value is None else [", ", one["segment"].show()]]
    name: Content = [tag("strong", one["arm"].show(), segment), ": ", one["n"].show("count"), " assigned"]
    return table(name, ["step", "people", "of assigned", "share", "95 % interval", "lost here", "of those before (not causal)"], rows)


def _differences(answer: Fact) -> Html | None:
    rows = []
    for one in answer["differences"].each():
        if one["segment"].value is None and (
            one["rate_control"].value or one["step"].value not in ("exposure", "click", "email_opened", "email_clicked")
        ):
            ends: Content = [one["ci_low"].show("bare_points"), " to ", one["ci_high"].show("bare_points")]
            real = "yes" if one["real"].value else "not shown"
            rows.append(
                [
                    [named_step(one["step"]), ", ", one["arm"].show()],
                    one["estimate"].show("points"),
                    ends,
                    one["p_adjusted"].show("p"),
                    real,
                ]
            )
    head = ["step, arm", "difference", "95 % interval", "p, corrected", "beyond chance?"]
    return table("Differences to control, of everybody assigned", head, rows) if rows else None


def _bottlenecks(one: Fact, answer: Fact) -> Html:
    rows = [
        [
            [each["rank"].show("count"), ". ", named_step(each["step"])],
            each["lost"].show("count"),
            [each["recovered"].show("count"), " (", each["recovered_share"].show("round_share"), ")"],
            each["extra_at_end"].show("number"),
            each["worth"].show("count") if answer["values"].value else each["extra_at_end_per_1000"].show("number"),
        ]
        for each in one["bottlenecks"].each()
    ]
    head = [
        "look first at the way to",
        "lost",
        "kept, if",
        "more at the end",
        "worth in orders" if answer["values"].value else "per thousand assigned",
    ]
    worths: Content = [["; " if i else "", each.name, " ", each.show("number")] for i, each in enumerate(answer["values"].each())]
    note = (
        tag("p", "Mean worth of one: ", worths, ". A ranking of where to look, no promise.", class_="small soft")
        if answer["values"].value
        else None
    )
    return join(table(["What a realistic improvement is worth, ", tag("strong", one["arm"].show())], head, rows), note)
