"""`liftgate bundle` in the words and exit codes that people and scripts rely on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from liftgate.app.cli.bundle import app, schema_text
from liftgate.bundle.load import load_bundle

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
SMALL = CASES / "bundles" / "small"
RUN = CliRunner()


def test_a_good_bundle_is_summed_up() -> None:
    """`check` names the bundle, its digest, its counts, and how rarely each placement explores, and exits 0."""
    result = RUN.invoke(app, ["check", str(SMALL)])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "small is good",
        f"  digest  {load_bundle(SMALL).digest}",
        "  holds   5 features, 6 context inputs, 3 purposes, 1 model, 4 offers, 2 placements, 5 conditions, 3 caps, 1 layer",
        "  email.top: 2 candidates, epsilon 0.2: smallest exploration probability 0.1, largest weight 10.0",
        "  home.hero: 3 candidates, epsilon 0.1: smallest exploration probability 0.03333, largest weight 30.0",
    ]


def test_every_policy_says_how_rarely_it_explores() -> None:
    """`check` prints how rarely every placement and arm explores, what weights that gives, and warns of small ones."""
    lines = RUN.invoke(app, ["check", str(CASES / "bundles" / "policies")]).stdout.splitlines()
    rare = "importance weights up to 250"
    endless = "importance weights have no bound; add `floor: 0.01`"
    assert [line.strip() for line in lines if line.startswith("    ")] == [
        "greedy explores nothing: what is not chosen today can never be learned about; add `floor: 0.01`",
        f"softmax guarantees no offer a smallest probability: {endless}",
        f"shows each of 3 offers with probability 0.004 at least: {rare}",
        f"shows each of 7 offers with probability 0.004 at least: {rare}",
        f"softmax guarantees no offer at uniform a smallest probability: {endless}",
    ]
    smallest = "smallest exploration probability"
    assert lines[-11:] == [
        f"  fixed: 3 candidates, fixed: {smallest} 0.2, largest weight 5.0",
        f"  floored: 3 candidates, epsilon 0.1, floor 0.05: {smallest} 0.07833, largest weight 12.8",
        f"  greedy: 3 candidates, greedy: {smallest} 0, largest weight without bound",
        f"  grouped: 7 candidates, epsilon 0.2: {smallest} 0.004, largest weight 250.0",
        f"  relative: 3 candidates, softmax, temperature 0.2 of the best, floor 0.02: {smallest} 0.02, largest weight 50.0",
        f"  softmax: 3 candidates, softmax, temperature 0.4 EUR: {smallest} 0, largest weight without bound",
        f"  thompson: 3 candidates, thompson, evidence 40, floor 0.004: {smallest} 0.004, largest weight 250.0",
        f"  uniform: 3 candidates, uniform: {smallest} 0.3333, largest weight 3.0",
        f"  greedy in control/random_allowed: 3 candidates, uniform: {smallest} 0.3333, largest weight 3.0",
        f"  greedy in control/random_propensity: 3 candidates, random propensity: {smallest} 0.1111, largest weight 9.0",
        f"  uniform in trial/softmax: 3 candidates, softmax, temperature 0.5 EUR: {smallest} 0, largest weight without bound",
    ]


def test_json_of_a_good_bundle() -> None:
    """`check --json` prints the same for programs."""
    result = RUN.invoke(app, ["check", str(SMALL), "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (document["good"], document["mistakes"], document["warnings"]) == (True, [], [])
    assert document["digest"] == load_bundle(SMALL).digest
    assert document["exploration"][0] == {
        "placement": "email.top",
        "layer": None,
        "arm": None,
        "candidates": 2,
        "policy": "epsilon_greedy",
        "epsilon": 0.2,
        "floor": 0.0,
        "smallest_probability": 0.1,
        "largest_weight": 10.0,
    }


def test_json_of_a_bad_bundle() -> None:
    """Mistakes come as file, line, field, problem and mend, and the exit code is 1."""
    result = RUN.invoke(app, ["check", str(CASES / "bundle_bad" / "condition_int_with_double"), "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["good"] is False
    assert document["mistakes"] == [
        {
            "file": "bundle.yaml",
            "line": 15,
            "field": "offers.gift.eligible_if",
            "problem": "column 1: profile.age is int and 18.0 is double: `>=` does not mix them",
            "mend": "write 18",
        }
    ]


def test_digest() -> None:
    """`digest` prints the digest and nothing else; of a bad bundle it prints mistakes on stderr and exits 1."""
    assert RUN.invoke(app, ["digest", str(SMALL)]).stdout == load_bundle(SMALL).digest + "\n"
    bad = RUN.invoke(app, ["digest", str(CASES / "bundle_bad" / "bad_currency")])
    assert (bad.exit_code, bad.stdout) == (1, "")
    assert bad.stderr.startswith("bundle.yaml:2: currency:")


def test_digest_as_json() -> None:
    """With --json it is an object with the bundle's name; of a bad bundle the mistakes are, as `check --json` gives them."""
    bundle = load_bundle(SMALL)
    assert json.loads(RUN.invoke(app, ["digest", str(SMALL), "--json"]).stdout) == {"name": bundle.name, "digest": bundle.digest}
    bad = RUN.invoke(app, ["digest", str(CASES / "bundle_bad" / "bad_currency"), "--json"])
    assert (bad.exit_code, json.loads(bad.stdout)["mistakes"][0]["field"]) == (1, "currency")


