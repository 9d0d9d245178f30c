"""The page of a log: every number is that of a command, refusals are shown and not numbers, and the words follow the rules."""

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
from tests.report.shop_log import write_shop

CONSTANTS = ("95 %", "0.001", "1000")
"""Numbers on the page that are no findings: the level of intervals and the alarms."""


def run(*words: str) -> tuple[int, dict[str, Any]]:
    """A command's exit code and JSON."""
    result = CliRunner().invoke(make_app(words[0]), [*words, "--json"])
    assert result.stdout.startswith("{"), result.output
    return result.exit_code, json.loads(result.stdout)


def report(folder: Path, *more: str) -> tuple[int, dict[str, Any], PageText]:
    """The exit code, what was printed, and the page of the log in a folder."""
    out = folder / "report.html"
    code, said = run("report", "--log", str(folder / "log"), "--window", "1d", "--n-star", "1500", "--out", str(out), *more)
    page = PageText()
    page.feed(out.read_text(encoding="utf-8"))
    page.close()
    return code, said, page


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, hypotheses, an answer of simulate, a report of it, and its tables."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder / "log")
    (folder / "hypotheses").mkdir()
    (folder / "hypotheses" / "banner.yaml").write_text(
        "id: banner\nwhat: Show 3 <b>bags</b>\nwhy: half leave\nexpected_lift: 0.05\nmetric: purchase\nowner: ana\n"
        "ice: {impact: 8, confidence: 5, ease: 3}\n"
    )
    (folder / "simulated.json").write_text(json.dumps({"what": "simulate", "refusal": {"code": "c", "why": "w", "what_to_do": "d"}}))
    report(
        folder, "--keep", str(folder / "kept"), "--hypotheses", str(folder / "hypotheses"), "--simulated", str(folder / "simulated.json")
    )
    return folder


@pytest.fixture
def page(shop: Path) -> PageText:
    """The page."""
    found = PageText()
    found.feed((shop / "report.html").read_text(encoding="utf-8"))
    found.close()
    return found


def test_every_number_on_the_page_is_in_its_facts(page: PageText) -> None:
    """What is shown is what stands at the named place of the facts, written in the named style; nothing else on the page is a number."""
    facts = page.facts
    for one in page.traced:
        value = at(facts, one.at)
        assert one.text == written(value, one.style), one.at
        if one.style not in ("text", "digest"):
            assert json.loads(str(one.value)) == value, one.at
    assert len(page.traced) > 400
    loose = " ".join(page.loose)
    for constant in CONSTANTS:
        loose = loose.replace(constant, "")
    assert re.findall(r"[^ ]*\d[^ ]*", loose) == []


