"""Where people are lost, and what each part of the engine contributes."""

from __future__ import annotations

from liftgate.report.ladder import LEFT_OUT
from liftgate.report.picture import bar, interval
from liftgate.report.section_effect import span_of
from liftgate.report.section_head import chapter, command, more, refused
from liftgate.report.shown import Content, Fact, Html, table, tag, under
from liftgate.report.verdict import primary, styles

STEPS = {"triggered": "an offer was chosen", "exposure": "saw it", "click": "clicked", "cart_action": "cart", "purchase": "bought"}


def funnel_section(facts: Fact) -> Html:
    """Return the funnel of every arm, and what a realistic improvement is worth."""
    answer = facts["answers"]["funnel"]
    title = "The funnel: where people are lost"
    if (no := refused(answer)) is not None:
        return chapter("funnel", title, no, command(facts, "funnel"))
    shown: list[Content] = [
        tag(
            "p",
            "Shares are of everybody assigned, so arms may be compared. A step that only one arm can do (nobody sees what was withheld) "
            "says nothing between arms.",
        )
    ]
    whole = [one for one in answer["funnels"].each() if one["segment"].value is None]
    for one in sorted(whole, key=lambda each: each["arm"].value == answer["control"].value):
        shown.append(_steps(one, answer))
    shown.append(_differences(answer))
    for one in whole:
        if one["arm"].value != answer["control"].value:
            shown.append(_bottlenecks(one, answer))
    parts = [one for one in answer["funnels"].each() if one["segment"].value is not None]
    if parts:
        shown.append(more("By segment", [_steps(one, answer) for one in parts]))
    shown.append(more("Notes", [tag("p", one.show(), ".") for one in answer["notes"].each()]) if answer["notes"].value else None)
    return chapter("funnel", title, *shown, command(facts, "funnel"))


def _step(one: Fact) -> Content:
    name = STEPS.get(one.value)
    return [one.show(), f" ({name})" if name else ""]


def _steps(one: Fact, answer: Fact) -> Html:
    rows: list[list[Content]] = []
    for step in one["steps"].each():
        ends: Content = [step["ci_low"].show("share"), " to ", step["ci_high"].show("share")]
        counts = [step["units"].show("count"), step["rate"].show("share"), bar(step["rate"].value), ends]
        rows.append([_step(step["step"]), *counts, step["lost"].show("count"), step["conditional_rate"].show("share")])
    segment: Content = ["" if one["segment"].value is None else [", ", one["segment"].show()]]
    name: Content = [one["arm"].show(), segment, ": ", one["n"].show("count"), " assigned"]
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
                [[_step(one["step"]), ", ", one["arm"].show()], one["estimate"].show("points"), ends, one["p_adjusted"].show("p"), real]
            )
    head = ["step, arm", "difference", "95 % interval", "p, corrected", "beyond chance?"]
    return table("Differences to control, of everybody assigned", head, rows) if rows else None


def _bottlenecks(one: Fact, answer: Fact) -> Html:
    rows = [
        [
            [each["rank"].show("count"), ". ", _step(each["step"])],
            each["lost"].show("count"),
            [each["recovered"].show("count"), " (", each["recovered_share"].show("round_share"), ")"],
            each["extra_at_end"].show("count"),
            each["extra_at_end_per_1000"].show("number"),
        ]
        for each in one["bottlenecks"].each()
    ]
    head = ["look first at", "lost", "kept, if", "more at the end", "per thousand assigned"]
    return table(["What a realistic improvement is worth, ", one["arm"].show()], head, rows)


def ladder_section(facts: Fact) -> Html:
    """Return what holdouts, ablation arms and experiments say of each part."""
    answers = facts["answers"]
    rungs: list[tuple[Fact | None, Fact]] = [(layer, answers[f"layer {layer['layer'].value}"]) for layer in facts["layers"].each()]
    if primary(answers["lift"]):
        rungs.insert(0, (facts.get("headline"), answers["lift"]))
    results = [one for _, answer in rungs for one in primary(answer) if one["estimate"].value is not None]
    span = span_of(results) if results else (-1.0, 1.0)
    rows = [row for layer, answer in rungs for row in _rungs(layer, answer, span)]
    head = ["layer, arm", "what its difference says", "people", "difference", "relative lift", "its interval", "p, corrected"]
    words = (
        "Every layer splits people anew by lot, so that the differences stand beside one another. An ablation arm leaves one part of "
        "the engine out: what is lost there is what that part contributes."
    )
    left = facts["layers_left_out"]
    shown: list[Content] = [tag("p", words)]
    shown.append(
        table("Holdouts, ablation arms and experiments, first metric", head, rows) if rows else tag("p", "The log has no layer to compare.")
    )
    if left.value:
        shown.append(tag("p", left.show("count"), " more layers were not measured; name them with --layer."))
    commands = [facts["commands"][f"layer {one['layer'].value}"] for one in facts["layers"].each()]
    shown.append(
        more("The commands that say this", [tag("pre", tag("code", one.show(), " --json")) for one in commands]) if commands else None
    )
    return chapter("ladder", "What each part contributes", *shown)


def _rungs(layer: Fact | None, answer: Fact, span: tuple[float, float]) -> list[list[Content]]:
    name: Content = "treatment against everybody held out" if layer is None else layer["layer"].show()
    if not primary(answer):
        refusal = answer["refusal"]
        words = tag("span", "refused: ", refusal["why"].show(), ". What to do: ", refusal["what_to_do"].show(), ".", class_="words")
        return [[name, words, *("\u2013",) * 3, None, "\u2013"]]
    rows: list[list[Content]] = []
    for one in primary(answer):
        kind = "" if layer is None else layer["kind"].value
        says = LEFT_OUT.get(one["arm"].value) if kind == "ablation" else None
        says = says or (
            "everything that is decided, against nothing of it" if kind in ("", "holdout") else "what the arm changes, against its control"
        )
        label: Content = [name, ", ", one["arm"].show(), " against ", one["control"].show()]
        if one["estimate"].value is None:
            refusal = one["refusal"]
            rows.append([label, tag("span", "refused: ", refusal["why"].show(), ".", class_="words"), *("\u2013",) * 3, None, "\u2013"])
            continue
        style = styles(one)[1]
        n: Content = [[" + " if i else "", each.show("count")] for i, each in enumerate(one["n"].each())]
        bounded = one["lift_bounded"].value
        picture = interval(one["lift_ci_low"].value, one["lift"].value, one["lift_ci_high"].value, span) if bounded else None
        bare = "bare_points" if style == "points" else style
        size = under(one["estimate"].show(style), [one["ci_low"].show(bare), " to ", one["ci_high"].show(bare)])
        lift = one["lift"].show("percent") if bounded else "unbounded"
        rows.append([label, tag("span", says, class_="words"), n, size, lift, picture, one["p_adjusted"].show("p")])
    return rows
