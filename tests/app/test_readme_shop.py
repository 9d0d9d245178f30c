"""The README's shop, walked as it says: its bundle, its people, its commands."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.app.cli.profiles import app
from liftgate.client import Client
from tests.app.conftest import ROOT, Serve

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the README's one block of a language."""
    [text] = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_readmes_people_get_what_it_says(serve: Serve, tmp_path: Path) -> None:
    """Everyone is stored; Ada may get both offers, at the odds of epsilon; Bob's purchase and Cleo's no hold free shipping back."""
    shop, people = tmp_path / "shop", tmp_path / "people.csv"
    shop.mkdir()
    (shop / "shop.yaml").write_text(block("yaml"), encoding="utf-8")
    people.write_text(block("csv"), encoding="utf-8")
    # The reader's clock is the machine's, like the server's.
    now = datetime.fromtimestamp(people.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with EmbeddedValkey() as valkey:
        loaded = CliRunner().invoke(app, ["load", str(people), "--bundle", str(shop), "--at", now], env={"LIFTGATE_REDIS": valkey.url})
        assert loaded.exit_code == 0, loaded.output
        server = serve(bundle=shop, redis=valkey.url)
        became: dict[str, dict[str, tuple[str, float | None]]] = {}
        with Client(f"127.0.0.1:{server.port}", timeout_ms=20_000) as client:
            for person in ("ada", "bob", "cleo"):
                decision = client.decide(person, "home.hero", explain=True, dry_run=True)
                assert decision.explanation is not None
                assert decision.arm == "TREATMENT", person
                became[person] = {one.offer_id: (one.reason, one.selection_probability) for one in decision.explanation.candidates}
        assert server.end() == 0
    assert (became["ada"]["free-shipping"][1], became["ada"]["gift"][1]) == pytest.approx((0.95, 0.05))
    assert (became["bob"]["free-shipping"][0], became["bob"]["gift"][1]) == ("SUPPRESSED", 1.0)
    assert (became["cleo"]["free-shipping"][0], became["cleo"]["gift"][1]) == ("CONSENT_DENIED", 1.0)