def test_warnings_do_not_fail(tmp_path: Path) -> None:
    """A bundle with a warning is good, and the warning is told with its place."""
    text = "bundle: b\ncurrency: EUR\ntime_zone: UTC\nprofile_purpose: none\noffers: {a: {value: 1}}\n"
    text += "placements: {p: {offers: all, select: {policy: epsilon_greedy, epsilon: 0}}}\n"
    (tmp_path / "b.yaml").write_text(text, encoding="utf-8")
    result = RUN.invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 0
    assert "b.yaml  warning  layers\n    nobody is held out: what the offers achieve cannot be measured\n" in result.stdout


def test_markup_in_a_bundle_is_printed_as_it_is(tmp_path: Path) -> None:
    """Text from a bundle cannot style or break the terminal's output."""
    (tmp_path / "b.yaml").write_text("'[red]x[/red]': 1\n", encoding="utf-8")
    assert "[red]x[/red]" in RUN.invoke(app, ["check", str(tmp_path)]).stdout


def test_the_published_schema_is_current() -> None:
    """docs/bundle-schema.json is what `liftgate bundle schema` prints: run `liftgate bundle schema > docs/bundle-schema.json`."""
    assert RUN.invoke(app, ["schema"]).stdout == schema_text()
    assert (ROOT / "docs" / "bundle-schema.json").read_text(encoding="utf-8") == schema_text()


def test_every_field_of_the_schema_is_described() -> None:
    """Editors show a description for every key of every section."""
    schema = json.loads(schema_text())
    bare = [
        f"{name}.{key}"
        for name, part in {"bundle": schema, **schema["$defs"]}.items()
        for key, value in part.get("properties", {}).items()
        if "description" not in value
    ]
    assert bare == []


def test_the_command_is_mounted_and_teaches() -> None:
    """`liftgate bundle --help` names the three commands, from a process of its own."""
    result = subprocess.run([sys.executable, "-m", "liftgate.app.cli.main", "bundle", "--help"], capture_output=True, text=True, check=True)
    assert all(word in result.stdout for word in ("check", "digest", "schema"))


def test_the_bundle_in_the_docs_is_good(tmp_path: Path) -> None:
    """The example in docs/bundle.md loads once its model is there."""
    page = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    (tmp_path / "b.yaml").write_text(page.split("```yaml\n", 1)[1].split("```", 1)[0], encoding="utf-8")
    shutil.copytree(SMALL / "models" / "tiny" / "1", tmp_path / "models" / "purchase_7d" / "3")
    assert load_bundle(tmp_path).name == "shop"


def test_the_docs_name_every_key() -> None:
    """Every key of every section of the schema stands in docs/bundle.md."""
    page = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    schema = json.loads(schema_text())
    keys = {key for part in (schema, *schema["$defs"].values()) for key in part.get("properties", {})}
    assert sorted(key for key in keys if not re.search(rf"\b{key}\b", page)) == []
