"""The setup of what was measured, and the backlog: what was guessed, what came, what to test next."""

from __future__ import annotations

from liftgate.report.section_head import chapter, more, refused
from liftgate.report.shown import Content, Fact, Html, table, tag


def setup_section(facts: Fact) -> Html:
    """Return what was compared, on whom, by what, and for how long."""
    made, head = facts["answers"]["table"], facts.get("headline")
    rows: list[list[Content]] = [["compared", "treatment against everybody held out" if head is None else _compared(head)]]
    rows.append(["metrics, the first decides", [[", " if i else "", one.show()] for i, one in enumerate(facts["metrics"].each())]])
    rows.append(["outcomes count for", [facts["window"].show(), " after a person's first decision, whatever they were shown"]])
    rows.append(["planned units (N*)", facts["n_star"].show("count")])
    if made.get("log") is not None:
        rows.append(["read at", made["log"]["read_at_ms"].show("when")])
        rows.append(["bundles", made["log"]["versions"].show("count")])
    for one in facts["layers"].each():
        rows.append(["beside it", [*_compared(one), " (", one["kind"].show(), ")"]])
    return chapter("setup", "Experiment setup", table("What was measured, and how", ["field", "what it says"], rows, class_="plan"))


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
    shown: list[Content] = [refused(backlog)]
    if backlog.get("hypotheses") is not None:
        rows = [_ranked(one) for one in backlog["hypotheses"].each()]
        head = ["hypothesis", "rank", "ICE", "PIE", "expected lift", "metric", "stage"]
        shown.append(table(["Backlog by ", backlog["by"].show()], head, rows))
        shown += [_document(one) for one in backlog["hypotheses"].each()]
        shown.append(tag("p", backlog["formula"]["ice"].show(), "; ", backlog["formula"]["pie"].show(), ".", class_="small soft"))
    if learned is not None and learned.get("guesses") is not None:
        shown.append(_learned(learned))
    return chapter("hypotheses", "Hypotheses", *shown)


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
    return more(str(one["id"].value), table("The hypothesis", ["field", "what it says"], rows, class_="plan"))


def _learned(learned: Fact) -> Html:
    rows: list[list[Content]] = [
        [one["id"].show(), one["expected_lift"].show("percent"), one["measured"]["lift"].show("percent"), one["verdict"].show()]
        for one in learned["guesses"].each()
    ]
    return table("Guesses and what came", ["hypothesis", "expected", "measured", "verdict"], rows)