def test_every_answer_is_the_json_of_its_command(shop: Path, page: PageText, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that the page names, run by itself, prints the answer that the page is made of."""
    monkeypatch.chdir(shop / "kept")
    (shop / "again").mkdir()
    facts = page.facts
    for name, command in facts["commands"].items():
        words = shlex.split(command.replace("--out ", "--out ../again/"))[1:]
        code, said = run(*words)
        known = facts["answers"][name]
        for one in (said, known):
            one.pop("path", None)
        assert said == nearly(known), name
        assert code in ((3,) if known["refusal"] else (0, 4)), name
    assert {name.split()[0] for name in facts["commands"]} >= {"quality", "srm", "lift", "sequential", "funnel", "drift", "layer"}


def nearly(value: Any) -> Any:
    """The value with numbers that may differ where sums are taken in another order."""
    if isinstance(value, dict):
        return {key: nearly(one) for key, one in value.items()}
    if isinstance(value, list):
        return [nearly(one) for one in value]
    return pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value


def test_the_page_loads_and_runs_nothing(shop: Path, page: PageText) -> None:
    """No script but a block of data, no address, no source; and it is small. A text of a user cannot become markup."""
    assert [given.get("type") for tag, given in page.elements if tag == "script"] == ["application/json"]
    assert not [tag for tag, given in page.elements if {"src", "onclick", "onload"} & given.keys() or tag in ("link", "iframe", "img", "b")]
    assert all(str(given["href"]).startswith("#") for tag, given in page.elements if tag == "a")
    text = (shop / "report.html").read_text(encoding="utf-8")
    assert "http" not in text.replace("http-equiv", "")
    assert len(text) < 2_000_000
    assert next(one.text for one in page.traced if one.at == "/answers/hypotheses/hypotheses/0/what") == "Show 3 <b>bags</b>"


def test_a_planted_effect_is_shipped(page: PageText) -> None:
    """People of whom 35 % buy against 20 % held out: the verdict is good, and the first thing to do is to ship."""
    facts = page.facts
    assert facts["verdict"]["level"] == "good"
    assert facts["verdict"]["what"].startswith("It works: purchase is ")
    levels = [one["level"] for one in facts["recommendations"]]
    assert levels[0] == "ship"
    assert "test" in levels
    for one in facts["recommendations"]:
        assert all(at(facts, place) is not None for place in one["evidence"])


def test_an_ablation_says_what_a_part_contributes(page: PageText) -> None:
    """The arm without choosing loses what was planted, and the page says to keep that part."""
    facts = page.facts
    found = facts["answers"]["layer parts"]["results"][0]
    assert (found["arm"], found["control"]) == ("random_allowed", "treatment")
    assert found["ci_low"] < -0.15 < found["ci_high"]
    said = [one for one in facts["recommendations"] if "random_allowed" in one["what"]]
    assert [one["what"] for one in said] == ["Keep choosing: without it less is earned (random_allowed of parts)."]


def test_a_layer_of_sessions_is_a_refusal_on_the_page(page: PageText) -> None:
    """Events do not say which session they belong to: the ladder says so, and the rest of the page stands."""
    facts = page.facts
    assert facts["answers"]["layer visits"]["refusal"]["code"] == "unit_without_events"
    assert "/answers/layer visits/refusal/why" in {one.at for one in page.traced}


def test_a_log_with_gaps_gets_no_verdict(tmp_path: Path) -> None:
    """Missing records: the banner is red, no effect is shown, and the first thing to do is to fix the data; exit code 3."""
    write_shop(tmp_path / "log", gap=True)
    code, said, page = report(tmp_path)
    assert code == 3
    assert (said["verdict"]["level"], said["recommendations"][0]["level"]) == ("refused", "fix_data")
    assert "banner refused" in {given.get("class") for tag, given in page.elements if tag == "section"}
    assert not [one.at for one in page.traced if one.style in ("points", "percent")]
    assert report(tmp_path, "--allow-gaps")[1]["answers"]["lift"]["refusal"] is None


def test_no_effect_is_not_shipped(tmp_path: Path) -> None:
    """Without an effect, before N*: keep running until N*; nothing is shipped."""
    write_shop(tmp_path / "log", effect=0.0, people=800)
    code, said, _ = report(tmp_path)
    assert code == 0
    assert said["verdict"]["level"] == "unclear"
    levels = [one["level"] for one in said["recommendations"]]
    assert "keep_running" in levels
    assert "ship" not in levels


def test_several_bundles_are_compared_within_each(tmp_path: Path) -> None:
    """The effect is stratified by bundle and the page says so; nobody is asked to do it; drift is between the first and the last bundle."""
    write_shop(tmp_path / "log", versions=2)
    _, said, page = report(tmp_path)
    assert "--stratum version" in said["commands"]["lift"]
    assert said["answers"]["drift"]["reference"] == f"version = '{'a' * 64}'"
    assert list(said["answers"]["drift"]["versions"]) == ["b" * 64]
    assert said["answers"]["lift"]["refusal"] is None
    assert "/answers/quality/warnings/0" in {one.at for one in page.traced}
    assert any("compared within each bundle" in words for words in page.loose)
    assert not any("2 bundles" in one["why"] for one in said["recommendations"])


def test_open_windows_are_a_page_that_says_wait(tmp_path: Path) -> None:
    """Nobody's window is closed: the page is written, says that it has to wait, and shows no effect."""
    write_shop(tmp_path / "log", people=200)
    _, said, _ = report(tmp_path, "--read-at", "2026-01-01T00:00:01Z")
    assert said["verdict"]["level"] == "refused"
    assert said["recommendations"][0]["level"] == "keep_running"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--layer", "nobody"], "is in a layer 'nobody'"),
        (["--window", "soon"], "--window"),
        (["--simulated", "no.json"], "no answer of"),
    ],
)
def test_what_is_asked_wrongly_is_said(shop: Path, tmp_path: Path, words: list[str], says: str) -> None:
    """A layer that is not there, a span that is none, a file that is no answer: exit code 2, and no page."""
    out = tmp_path / "report.html"
    result = CliRunner().invoke(make_app("report"), ["report", "--log", str(shop / "log"), "--out", str(out), *words])
    assert result.exit_code == 2
    assert says in result.output
    assert not out.exists()


def test_a_course_over_changed_shares_is_of_the_newest_bundle_alone(tmp_path: Path) -> None:
    """A holdout that grew with the second bundle: the effect is compared within each bundle, its course begins with the second."""
    write_shop(tmp_path / "log", versions=2, held=(0.1, 0.3))
    _, said, page = report(tmp_path)
    whole, course = said["answers"]["lift"], said["answers"]["sequential"]
    assert whole["refusal"] is None
    assert f"--where \"version = '{'b' * 64}'\"" in said["commands"]["sequential"]
    assert sum(course["n"].values()) < sum(whole["n"].values())
    assert said["answers"]["funnel"]["n"] == course["n"]
    assert any("newest bundle alone" in words for words in page.loose)
