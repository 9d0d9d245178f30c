"""The example on real customers runs end to end on a slice of the file, and sees when a count is wrong."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.bundle.load import check_bundle, load_bundle

ROOT = Path(__file__).parents[2]
EXAMPLE, MODELS = ROOT / "examples" / "hillstrom", ROOT / "models"
DATA = ROOT / os.environ.get("LIFTGATE_TEST_DATA", "../shared/data/hillstrom.csv.gz")
CUSTOMERS = 1200

with_data = pytest.mark.skipif(not DATA.is_file(), reason=f"THE TEST ON REAL CUSTOMERS DID NOT RUN: {DATA} is not there")


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def slice_of(tmp_path: Path) -> Callable[[int], Path]:
    """Writes the first rows of the file as a file of their own."""

    def cut(rows: int) -> Path:
        path = tmp_path / "slice.csv.gz"
        with gzip.open(DATA, "rt", encoding="utf-8") as whole, gzip.open(path, "wt", encoding="utf-8") as part:
            part.writelines(line for line, _ in zip(whole, range(rows + 1), strict=False))
        return path

    return cut


@with_data
def test_a_slice_end_to_end(tmp_path: Path, slice_of: Callable[[int], Path]) -> None:
    """Load, decide over gRPC, verify, seal, read back and value: every customer once, on the policy's own probabilities."""
    out = tmp_path / "out"
    done = _run("--data", slice_of(CUSTOMERS), "--out", out, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["customers"] == CUSTOMERS == sum(found["chosen"].values())
    table = pa.concat_tables(pq.read_table(path) for path in (out / "log").rglob("decision-*.parquet"))
    assert sorted(table["request_id"].to_pylist()) == sorted(f"hillstrom-{row}" for row in range(CUSTOMERS))
    vectors = np.array([slots[0] for slots in table["slots"].to_pylist()])
    np.testing.assert_allclose(np.sort(vectors, axis=1), np.tile([0.1 / 3, 0.1 / 3, 0.9 + 0.1 / 3], (CUSTOMERS, 1)), atol=1e-9)
    names = [value["name"] for value in found["values"]]
    assert len(names) == 5
    for value in found["values"]:
        for estimates in (value["ips"], value["snips"], value["policy_minus_this"]):
            assert all(each["low"] <= each["value"] <= each["high"] for each in estimates.values())
    assert not [line for line in (out / "server.log").read_text().splitlines() if '"level": "error"' in line]


@with_data
def test_nothing_that_was_there_is_overwritten(tmp_path: Path, slice_of: Callable[[int], Path]) -> None:
    """A folder with something in it is refused before anything starts."""
    (tmp_path / "kept").write_text("mine")
    done = _run("--data", slice_of(10), "--out", tmp_path)
    assert done.returncode == 1
    assert "not empty" in done.stdout + done.stderr
    assert (tmp_path / "kept").read_text() == "mine"


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file that is not the campaign's ends the run with the line that is wrong, before anything starts."""
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    done = _run("--data", path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "line 1" in " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example's module of that name; its files are no package, and are forgotten again."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    before = set(sys.modules)
    yield importlib.import_module("decisions")
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(EXAMPLE)):
            del sys.modules[name]


def _logged(rows: list[int], **changes: Any) -> dict[str, list[Any]]:
    n = len(rows)
    columns: dict[str, list[Any]] = {
        "decision_id": [f"{row:032x}" for row in rows],
        "request_id": [f"hillstrom-{row}" for row in rows],
        "arm": ["TREATMENT"] * n,
        "degraded": [False] * n,
        "scored": [True] * n,
        "offered": [["no-email"]] * n,
        "candidate_offer_id": [["mens-email", "no-email", "womens-email"]] * n,
        "slots": [[[0.2, 0.3, 0.5]]] * n,
        "bundle_digest": ["d"] * n,
    }
    return columns | changes


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (_logged([0, 1, 3]), "1 missing"),
        (_logged([0, 1, 2, 3, 2]), "1 more than once"),
        (_logged([0, 1, 2, 4]), "1 missing"),
        (_logged([0, 1, 2, 3, 4]), "holds 5 of 4"),
        (_logged([0, 1, 2, 3], decision_id=["f" * 32] * 4), "other decision ids"),
        (_logged([0, 1, 2, 3], degraded=[False, True, False, False]), "1 decisions have degraded True"),
        (_logged([0, 1, 2, 3], scored=[False] * 4), "4 decisions have scored False"),
        (_logged([0, 1, 2, 3], arm=["HOLDOUT"] * 4), "4 decisions have arm HOLDOUT"),
        (_logged([0, 1, 2, 3], offered=[[]] * 4), "one choice"),
        (_logged([0, 1, 2, 3], bundle_digest=["d", "d", "d", "e"]), "2 bundles"),
    ],
)
def test_a_wrong_count_is_seen(tmp_path: Path, decisions: Any, log: dict[str, list[Any]], words: str) -> None:
    """A log that lacks a customer, has one twice, or has one that was not decided in full is not valued."""
    pq.write_table(pa.table(log), tmp_path / "decision-1.parquet")
    with pytest.raises(decisions.Failed, match=words):
        decisions.read_back(tmp_path, [f"{row:032x}" for row in range(4)])


def test_probabilities_land_on_their_offers(tmp_path: Path, decisions: Any) -> None:
    """Rows and candidates in any order are read as the customer's and the offer's own."""
    pq.write_table(pa.table(_logged([2, 0])), tmp_path / "decision-1.parquet")
    pq.write_table(pa.table(_logged([1], slots=[[[0.0, 1.0, 0.0]]])), tmp_path / "decision-2.parquet")
    found = decisions.read_back(tmp_path, [f"{row:032x}" for row in range(3)])
    assert decisions.OFFERS == ("mens-email", "womens-email", "no-email")
    np.testing.assert_array_equal(found.probability, [[0.2, 0.5, 0.3], [0.0, 0.0, 1.0], [0.2, 0.5, 0.3]])
    assert found.chosen.tolist() == [2, 2, 2]


@pytest.mark.parametrize("outcome", ["visit", "conversion"])
def test_bundle_and_models_load(tmp_path: Path, outcome: str) -> None:
    """The bundle is good with either goal's models, and all of these give their golden vectors."""
    copytree(EXAMPLE / "bundle", tmp_path / "bundle")
    for path in (tmp_path / "bundle").glob("*.yaml"):
        path.write_text(path.read_text().replace("_visit", f"_{outcome}"))
    bundle = load_bundle(tmp_path / "bundle", MODELS)
    assert [spec.name for spec in bundle.models] == sorted(f"hillstrom_{what}_{outcome}" for what in ("mens", "womens", "none"))
    models = OnnxModels.load(bundle)
    for spec in bundle.models:
        np.testing.assert_allclose(models.score(spec, spec.golden_inputs), spec.golden_outputs, atol=1e-6)


def test_models_are_found_beside_the_bundle() -> None:
    """`liftgate bundle check examples/hillstrom/bundle` needs no --models."""
    assert check_bundle(EXAMPLE / "bundle").mistakes == ()
