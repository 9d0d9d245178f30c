"""The page of the demo's shop after a fortnight: real pipeline, real log, three layers, two bundles, a planted arm and a planted shift."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liftgate.app.cli.main import make_app
from liftgate.report.shown import at, written
from tests.report.page_text import PageText
from tests.report.shop_world import write_world

CONSTANTS = ("95 %", "0.001", "1000")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(*words: str) -> tuple[int, dict[str, Any]]:
    """A command's exit code and JSON."""
    result = CliRunner().invoke(make_app(words[0]), [*words, "--json"])
    assert result.stdout.startswith("{"), result.output
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log, hypotheses, a report of them, and its tables."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, 2_500)
    words = ["--log", str(folder / "log"), "--window", "5d", "--hypotheses", str(folder / "hypotheses"), "--keep", str(folder / "kept")]
    code, _ = run("report", *words, "--out", str(folder / "report.html"))
    assert code == 0
    return folder


@pytest.fixture(scope="module")
def page(world: Path) -> PageText:
    """The page."""
    found = PageText()
    found.feed((world / "report.html").read_text(encoding="utf-8"))
    found.close()
    return found


def test_every_number_on_the_page_is_in_its_facts(page: PageText) -> None:
    """What is shown is what stands at the named place of the facts; nothing else on the page is a number."""
    facts = page.facts
    for one in page.traced:
        assert one.text == written(at(facts, one.at), one.style), one.at
    assert len(page.traced) > 1_000
    loose = " ".join(page.loose)
    for constant in CONSTANTS:
        loose = loose.replace(constant, "")
    assert re.findall(r"[^ ]*\d[^ ]*", loose) == []


