"""`liftgate bundle diff` and `liftgate bundle explain`, in the words and exit codes that people and scripts rely on."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liftgate.app.cli.bundle import app
from liftgate.app.cli.bundle_diff import refusal
from liftgate.app.cli.log import app as log_app
from liftgate.bundle.conditions import canonical
from liftgate.bundle.load import load_bundle
from liftgate.bundle.sentences import sentence, tidy
from liftgate.replay.compare import Comparison
from tests.replay.logbook import DEMO, write_log

RUN = CliRunner()
MODELS = ("--models", str(DEMO / "models"))
OFFERS = "offers.yaml"


def edited(tmp_path: Path, *edits: tuple[str, str], file: str = OFFERS) -> Path:
    """Return the demo's bundle with texts replaced in one file."""
    folder = tmp_path / "next"
    shutil.copytree(DEMO / "bundle", folder, dirs_exist_ok=True)
    text = (folder / file).read_text(encoding="utf-8")
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    (folder / file).write_text(text, encoding="utf-8")
    return folder


def changes(tmp_path: Path, *edits: tuple[str, str], file: str = OFFERS) -> list[tuple[str, ...]]:
    """Return (section, name, key, kind, before, after) of every difference from the demo's bundle."""
    result = RUN.invoke(app, ["diff", str(DEMO / "bundle"), str(edited(tmp_path, *edits, file=file)), *MODELS, "--json"])
    assert result.exit_code == 0, result.output
    keys = ("section", "name", "key", "kind", "before", "after")
    return [tuple(change[key] for key in keys) for change in json.loads(result.stdout)["changes"]]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small log under the demo's bundle."""
    directory = tmp_path_factory.mktemp("log")
    write_log(directory, load_bundle(DEMO / "bundle", DEMO / "models"), people=100, rounds=3)
    return directory


DECLARED = {
    "a value": ((("value: 7.50", "value: 8.00"),), ("offers", "click-and-collect", "value", "changed", "7.5", "8.0")),
    "a condition": (
        (('"DE", "NL"]', '"DE"]'),),
        ("offers", "express-upgrade", "eligible_if", "changed", 'profile.country in ["DE", "NL"]', 'profile.country in ["DE"]'),
    ),
    "a cap of a group": (
        (("[{max: 2, per: 7d}]", "[{max: 2, per: 14d}]"),),
        ("groups", "discount", "caps", "changed", "{max: 2, per: 7d}", "{max: 2, per: 14d}"),
    ),
    "a purpose more": (
        (("purposes: [personalization, marketing_email]", "purposes: [marketing_email]"),),
        ("groups", "newsletter", "purposes", "removed", "personalization", ""),
    ),
    "a rule that was not there": (
        (("    payload: {title: Join the club}", "    suppress_if: 'profile.age < 18'\n    payload: {title: Join the club}"),),
        ("offers", "join-club", "suppress_if", "added", "", "profile.age < 18"),
    ),
    "an end that is gone": (
        (("    until: 2025-09-01T00:00:00+02:00 ", "    # gone "),),
        ("offers", "last-summer-sale", "until", "removed", "2025-09-01T00:00:00+02:00", ""),
    ),
}


@pytest.mark.parametrize("what", DECLARED)
def test_a_change_is_shown_as_written_with_its_key(tmp_path: Path, what: str) -> None:
    """One edit gives one difference: section, name, key, kind, old and new text."""
    edits, wanted = DECLARED[what]
    assert changes(tmp_path, *edits) == [wanted]


def test_offers_that_come_and_go_and_what_is_used_where(tmp_path: Path) -> None:
    """A renamed offer is one that is gone and one that is new; a placement that listed it changes too."""
    found = changes(tmp_path, ("  gift-card:\n", "  gift-voucher:\n"))
    assert found == [("offers", "gift-card", "", "removed", "", ""), ("offers", "gift-voucher", "", "added", "", "")]
    share = changes(tmp_path / "b", ("share: 0.10", "share: 0.05"), file="shop.yaml")
    assert share == [("layers", "universal-2026h2", "share", "changed", "0.1", "0.05")]
    zone = changes(tmp_path / "c", ("time_zone: Europe/Berlin", "time_zone: UTC"), file="shop.yaml")
    assert zone == [("", "time_zone", "", "changed", "Europe/Berlin", "UTC")]


