"""`liftgate decide`: a table for people, JSON for programs, plain words when it fails."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from liftgate import __version__
from liftgate.app.cli.decide import parse_attribute
from liftgate.app.cli.main import make_app
from tests.app.conftest import Serve
from tests.ports import free_port


def liftgate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "liftgate.app.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_decision_is_shown_with_every_candidate_and_as_json(serve: Serve) -> None:
    """The table names every candidate with its reason in words; --json carries the same as data; a mistake is named by field."""
    server = serve()
    target = f"127.0.0.1:{server.port}"
    asked = (
        "decide",
        "--person",
        "ada",
        "--placement",
        "home.hero",
        "--channel",
        "web",
        "--explain",
        "--target",
        target,
        "--timeout-ms",
        "20000",
    )
    shown = liftgate(*asked)
    assert shown.returncode == 0, shown.stderr
    for words in ("Show: ", "winter-sale", "welcome", "not free-shipping: ", "unknown_person", "P slot 1", "due to: propensity"):
        assert words in shown.stdout
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    said = " ".join(shown.stdout.split())
    assert "Consent for a purpose that it needs is not on record, and unknown is no. (offers.yaml:" in said
    answer = json.loads(liftgate(*asked, "--json").stdout)
    reasons = {one["offer_id"]: one["reason"] for one in answer["explanation"]["candidates"]}
    assert reasons["free-shipping"] == "CONSENT_MISSING"
    assert sum(one["selection_probability"] or 0 for one in answer["explanation"]["candidates"]) == pytest.approx(1)
    refused = liftgate("decide", "--person", "ada", "--placement", "nowhere", "--target", target)
    assert refused.returncode == 2
    assert "placement_id" in refused.stderr
    assert "ada" not in refused.stderr


def test_a_service_that_is_away_is_said_so() -> None:
    """With nobody listening the exit code is 1, the words name the target, and with --json they are JSON."""
    target = f"127.0.0.1:{free_port()}"
    away = liftgate("decide", "--person", "ada", "--placement", "home.hero", "--target", target, "--timeout-ms", "20000", "--json")
    assert away.returncode == 1
    assert f"nothing listens on {target} (connection refused)" in json.loads(away.stderr)["error"]


def test_a_service_that_hangs_is_not_said_to_be_refused() -> None:
    """Somebody who takes the connection and never speaks is no refused connection."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        target = f"127.0.0.1:{mute.getsockname()[1]}"
        away = liftgate("decide", "--person", "ada", "--placement", "home.hero", "--target", target, "--timeout-ms", "300")
    assert away.returncode == 1
    assert f"no answer from {target} within 300 ms (DEADLINE_EXCEEDED)" in away.stderr


def test_the_version_is_a_command_and_an_option() -> None:
    """Both print the same one word."""
    assert liftgate("--version").stdout == liftgate("version").stdout == f"{__version__}\n"


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("country=DE", ("country", "DE")),
        ("basket=12.5", ("basket", 12.5)),
        ("items=3", ("items", 3)),
        ("member=true", ("member", True)),
        ('code="5"', ("code", "5")),
        ("note=a=b", ("note", "a=b")),
        ("empty=", ("empty", "")),
        ("list=[1]", ("list", "[1]")),
    ],
)
def test_attributes_are_typed_by_how_they_look(text: str, parsed: tuple[str, object]) -> None:
    """Numbers, true and false are themselves; everything else is text."""
    assert parse_attribute(text) == parsed


@pytest.mark.parametrize("text", ["", "country", "=DE"])
def test_an_attribute_without_name_or_value_is_refused(text: str) -> None:
    """What is wanted is said."""
    with pytest.raises(ValueError, match="NAME=VALUE"):
        parse_attribute(text)


def _help(*words: str) -> str:
    shown = CliRunner().invoke(make_app(words[0]), [*words, "--help"])
    assert shown.exit_code == 0
    return shown.stdout


@pytest.mark.parametrize("command", ["serve", "decide", "bundle", "profiles", "log", "version"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    """--help of each command, or of each of a group's commands, shows an example and, but for groups, --json."""
    shown = _help(command)
    if "COMMAND [ARGS]" not in shown:
        assert "Example" in shown
        assert "--json" in shown
        return
    names = [line.split()[0] for line in shown.partition("Commands")[2].splitlines() if line.startswith("  ") and line.strip("│ ")]
    assert names
    for name in names:
        each = _help(command, name)
        assert "Example" in each, name
        # What prints JSON anyway needs no flag for it.
        assert "--json" in each or "JSON" in each, name
