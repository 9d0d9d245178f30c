"""Levers, minima and the like in the commands about bundles: check warns, diff shows, explain says, test knows their reasons."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liftgate.app.cli.bundle import app
from liftgate.bundle.load import check_bundle

WORTH = Path(__file__).parents[1] / "cases" / "bundles" / "worth"


def changed(tmp_path: Path, *edits: tuple[str, str]) -> Path:
    """Return a copy of the bundle of worth with texts replaced, each of which is there once."""
    folder = tmp_path / "worth"
    shutil.copytree(WORTH, folder)
    text = (folder / "bundle.yaml").read_text(encoding="utf-8")
    for before, after in edits:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    (folder / "bundle.yaml").write_text(text, encoding="utf-8")
    return folder


def ran(*arguments: str, code: int = 0) -> str:
    """Return what a command prints."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.mark.parametrize(("percent", "warned"), [("700", False), ("900", True), ("-80", False), ("-90", True)])
def test_check_warns_of_levers_that_outrank_the_model(tmp_path: Path, percent: str, warned: bool) -> None:
    """From ten times up or down there is a caution at the offer's levers."""
    checked = check_bundle(changed(tmp_path, ("{name: push, percent: 50}", f"{{name: push, percent: {percent}}}")))
    said = [one for one in checked.cautions if "hardly matter" in one.text]
    assert [one.field for one in said] == (["offers.pushed.levers"] if warned else [])


def test_check_warns_of_smoothing_without_evidence() -> None:
    """An offer that ranks by its prior alone is pointed out, one with evidence is not."""
    said = {one.field for one in check_bundle(WORTH).cautions if "prior alone" in one.text}
    assert said == {"offers.unseen"}


def test_diff_shows_a_lever_and_not_its_layout(tmp_path: Path) -> None:
    """A changed percent is one change with both texts; spaces in a condition are none."""
    edits = (
        ("{name: push, percent: 50}", "{name: push, percent: 60}"),
        ("'profile.age < 50'", "'profile.age<50'"),
        ("minimum_value: 5.0", "minimum_value: 6.0"),
    )
    said = json.loads(ran("diff", str(WORTH), str(changed(tmp_path, *edits)), "--json"))
    assert [(one["section"], one["name"], one["key"]) for one in said["changes"]] == [
        ("offers", "pushed", "levers"),
        ("placements", "nothing", "minimum_value"),
    ]
    assert "percent: 50" in said["changes"][0]["before"]
    assert "percent: 60" in said["changes"][0]["after"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("campaign", "lever june: counts for 3 times as much from 2026-06-01 00:00:00 UTC on and before 2026-07-01 00:00:00 UTC"),
        ("for-the-young", "lever young: counts for 100 % more while their age is less than 50; where that is not known, it does not count"),
        ("seasonal", 'counts for 3 times as much while the request\'s channel is "web"'),
        ("new", "until enough is known of it 2.00% is expected to respond"),
        ("tried", "seen so far: 0 positive responses of 7,500 times that it was shown"),
        ("helps", "times how much more likely that is with it (model buys version 1) than without (model buys_anyway version 1)"),
        ("filler", "priority 9 of 1 (first) to 9"),
        ("nothing", "only offers that are expected to bring at least 5 EUR; where there is none, nothing is shown"),
        ("least-propensity", "only offers to which at least 20.00% are expected to respond"),
    ],
)
def test_explain_says_it_in_words(name: str, words: str) -> None:
    """Every key has words, and nothing of it is left as written."""
    text = ran("explain", str(WORTH), name)
    assert words in " ".join(text.split())
    assert "Other rules, as written" not in text


def test_cases_know_what_is_not_worth_showing(tmp_path: Path) -> None:
    """A table of cases can want BELOW_THRESHOLD, LOWER_TIER and NOTHING_WORTH_SHOWING, and fails where something else comes."""
    folder = changed(tmp_path)
    (folder / "tests").mkdir()
    case = """
now: 2026-06-15T12:00:00Z
persons:
  ada: {profile: {age: 40, spend: 12.0}, consent: {personalization: granted}}
cases:
  - says: What is below the minimum and of a lower tier is not shown.
    person: ada
    placement: tiers-and-least
    want: {reasons: {urgent: BELOW_THRESHOLD, plain: CHOSEN, filler: LOWER_TIER}, allowed: [plain]}
  - says: Nothing is shown where nothing is worth it.
    person: ada
    placement: nothing
    want: {reason: NOTHING_WORTH_SHOWING, answer: nothing}
"""
    (folder / "tests" / "worth.yaml").write_text(case, encoding="utf-8")
    ran("test", str(folder))
    (folder / "tests" / "worth.yaml").write_text(case.replace("plain: CHOSEN", "plain: BELOW_THRESHOLD"), encoding="utf-8")
    assert "expected BELOW_THRESHOLD, got CHOSEN" in " ".join(ran("test", str(folder), code=1).split())
