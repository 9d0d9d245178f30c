"""What each part of the engine contributes: holdouts, ablation arms and experiments beside one another."""

from __future__ import annotations

from liftgate.report.ladder import LEFT_OUT, PARTS
from liftgate.report.picture import interval
from liftgate.report.section_effect import span_of
from liftgate.report.section_head import chapter, more
from liftgate.report.shown import Content, Fact, Html, table, tag, under
from liftgate.report.verdict import ended, primary, state_of, styles

_NOW = {
    "up": "settled: more",
    "down": "settled: less",
    "faded": "was settled, is not now",
    "none": "no effect shows, N* is reached",
    "running": "not known yet",
}
_HEAD = ["layer, arm", "what its difference says", "difference", "relative lift", "its interval", "by now"]


def ladder_section(facts: Fact) -> Html:
    """Return what holdouts, ablation arms and experiments say of each part."""
    answers = facts["answers"]
    rungs: list[tuple[Fact | None, Fact, Fact | None]] = []
    if primary(answers["lift"]):
        rungs.append((facts.get("headline"), answers["lift"], answers["sequential"]))
    for layer in facts["layers"].each():
        name = layer["layer"].value
        rungs.append((layer, answers[f"layer {name}"], answers.get(f"sequential {name}")))
    results = [one for _, answer, _ in rungs for one in primary(answer) if one["estimate"].value is not None]
    span = span_of(results) if results else (-1.0, 1.0)
    rows = [row for rung in rungs for row in _rows(*rung, span)]
    words = (
        "Every layer splits people anew by lot, so that the differences stand beside one another. An ablation arm leaves one part of "
        "the engine out: what is lost there is what that part contributes. Settled: the interval that holds at every look leaves zero out."
    )
    shown: list[Content] = [tag("p", words)]
    shown.append(
        table("Holdouts, ablation arms and experiments, first metric", _HEAD, rows)
        if rows
        else tag("p", "The log has no layer to compare.")
    )
    left = facts["layers_left_out"]
    if left.value:
        shown.append(tag("p", left.show("count"), " more layers were not measured; name them with --layer."))
    commands = [facts["commands"][f"layer {one['layer'].value}"] for one in facts["layers"].each()]
    shown.append(
        more("The commands that say this", [tag("pre", tag("code", one.show(), " --json")) for one in commands]) if commands else None
    )
    return chapter("ladder", "What each part contributes", *shown)


def _rows(layer: Fact | None, answer: Fact, sequence: Fact | None, span: tuple[float, float]) -> list[list[Content]]:
    name: Content = "treatment against everybody held out" if layer is None else layer["layer"].show()
    if not primary(answer):
        refusal = answer["refusal"]
        words = tag("span", "refused: ", ended(refusal["why"]), " What to do: ", ended(refusal["what_to_do"]), class_="words")
        return [[name, words, *("\u2013",) * 2, None, "refused"]]
    return [_row(layer, name, one, sequence, span) for one in primary(answer)]


def _row(layer: Fact | None, name: Content, one: Fact, sequence: Fact | None, span: tuple[float, float]) -> list[Content]:
    kind = "" if layer is None else layer["kind"].value
    label: Content = [tag("span", name), ": ", one["arm"].show(), " against ", one["control"].show()]
    if one["estimate"].value is None:
        words = tag("span", "refused: ", ended(one["refusal"]["why"]), class_="words")
        return [label, words, *("\u2013",) * 2, None, "refused"]
    part = PARTS.get(one["arm"].value) if kind == "ablation" else None
    says: Content = (
        "everything that is decided, against nothing of it" if kind in ("", "holdout") else "what the arm changes, against its control"
    )
    if part is not None:
        says = [tag("strong", "Without ", part), ": ", LEFT_OUT[one["arm"].value]]
    style = styles(one)[1]
    n: Content = [[" + " if i else "", each.show("count")] for i, each in enumerate(one["n"].each())]
    bounded = one["lift_bounded"].value
    picture = (
        interval(one["lift_ci_low"].value, one["lift"].value, one["lift_ci_high"].value, span, bool(one["significant"].value))
        if bounded
        else None
    )
    bare = "bare_points" if style == "points" else style
    size = under(one["estimate"].show(style), [one["ci_low"].show(bare), " to ", one["ci_high"].show(bare)])
    lift = one["lift"].show("percent") if bounded else "unbounded"
    now = _NOW.get(state_of(sequence, one["arm"].value), "not known yet")
    by_now = tag("span", under(now, ["p, corrected, ", one["p_adjusted"].show("p")]), class_="wraps")
    return [under(label, [n, " people"]), tag("span", says, class_="words"), size, lift, picture, by_now]
