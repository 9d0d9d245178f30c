"""The setup of what was measured, and the backlog: what was guessed, what came, what to test next."""

from __future__ import annotations

from liftgate.report.section_head import chapter, command, more, refused
from liftgate.report.shown import Content, Fact, Html, table, tag
from liftgate.report.verdict import primary, state_of

FROZEN = {
    "option": "as the report was told",
    "bundle": "frozen in the bundle before the start",
    "hypothesis": "frozen by its hypothesis before the start",
    "nobody": "nobody froze one: a constant that no look at the data chose",
}


def setup_section(facts: Fact) -> Html:
    """Return what was compared, on whom, by what, and for how long."""
    made, head = facts["answers"]["table"], facts.get("headline")
    rows: list[list[Content]] = [["compared", "treatment against everybody held out" if head is None else _compared(head)]]
    rows.append(["metrics, the first decides", [[", " if i else "", one.show()] for i, one in enumerate(facts["metrics"].each())]])
    rows.append(["outcomes count for", [facts["window"].show(), " after a person's first decision, whatever they were shown"]])
    rows.append(["planned units (N*)", [facts["n_star"].show("count"), ", ", FROZEN[facts["n_star_from"].value]]])
    if made.get("log") is not None:
        rows.append(["read at", made["log"]["read_at_ms"].show("when")])
        rows.append(["bundles", made["log"]["versions"].show("count")])
    shown: list[Content] = [table("What was measured, and how", ["field", "what it says"], rows, class_="plan")]
    if head is not None and head.get("plan") is not None:
        shown.append(more(["Layer ", head["layer"].show()], _rule(facts, head)))
    for one in facts["layers"].each():
        rule = (
            _rule(facts, one) if one.get("plan") is not None else table("The layer", ["field", "what it says"], _short(one), class_="plan")
        )
        shown.append(more(["Layer ", one["layer"].show()], rule))
    return chapter("setup", "Experiment setup", *shown, command(facts, "plan"))


def _short(layer: Fact) -> list[list[Content]]:
    n_star: Content = [layer["n_star"].show("count"), ", ", FROZEN[layer["n_star_from"].value]]
    return [["compared", _compared(layer)], ["kind", layer["kind"].show()], ["planned units (N*)", n_star]]


def _rule(facts: Fact, layer: Fact) -> Html:
    """Return a layer as the bundle declares it."""
    name, place = layer["plan"].value
    rule = facts["answers"][name]["layers"][place]
    arms: Content = [[", " if i else "", one["arm"].show(), " ", one["share"].show("share")] for i, one in enumerate(rule["arms"].each())]
    rows = [*_short(layer), ["shares", arms]]
    for words, key in (
        ("owner", "owner"),
        ("hypothesis", "hypothesis"),
        ("metric", "metric"),
        ("from", "from"),
        ("until", "until"),
        ("only where", "if"),
        ("state", "state"),
    ):
        if (said := rule.get(key)) is not None:
            rows.append([words, said.show()])
    for words, key in (("placements", "placements"), ("channels", "channels")):
        if (said := rule.get(key)) is not None:
            rows.append([words, [[", " if i else "", one.show()] for i, one in enumerate(said.each())]])
    return table("The layer, as the bundle declares it", ["field", "what it says"], rows, class_="plan")


def _compared(layer: Fact) -> list[Content]:
    arms: Content = [[", " if i else "", one.show()] for i, one in enumerate(layer["arms"].each())]
    units: Content = [[" and " if i else "", one.show()] for i, one in enumerate(layer["units"].each())]
    return ["layer ", layer["layer"].show(), ": ", arms, "; control ", layer["control"].show(), "; by ", units]