def test_layout_order_and_spelling_are_no_difference(tmp_path: Path) -> None:
    """Comments, key order, spaces in conditions and other ways to write a time or number are the same bundle."""
    edits = (
        ("'profile.age >= 18 && !profile.has_open_dispute'", "'profile.age>=18  &&  !profile.has_open_dispute'"),
        ("channels: [web, app]", "channels: [app, web]"),
        ("per: 7d", "per: 168h"),
        ("2025-06-01T00:00:00+02:00", "2025-05-31T22:00:00Z"),
        ("value: 9.00", "value: 9"),
    )
    assert changes(tmp_path, *edits) == []


def test_what_becomes_of_layers_that_run_is_said(tmp_path: Path) -> None:
    """A new phase, what people carry over, and what publish would refuse stand beside the difference, in both forms."""
    head = "bundle: d\ncurrency: EUR\ntime_zone: UTC\nprofile_purpose: none\noffers: {a: {value: 1.0}, b: {value: 1.0}}\n"
    head += "placements: {home: {offers: [a], default_offer: [a, b], slots: 2, select: {policy: greedy}}}\nlayers:\n"
    layers = "  out: {{kind: holdout, salt: o, share: {share}, answer: none}}\n"
    layers += "  test: {{kind: experiment, salt: t, phase: {phase}, placements: [home],"
    layers += " arms: {{control: {control}, b: {{share: 0.5, offers: [b]}}}}}}\n"

    def written(name: str, **said: object) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "bundle.yaml").write_text(head + layers.format(**said), encoding="utf-8")
        return str(folder)

    old = written("old", share=0.1, phase=1, control=0.5)
    new_phase, in_place = written("phase", share=0.2, phase=2, control=0.4), written("place", share=0.1, phase=1, control=0.4)
    found = json.loads(RUN.invoke(app, ["diff", old, new_phase, "--json"]).stdout)["running_layers"]
    assert (found["opens"], found["publish_refuses"]) == (["opens phase 2 of layer test"], [])
    assert [one["field"] for one in found["carry_over"]] == ["layers.out.share", "layers.test.phase"]
    assert "opens phase 2 of layer test: everybody is drawn afresh" in RUN.invoke(app, ["diff", old, new_phase]).output
    said = RUN.invoke(app, ["diff", old, in_place]).output
    assert "publish refuses  layers.test.arms: changes its arms or their shares" in said
    assert "layers that run" not in RUN.invoke(app, ["diff", old, old]).output
    text = Path(old, "bundle.yaml").read_text(encoding="utf-8")
    Path(in_place, "bundle.yaml").write_text(text.replace("[a, b], slots", "[b, a], slots"), encoding="utf-8")
    assert "default_offer: [b, a]" in RUN.invoke(app, ["diff", old, in_place]).output


def test_the_difference_is_readable(tmp_path: Path) -> None:
    """On a terminal, old and new stand below one another with their lines, and a group names the offers that it concerns."""
    folder = edited(tmp_path, ("    channels: [web, app]\n    caps:", "    channels: [web]\n    caps:"))
    lines = RUN.invoke(app, ["diff", str(DEMO / "bundle"), str(folder), *MODELS]).stdout.splitlines()
    assert lines[1:] == [
        "groups",
        "  ~ shipping  (for express-upgrade, free-shipping)",
        "      - channels: app  offers.yaml:5 (old)",
    ]


