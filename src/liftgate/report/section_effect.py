"""The effect: by arm, over time, by segment."""

from __future__ import annotations

from re import findall, match

from liftgate.report.picture import band, interval, place, scale, ticks
from liftgate.report.section_head import chapter, command, more, refused
from liftgate.report.shown import Content, Fact, Html, table, tag, under, written
from liftgate.report.verdict import between, primary, styles

_HEAD = ["metric, arm", "in the arm", "in control", "difference", "relative lift", "its interval", "p, corrected", "beyond chance?"]
MOST_LOOKS = 60
"""Looks in the table under the picture: the last ones; all are in the JSON."""


def span_of(results: list[Fact]) -> tuple[float, float]:
    """Return a common scale for relative lifts."""
    ends = [one[key].value for one in results for key in ("lift", "lift_ci_low", "lift_ci_high") if one[key].value is not None]
    return scale([max(-1.5, min(1.5, value)) for value in ends] or [0.1])


def row(one: Fact, name: Content, span: tuple[float, float]) -> list[Content]:
    """Return a result as a row of `_HEAD`; a refusal in words where there is one."""
    if (refusal := one.get("refusal")) is not None and one["estimate"].value is None:
        return [name, *("\u2013",) * 6, tag("span", "refused: ", refusal["why"].show(), class_="words")]
    mean, difference = styles(one)
    arm, control = one["mean"][one["arm"].value], one["mean"][one["control"].value]
    bounded = one["lift_bounded"].value
    lift = under(one["lift"].show("percent"), [one["lift_ci_low"].show("percent"), " to ", one["lift_ci_high"].show("percent")])
    return [
        name,
        arm.show(mean),
        control.show(mean),
        under(one["estimate"].show(difference), [_bare(one["ci_low"], difference), " to ", _bare(one["ci_high"], difference)]),
        lift if bounded else "unbounded",
        interval(one["lift_ci_low"].value, one["lift"].value, one["lift_ci_high"].value, span, bool(one["significant"].value))
        if bounded
        else None,
        one["p_adjusted"].show("p"),
        "yes" if one["significant"].value else "not shown",
    ]


def _bare(end: Fact, style: str) -> Html:
    return end.show("bare_points" if style == "points" else style)


def lift_section(facts: Fact) -> Html:
    """Return what each arm was worth."""
    answer = facts["answers"]["lift"]
    if (no := refused(answer, facts)) is not None and not primary(answer):
        return chapter("lift", "What was it worth?", no, command(facts, "lift"))
    results = [one for one in answer["results"].each() if one["segment"].value is None]
    whole = [one for one in results if one["analysis"].value == "itt"]
    span = span_of(results)
    named = [(one, _name(one)) for one in whole]
    rows = [row(one, name, span) for one, name in named]
    shown: list[Content] = [
        tag("p", "Everybody who was assigned counts, whether they saw anything or not. Control is ", answer["control"].show(), "."),
        table("Differences to control, 95 % intervals", _HEAD, rows),
        [tag("p", "Mind: ", one.show(), ".", class_="small soft") for one in answer["warnings"].each()],
    ]
    part = [one for one in results if one["analysis"].value == "triggered"]
    if part:
        words = "Only people for whom an offer was chosen in either arm, by the same rule"
        shown.append(more("Those who would have been offered something", table(words, _HEAD, [row(one, _name(one), span) for one in part])))
    exposed = [one for one in whole if one.get("cace") is not None]
    if exposed:
        shown.append(more("Those who saw it", _cace(exposed)))
    shown.append(
        more(
            "How it was computed",
            [tag("p", one["metric"].show(), ": ", one["definition"].show(), ".") for one in whole if one["definition"].value],
        )
    )
    return chapter("lift", "What was it worth?", *shown, command(facts, "lift"))


def _name(one: Fact) -> Content:
    return [one["metric"].show(), ", ", one["arm"].show()]


def _cace(results: list[Fact]) -> Html:
    rows = []
    for one in results:
        cace, style = one["cace"], styles(one)[1]
        ends: Content = [cace["ci_low"].show(style), " to ", cace["ci_high"].show(style)]
        rows.append([_name(one), cace["estimate"].show(style), ends, cace["first_stage"].show("percent")])
    return table("Effect on those whom assignment exposed", ["metric, arm", "effect", "95 % interval", "exposed by assignment"], rows)


def time_section(facts: Fact) -> Html:
    """Return the course of every difference, arm by arm, with the interval that holds at every look."""
    answers, title = facts["answers"], "How it moved over time"
    words = (
        "The shaded interval holds at every look together: look at it every day, and stop when it leaves zero out. The dashed one is the "
        "ordinary interval: read every day, it finds effects that are not there. N* is the number of people at which the shaded one is "
        "tightest, frozen before the start."
    )
    shown: list[Content] = [tag("p", words), refused(answers["sequential"], facts) or _courses(facts, "sequential", answers["lift"])]
    shown.append(command(facts, "sequential"))
    for layer in facts["layers"].each():
        name = layer["layer"].value
        answer = answers.get(f"sequential {name}")
        if answer is None or answer.get("refusal") is not None:
            continue
        part = [_courses(facts, f"sequential {name}", answers[f"layer {name}"]), command(facts, f"sequential {name}")]
        shown += [more(["Arms of ", layer["layer"].show()], *part)] if layer["kind"].value == "ablation" else part
    return chapter("time", title, *shown)