def hypotheses_section(facts: Fact) -> Html:
    """Return the backlog, and how good the guesses were."""
    backlog, learned = facts["answers"].get("hypotheses"), facts["answers"].get("learned")
    if backlog is None:
        words = "None were given. Keep them with liftgate hypotheses, and name their folder with --hypotheses."
        return chapter("hypotheses", "Hypotheses", tag("p", words))
    shown: list[Content] = [refused(backlog), _running(facts)]
    if backlog.get("hypotheses") is not None:
        rows = [_ranked(one) for one in backlog["hypotheses"].each()]
        head = ["hypothesis", "rank", "ICE", "PIE", "expected lift", "metric", "stage"]
        shown.append(table(["Backlog by ", backlog["by"].show()], head, rows))
        shown += [_document(one) for one in backlog["hypotheses"].each()]
        shown.append(tag("p", backlog["formula"]["ice"].show(), "; ", backlog["formula"]["pie"].show(), ".", class_="small soft"))
    if learned is not None and learned.get("guesses") is not None:
        shown.append(_learned(learned))
    return chapter("hypotheses", "Hypotheses", *shown, command(facts, "hypotheses"), command(facts, "learned"))


def _running(facts: Fact) -> Content:
    """Return guesses whose experiment is in this log beside what it measures."""
    rows: list[list[Content]] = []
    guesses = {one["id"].value: one for one in facts["answers"]["hypotheses"]["hypotheses"].each()}
    head = facts.get("headline")
    for layer, effect, course in [
        *([(head, "lift", "sequential")] if head is not None else []),
        *((one, f"layer {one['layer'].value}", f"sequential {one['layer'].value}") for one in facts["layers"].each()),
    ]:
        guess = guesses.get(layer["hypothesis"].value)
        if guess is None:
            continue
        for one in primary(facts["answers"][effect]):
            if one["lift"].value is None or one["metric"].value != guess["metric"].value:
                continue
            came: Content = [
                one["lift"].show("percent"),
                " (",
                one["lift_ci_low"].show("percent"),
                " to ",
                one["lift_ci_high"].show("percent"),
                ")",
            ]
            state = state_of(facts["answers"].get(course), one["arm"].value)
            done = "record it" if state in ("up", "down", "none") else "still running"
            rows.append([[guess["id"].show(), ", ", one["arm"].show()], guess["expected_lift"].show("percent"), came, done])
    if not rows:
        return None
    head_ = ["hypothesis, arm", "expected", "measured so far", "readout"]
    how: Content = [
        "To record one: ",
        tag("code", "liftgate measure lift ... --json > lift.json; liftgate hypotheses learn ID --arm ARM --from lift.json"),
    ]
    return [table("Guesses under test, and what is measured so far", head_, rows), tag("p", how, class_="small soft")]


def _ranked(one: Fact) -> list[Content]:
    ice, pie = one["scores"].get("ice_product"), one["scores"].get("pie_mean")
    return [
        one["id"].show(),
        one["rank"].show("count"),
        "\u2013" if ice is None else ice.show("count"),
        "\u2013" if pie is None else pie.show("number"),
        one["expected_lift"].show("percent"),
        one["metric"].show(),
        one["stage"].show(),
    ]


def _document(one: Fact) -> Html:
    rows: list[list[Content]] = [["what", one["what"].show()], ["why", one["why"].show()], ["owner", one["owner"].show()]]
    if one["experiment_id"].value is not None:
        rows.append(["experiment", one["experiment_id"].show()])
    if one["n_star"].value is not None:
        rows.append(["N*", one["n_star"].show("count")])
    if (came := one.get("measured")) is not None:
        rows.append(
            ["measured", [came["lift"].show("percent"), " (", came["ci_low"].show("percent"), " to ", came["ci_high"].show("percent"), ")"]]
        )
    return more(one["id"].show(), table("The hypothesis", ["field", "what it says"], rows, class_="plan"))


def _learned(learned: Fact) -> Html:
    rows: list[list[Content]] = [
        [one["id"].show(), one["expected_lift"].show("percent"), one["measured"]["lift"].show("percent"), one["verdict"].show()]
        for one in learned["guesses"].each()
    ]
    return table("Guesses and what came", ["hypothesis", "expected", "measured", "verdict"], rows)
