"""Hostile bundles: none loads, each refusal names its file and line; on a running server the old bundle serves on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from liftgate.adapters.admin_client import AdminClient
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.operators import Operators, token_hash
from liftgate.app.loading import Files, found, load_at_rest
from liftgate.bundle.mistake import Mistake
from liftgate.client import Client
from liftgate.record.audit_verify import read_audit
from tests.faults.hostile_bundles import SMALL, good_other_model, hostile
from tests.faults.serving import Serving

TOKEN = "lg_hostile"
EVERY = 1 if os.environ.get("LIFTGATE_TEST_RELOADS") == "all" else 10
"""Of so many hostile bundles one is given to a running server, whose reload starts a process; the others to what that process runs."""
AT_LEAST = 200
LONGEST_MISTAKE = 2_000
WHOLE = (
    "is no regular file",
    "is a link that leads out of the folder",
    "cannot be read",
    "is larger than",
    "is not there",
    "holds no *.yaml file",
    "holds more than",
    "would not be read",
    "is not YAML",
    "is missing",
)
"""What is said of a file as a whole, which has no line."""


def placed_well(mistake: Mistake) -> bool:
    """Say whether a mistake names its file and, where the file has lines and could be read, the line."""
    if not (mistake.file and mistake.problem and mistake.mend) or len(str(mistake)) > LONGEST_MISTAKE:
        return False
    return mistake.line > 0 or mistake.file.endswith(".onnx") or mistake.problem.startswith(WHOLE)


def refused_at_load(folder: Path) -> tuple[Mistake, ...]:
    """Return what is said of a bundle by what a reload's process runs; nothing: it loads."""
    files = Files(bundle=folder, models=None, operators=None, feast=None, log=folder.parent / "log", cluster=False)
    read = found(lambda: load_at_rest(files), Operators(None).read)
    return () if read.loaded is not None else read.mistakes


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_hostile_bundle_goes_live(tmp_path: Path) -> None:
    """More than 200 hostile bundles: all refused with file and line, by Reload or by what it runs; none is served, a good one is taken."""
    operators = tmp_path / "operators.yaml"
    operators.write_text(f'operators:\n  eve: {{roles: [admin], token_sha256: "{token_hash(TOKEN)}"}}\n')
    current = tmp_path / "current"

    def lead_to(folder: Path) -> None:
        (tmp_path / "fresh").symlink_to(folder.name)
        os.replace(tmp_path / "fresh", current)

    good = Path(shutil.copytree(SMALL, tmp_path / "good"))
    other = Path(shutil.copytree(SMALL, tmp_path / "other"))
    good_other_model(other)
    lead_to(good)
    flags = ("--bundle", str(current), "--operators", str(operators), "--fetch-budget-ms", "5000", "--reserve-budget-ms", "5000")
    live: list[str] = []
    misplaced: dict[str, list[str]] = {}
    tried = 0
    with EmbeddedValkey() as valkey, Serving(valkey.url, tmp_path / "log", *flags) as server:
        with AdminClient(server.target, TOKEN, timeout_s=120) as admin, Client(server.target, timeout_ms=60_000) as client:
            digest = admin.status().worker.digest
            for number, (name, spoil) in enumerate(hostile()):
                tried += 1
                folder = Path(shutil.copytree(SMALL, tmp_path / f"b{number}"))
                spoil(folder)
                if number % EVERY:
                    mistakes = refused_at_load(folder)
                    if not mistakes:
                        live.append(name)
                    elif not all(map(placed_well, mistakes)):
                        misplaced[name] = [str(one)[:200] for one in mistakes if not placed_well(one)]
                    shutil.rmtree(folder)
                    continue
                lead_to(folder)
                (outcome,) = admin.reload(f"spoiled, number {number}")
                if outcome.result != "refused" or outcome.digest != digest:
                    live.append(f"{name}: {outcome.result}")
                    lead_to(good)
                    admin.reload("back")
                elif not outcome.mistakes or not all(map(placed_well, outcome.mistakes)):
                    misplaced[name] = [outcome.cause, *(str(one)[:200] for one in outcome.mistakes if not placed_well(one))]
                if number % (5 * EVERY) == 0:
                    assert client.decide(f"person-{number}", "home.hero", channel="web").bundle_digest == digest
                lead_to(good)
                shutil.rmtree(folder)
            # The control arm: the same road, and a bundle that nothing is wrong with.
            lead_to(other)
            (taken,) = admin.reload("good")
            assert (taken.result, taken.mistakes) == ("swapped", ())
            assert client.decide("person", "home.hero", channel="web").bundle_digest == taken.digest != digest
        assert server.terminate() == 0
    assert live == []
    assert misplaced == {}
    assert tried >= AT_LEAST
    assert [record.reason for _, record in read_audit(tmp_path / "log" / "audit")] == ["good"]