def test_a_log_says_what_would_have_changed(log: Path, tmp_path: Path) -> None:
    """Decisions, people, shares, reasons, expected value and examples come out, and the reproduction rate first."""
    folder = edited(tmp_path, ("value: 7.50", "value: 9.90"))
    arguments = ["diff", str(DEMO / "bundle"), str(folder), *MODELS, "--log", str(log), "--examples", "2"]
    shown = RUN.invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "100.0000% of 300 decisions come out under OLD as the log says" in shown.stdout
    assert "NEW would have answered" in shown.stdout
    document = json.loads(RUN.invoke(app, [*arguments, "--json"]).stdout)["log"]
    assert (document["decisions"], document["reproduction_rate"], document["compared"]) == (300, 1.0, 300)
    assert 0 < document["changed"]["people"] <= document["changed"]["decisions"] < 300
    shares = {one["offer"]: one for one in document["offers"]}
    assert shares["click-and-collect"]["after"] > shares["click-and-collect"]["before"]
    assert document["expected_value"]["after"] > document["expected_value"]["before"]
    assert len(document["examples"]) == 2
    assert "click-and-collect" in {offer for one in document["examples"] for offer in one["after"]}


def test_segments_and_sealed_parquet_say_the_same(log: Path, tmp_path: Path) -> None:
    """A log gives the same comparison before and after `liftgate log seal`, and rows that are there twice count once."""
    folder = edited(tmp_path, ("value: 7.50", "value: 9.90"))
    sealed = tmp_path / "log"
    shutil.copytree(log, sealed)
    assert RUN.invoke(log_app, ["seal", str(sealed)]).exit_code == 0
    assert list(sealed.glob("*.parquet"))
    for segment in log.glob("*.seg"):
        shutil.copy(segment, sealed / segment.name.replace("-000001", "-000009"))
    said = []
    for directory in (log, sealed):
        arguments = ["diff", str(DEMO / "bundle"), str(folder), *MODELS, "--log", str(directory), "--json"]
        said.append(json.loads(RUN.invoke(app, arguments).stdout)["log"])
    assert said[0] == said[1]


def test_nothing_is_concluded_from_a_log_of_another_bundle(log: Path, tmp_path: Path) -> None:
    """With the wrong OLD the command refuses, says which bundle the log knows, and exits 1."""
    folder = edited(tmp_path, ("value: 7.50", "value: 9.90"))
    result = RUN.invoke(app, ["diff", str(folder), str(DEMO / "bundle"), *MODELS, "--log", str(log)])
    assert result.exit_code == 1
    digest = load_bundle(DEMO / "bundle", DEMO / "models").digest
    assert f"300 of 300 were made under {digest[:12]}" in result.stderr


def test_nothing_is_concluded_where_old_does_not_give_what_the_log_says() -> None:
    """One decision in ten thousand that comes out otherwise is enough to refuse; the rate and the first of them are named."""
    found = Comparison(read=10_000, reproduced=9_999, not_reproduced=1, mismatches=["ab12: the answer comes out otherwise"])
    assert refusal(found).startswith("OLD gives 99.9900% of what the log says; below 100 % nothing is concluded")
    assert "ab12: the answer" in refusal(found)
    assert refusal(Comparison(read=10_000, reproduced=10_000)) == ""
    assert refusal(Comparison()) == "the log holds no decision"
    assert "can be decided again" in refusal(Comparison(read=5, not_again=Counter({"something was away then": 5})))


def test_what_cannot_be_used_is_said(log: Path, tmp_path: Path) -> None:
    """A bad bundle ends with 1, a folder without a log with 2."""
    bad = edited(tmp_path, ("value: 7.50", "value: 0"))
    result = RUN.invoke(app, ["diff", str(DEMO / "bundle"), str(bad), *MODELS])
    assert (result.exit_code, "offers.click-and-collect.value" in result.stderr) == (1, True)
    nowhere = RUN.invoke(app, ["diff", str(DEMO / "bundle"), str(DEMO / "bundle"), *MODELS, "--log", str(tmp_path)])
    assert (nowhere.exit_code, "no log is there" in nowhere.stderr) == (2, True)