def _courses(facts: Fact, name: str, lift: Fact) -> Content:
    answer = facts["answers"][name]
    results = primary(lift)
    style = styles(results[0])[1] if results else "signed"
    courses = list(answer["comparisons"].each())
    told = [look for one in courses for look in one["looks"].each() if not look["says_nothing_yet"].value]
    if not told:
        return tag("p", "No look says anything yet: too few units or events.")
    # Early looks are so wide that they would flatten the rest.
    wide = sorted(max(abs(look["ci_low"].value), abs(look["ci_high"].value)) for look in told)[int(0.8 * (len(told) - 1))]
    span = scale([max(-1.3 * wide, min(1.3 * wide, look[key].value)) for look in told for key in ("ci_low", "ci_high")])
    key = tag(
        "p",
        tag("span", tag("i", class_="k-course"), "difference, in points" if style == "points" else "difference"),
        tag("span", tag("i", class_="k-area"), "holds at every look"),
        tag("span", tag("i", class_="k-fixed"), "ordinary 95 % interval"),
        class_="key",
    )
    planned: Content = tag("p", "N* is ", answer["n_star"].show("count"), "; so far ", _counts(answer), ".", class_="small soft")
    if "--where" in str(facts["commands"][name].value):
        planned = [planned, tag("p", "Of the newest bundle alone: the arms' shares changed with it.", class_="small soft")]
    pictures = tag("div", [tag("div", _course(one, style, span, name)) for one in courses], class_="pair" if len(courses) > 1 else None)
    return [pictures, key, planned, more("How it was computed", tag("p", answer["definition"].show(), "."))]


def _counts(answer: Fact) -> Content:
    return [[", " if i else "", each.show("count"), " in ", each.name] for i, each in enumerate(answer["n"].each())]


def _course(one: Fact, style: str, span: tuple[float, float], answer: str) -> Content:
    looks = list(one["looks"].each())
    told = [look for look in looks if not look["says_nothing_yet"].value]
    layer = answer.partition(" ")[2]
    name: Content = tag("h3", [tag("code", layer), ": "] if layer else None, one["arm"].show(), " against ", one["control"].show())
    if not told:
        return [name, tag("p", "No look says anything yet: too few units or events.")]
    points = [tuple(look[key].value for key in ("ci_low", "estimate", "ci_high", "fixed_low", "fixed_high")) for look in told]
    last = one["looks"][len(looks) - 1]
    title = (
        f"Difference at each look, ending at {written(last['estimate'].value, style)}, within "
        f"{written(last['ci_low'].value, style)} to {written(last['ci_high'].value, style)}"
    )
    axis = [tag("span", written(value, f"{style} tick"), class_="tick", style=f"top:{place(value, span)}%") for value in ticks(span)]
    picture = tag(
        "div",
        tag("div", axis, class_="axis", aria_hidden="true"),
        band(points, span, title),
        tag("div", tag("span", told[0]["at"].show()), tag("span", told[-1]["at"].show()), class_="below"),
        class_="chart",
    )
    rows = [
        [look["at"].show(), look["n_treatment"].show("count"), look["n_control"].show("count"), *_ends(look, style)]
        for look in told[-MOST_LOOKS:]
    ]
    head = ["look", "units", "control", "difference", "holds at every look", "says"]
    said: Content = ["By now ", last["estimate"].show(style), ", and within ", between(last["ci_low"], last["ci_high"], style), "."]
    return [name, tag("p", said), picture, more("The looks as a table", table("Looks that say something, the last ones", head, rows))]


def _ends(look: Fact, style: str) -> list[Content]:
    ends: Content = [look["ci_low"].show(style), " to ", look["ci_high"].show(style)]
    return [look["estimate"].show(style), ends, "may stop" if look["excludes_zero"].value else "keep on"]


def segment_section(facts: Fact) -> Html:
    """Return the effect by segment, corrected for how many were looked at."""
    answer = facts["answers"]["lift"]
    title = "Where it works: segments"
    results = [one for one in answer["results"].each() if one["segment"].value] if answer.get("results") else []
    if not results:
        why = (
            refused(answer, facts)
            if not primary(answer)
            else tag("p", "No segment splits people into a few groups. Name others with --segment.")
        )
        return chapter("segments", title, why)
    span = span_of(results)
    family = next((one for one in results if one.get("family")), None)
    words: Content = [
        "People are grouped by what was known at their first decision, before anything was shown. The p-values are corrected over all ",
        family["family"].show("count") if family is not None else "",
        " comparisons of metrics, arms and segments. A segment that was picked after looking is a guess for the next test, and no finding.",
    ]
    tables: list[Content] = []
    several = len({one["arm"].value for one in results}) > 1
    for name in dict.fromkeys(next(iter(one["segment"].value)) for one in results):
        mine = sorted((one for one in results if name in one["segment"].value), key=lambda one: _order(one["segment"][name].value))
        rows = [row(one, [one["segment"][name].show(), ", ", one["metric"].show(), _arm_of(one, several)], span) for one in mine]
        head = ["group, metric", *_HEAD[1:]]
        tables.append(table(["By ", tag("code", name)], head, rows))
    return chapter("segments", title, tag("p", words), tables, command(facts, "lift"))


def _arm_of(one: Fact, several: bool) -> Content:
    return [", ", one["arm"].show()] if several else None


def _order(group: str) -> tuple[int, float, str]:
    """Return a key that puts bands of numbers in their order, and what is missing or other last."""
    number = findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", group)
    if group.startswith("("):
        return 2, 0.0, group
    if group.startswith("below "):
        return 0, float("-inf"), group
    return (1, float(number[0]), group) if number and match(r"-?\d", group) else (1, 0.0, group)