def test_every_answer_is_the_json_of_its_command(world: Path, page: PageText, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that the page names, run by itself, prints the answer that the page is made of; and no answer is without one."""
    monkeypatch.chdir(world / "kept")
    (world / "again").mkdir()
    facts = page.facts
    assert facts["answers"].keys() == facts["commands"].keys()
    for name, command in facts["commands"].items():
        code, said = run(*shlex.split(command.replace("--out ", "--out ../again/"))[1:])
        known = {"refusal": None} | facts["answers"][name]
        for one in (said, known):
            one.pop("path", None)
        assert {"refusal": None} | said == _nearly(known), name
        assert code in ((3,) if known["refusal"] else (0, 4)), name


def _nearly(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nearly(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_nearly(one) for one in value]
    return pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value


def test_segments_are_inputs_of_first_decisions_and_corrected_together(page: PageText) -> None:
    """Without --segment: placement, channel and device, each value with its effect, in one family with the whole."""
    results = page.facts["answers"]["lift"]["results"]
    named = {next(iter(one["segment"])) for one in results if one["segment"]}
    assert named == {"placement", "context.channel", "context.device"}
    assert {one["segment"]["context.channel"] for one in results if "context.channel" in (one["segment"] or {})} == {"app", "email", "web"}
    answered = [one for one in results if one["p_value"] is not None]
    assert {one["family"] for one in answered} == {len(answered)}
    whole = next(one for one in results if one["segment"] is None)
    parts = [one for one in results if one["metric"] == whole["metric"] and "context.device" in (one["segment"] or {})]
    assert sum(one["n"]["treatment"] for one in parts) == whole["n"]["treatment"]


def test_every_arm_has_a_course_with_the_n_star_that_the_bundle_froze(page: PageText) -> None:
    """Three layers, N* of each from the bundle that the log kept; bold, in which more was planted, may stop, and is shipped."""
    facts = page.facts
    answers = facts["answers"]
    assert (facts["n_star"], facts["n_star_from"]) == (4_000, "bundle")
    assert {one["layer"]: (one["n_star"], one["n_star_from"]) for one in facts["layers"]} == {
        "parts": (6_000, "bundle"),
        "hero-ranking": (2_500, "bundle"),
    }
    hero = answers["sequential hero-ranking"]
    assert hero["n_star"] == 2_500
    assert hero["comparisons"]["bold"]["direction"] == "up"
    assert len(hero["comparisons"]["quiet"]["looks"]) >= 8
    assert len(answers["sequential parts"]["comparisons"]) == 5
    shipped = [one["what"] for one in facts["recommendations"] if one["level"] == "ship"]
    assert "Ship bold of hero-ranking." in shipped


def test_the_funnel_goes_on_to_coming_back_and_is_ranked_by_worth(page: PageText) -> None:
    """Decision, exposure, click, cart, purchase, purchase again; a bottleneck is worth the orders that keeping a tenth would bring."""
    funnel = page.facts["answers"]["funnel"]
    assert funnel["steps"] == ["triggered", "exposure", "click", "cart_action", "purchase", "purchase_again"]
    assert set(funnel["values"]) == {"purchase", "purchase_again"}
    for one in funnel["funnels"]:
        worths = [each["worth"] for each in one["bottlenecks"]]
        assert worths == sorted(worths, reverse=True)
        rates = {each["step"]: each["units"] for each in one["steps"]}
        assert rates["purchase_again"] <= rates["purchase"]
    by_arm = page.facts["answers"]["funnel hero-ranking"]
    assert {one["arm"] for one in by_arm["funnels"]} == {"bold", "control", "quiet"}


def test_every_input_is_held_against_the_first_bundle(page: PageText) -> None:
    """Features, context, offers, scores and outcomes are compared; the device, planted to move, is in alarm; a verdict is given."""
    (drift,) = page.facts["answers"]["drift"]["versions"].values()
    named = {one["column"] for one in drift["columns"]} | drift["refused_columns"].keys()
    assert {"placement", "offer", "outcome", "score", "profile.age", "profile.loyalty_tier", "context.device"} <= named
    assert len(named) > 25
    assert [one["column"] for one in drift["columns"] if one["level"] == "alarm"] == ["context.device"]
    assert drift["calibration"] is not None
    assert drift["retrain"] in (True, False)


def test_a_guess_under_test_stands_beside_what_is_measured(page: PageText) -> None:
    """The hypothesis of hero-ranking: expected lift, and the lift of its arms so far; what was learned before, with its verdict."""
    places = {one.at for one in page.traced}
    assert "/answers/layer hero-ranking/results/0/lift" in places
    facts = page.facts
    assert next(one for one in facts["layers"] if one["layer"] == "hero-ranking")["hypothesis"] == "bold-hero"
    assert facts["answers"]["learned"]["guesses"][0]["verdict"] == "smaller than expected"


def test_segments_and_reference_as_they_are_asked_for(world: Path, tmp_path: Path) -> None:
    """A number as a segment comes in bands; drift against a table of one's own compares its columns with every bundle."""
    reference = world / "kept" / "decisions.parquet"
    words = ["--log", str(world / "log"), "--window", "5d", "--segment", "age", "--reference", str(reference), "--layer", "hero-ranking"]
    code, said = run("report", *words, "--out", str(tmp_path / "page.html"))
    assert code == 0
    bands = {one["segment"]["age"] for one in said["answers"]["lift"]["results"] if one["segment"]}
    assert "(missing)" in bands
    assert any(band.startswith("below ") for band in bands)
    assert f"--reference {reference}" in said["commands"]["drift"]
    assert len(said["answers"]["drift"]["versions"]) == 2
    assert said["headline"]["layer"] == "hero-ranking"
    assert said["verdict"]["what"].startswith("It works: ")
    assert "bold" in said["verdict"]["what"]
    code, output = run_wrong("report", *words[:4], "--segment", "shoe_size", "--out", str(tmp_path / "no.html"))
    assert code == 2
    assert "no one input 'shoe_size'" in output


def run_wrong(*words: str) -> tuple[int, str]:
    """A command's exit code and what it printed."""
    result = CliRunner().invoke(make_app(words[0]), [*words])
    return result.exit_code, result.output