SENTENCES = {
    "profile.age >= 18 && !profile.has_dispute": 'their age is at least 18, and their "has dispute" is false',
    'profile.country in ["DE", "NL", "AT"]': 'their country is "DE", "NL" or "AT"',
    '!(profile.country in ["DE"])': 'their country is not "DE"',
    "18 < profile.age": "their age is more than 18",
    'now - profile.bought_at < duration("72h")': "their bought at is less than 3 days ago",
    "has(profile.plan) || context.basket > 50.0": "their plan is known or the request's basket is more than 50",
    "(profile.a > 1 || profile.b) && has(profile.c)": '(either their a is more than 1 or their "b" is true), and their c is known',
    "size(profile.plan) > 3": None,
    "profile.a > 1 ? profile.b : profile.c": None,
    "profile.a % 2 == 0": None,
}


@pytest.mark.parametrize("condition", SENTENCES)
def test_simple_conditions_become_sentences_and_others_do_not(condition: str) -> None:
    """What is simple is said in words; what is not is left to be quoted."""
    assert sentence(condition) == SENTENCES[condition]


@pytest.mark.parametrize(
    "condition",
    [
        *SENTENCES,
        "-1 < profile.x && -profile.a * -3 > 4 - -5",
        'profile.c in ["(", "- 1"]',
        'now - profile.d < duration("72h") ? true : !false',
    ],
)
def test_a_quoted_condition_is_spaced_as_people_write_it(condition: str) -> None:
    """From the canonical form, where a space stands between all tokens, the quotation differs in its quotes only."""
    assert tidy(canonical(condition)).replace("'", '"') == condition


def test_explain_says_everything_about_an_offer_with_places() -> None:
    """Worth, who, where and how often, each with file and line, and what is inherited with the group it comes from."""
    result = RUN.invoke(app, ["explain", str(DEMO / "bundle"), "pay-later", *MODELS])
    assert result.exit_code == 0
    words = result.stdout
    assert 'may have it only if their age is at least 18, and their "has open dispute" is false; where that is not known, no' in words
    assert "whoever has given consent to personalization; no record of it is no  [offers.yaml:14, from group credit]" in words
    assert "while their returns 365d is more than 4; where that is not known, too  [offers.yaml:91]" in words
    assert "a candidate at cart.banner  [placements.yaml:8]" in words


def test_explain_says_who_must_approve(tmp_path: Path) -> None:
    """What is sensitive names who must approve it, also where a limit on worth makes it so and no mark does."""
    (tmp_path / "b.yaml").write_text(
        "bundle: b\ncurrency: EUR\ntime_zone: UTC\nprofile_purpose: none\n"
        "review_classes: {price: {approvers: 2, role: board}}\nreview_policy: {value_above: 5.0}\n"
        "offers: {dear: {value: 9.0}, cheap: {value: 1.0}}\n"
        "placements: {p: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.1}}}\n"
    )
    assert "price: 2 different people with the role board must approve" in RUN.invoke(app, ["explain", str(tmp_path), "dear"]).stdout
    assert "must approve" not in RUN.invoke(app, ["explain", str(tmp_path), "cheap"]).stdout


def test_explain_covers_the_whole_bundle() -> None:
    """Without a name: what holds for all, every placement and every offer; as JSON with the text and place of each statement."""
    document = json.loads(RUN.invoke(app, ["explain", str(DEMO / "bundle"), *MODELS, "--json"]).stdout)
    bundle = load_bundle(DEMO / "bundle", DEMO / "models")
    kinds = [subject["kind"] for subject in document["subjects"]]
    assert (kinds.count("bundle"), kinds.count("placement"), kinds.count("offer")) == (1, len(bundle.placements), len(bundle.offers))
    statements = [one for subject in document["subjects"] for one in subject["statements"]]
    assert all(one["text"] and ":" in one["where"] for one in statements)
    assert any("Global Privacy Control denies it" in one["text"] for one in statements)
    assert any("10.00% of people" in one["text"] for one in statements)


def test_explain_of_nothing_names_what_is_near() -> None:
    """An unknown name ends with 2 and the nearest known one."""
    result = RUN.invoke(app, ["explain", str(DEMO / "bundle"), "pay-latter", *MODELS])
    assert (result.exit_code, "did you mean `pay-later`?" in result.stderr) == (2, True)
