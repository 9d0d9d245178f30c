"""docs/experiments.md: its layer loads and its worked example comes out as the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liftgate.app.cli.main import make_app
from liftgate.bundle.load import load_bundle

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
SHOP = """bundle: my-bundle
currency: EUR
time_zone: Europe/Berlin
profile_purpose: none
offers: {loan: {value: 2.0}, shipping: {value: 4.0}}
placements: {home.hero: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.1}}}
"""
COMMAND = re.compile(r"^\$ (liftgate (?:\\\n|[^\n])*)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)


def run(command: str) -> str:
    """Run a line of the page and return what it prints."""
    words = shlex.split(command.replace("\\\n", " "))[1:]
    result = CliRunner().invoke(make_app(words[0]), words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's bundle, to be in."""
    (tmp_path / "my-bundle").mkdir()
    layer = PAGE.split("```yaml\n", 1)[1].split("```", 1)[0]
    (tmp_path / "my-bundle" / "shop.yaml").write_text(SHOP + layer, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_worked_example_comes_out_as_the_page_says(shop: Path) -> None:
    """Writing down, scoring, linking and checking print what the page shows: one N*, in the hypothesis and in the layer, and the days."""
    commands = [match for match in COMMAND.finditer(PAGE) if re.search("hypotheses (new|score|link)|layers|bundle check", match[1])]
    assert len(commands) >= 7
    # The example comes before the check that uses its hypothesis.
    printed = {}
    for match in sorted(commands, key=lambda match: "hypotheses" not in match[1]):
        printed[match[1]] = run(match[1])
        assert match[2].strip() in printed[match[1]]
    layer = load_bundle(shop / "my-bundle").layers[0]
    check = printed["liftgate layers check my-bundle --baseline 0.04 --traffic-per-day 20000"]
    assert f"N* {layer.n_star:,} units" in PAGE
    assert re.search(r"hero-values.*78,946.* 40 .*78,946", check), check
    assert "n_star is" not in check


def test_the_first_table_names_arms_that_exist() -> None:
    """Every ablation that the page recommends is one."""
    named = set(re.findall(r"arm `([a-z_]+)`", PAGE))
    schema = (ROOT / "docs" / "bundle-schema.json").read_text(encoding="utf-8")
    assert named == {"random_allowed", "propensity_only", "no_levers", "eligibility_only", "random_propensity"}
    assert all(f'"{name}"' in schema for name in named)
