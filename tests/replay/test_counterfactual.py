"""The table of what another bundle would have done: weights that average 1, by slot, and a reason wherever there is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from liftgate.adapters.bundle_archive import keep
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.app.cli.main import main
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.replay.again import Again
from liftgate.replay.counterfactual import Counterfactual, Table, rows_of
from liftgate.replay.logged import read_logged
from liftgate.replay.redecide import Redecider
from tests.pipeline.workbench import BUNDLES
from tests.replay.logbook import DEMO, write_log


def changed(source: Path, to: Path, before: str, after: str) -> Path:
    """Return a copy of a bundle's folder with one text replaced."""
    shutil.copytree(source, to)
    (file,) = [path for path in to.glob("*.yaml") if before in path.read_text(encoding="utf-8")]
    file.write_text(file.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    return to


def table(log: Path, own: Bundle, other: Bundle, out: Path) -> tuple[list[dict[str, Any]], Counterfactual]:
    """Return the rows of a log under another bundle."""
    again = Again(lambda digest: (own, OnnxModels.load(own)))
    found, redecider = Counterfactual(other.digest), Redecider(other, OnnxModels.load(other), own)
    with Table(out) as written:
        for logged in read_logged(log):
            result, same = again.add(logged)
            written.write(rows_of(logged, same, result, redecider, found))
    return pq.read_table(out).to_pylist(), found


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of slates of up to three slots."""
    log = tmp_path_factory.mktemp("shelf")
    write_log(log, load_bundle(BUNDLES / "golden"), people=300, rounds=4, slots=3)
    return log


def test_under_its_own_bundle_every_weight_is_one(shelf: Path, tmp_path: Path) -> None:
    """Target and logged probabilities are equal in every slot, nothing is unsupported, and no answer is another."""
    golden = load_bundle(BUNDLES / "golden")
    rows, found = table(shelf, golden, golden, tmp_path / "own.parquet")
    usable = [row for row in rows if not row["why"]]
    assert len(usable) > 800
    assert {row["slot"] for row in usable} == {1, 2, 3}
    for row in usable:
        assert row["target_probability"] == pytest.approx(row["logged_probability"], abs=1e-12)
        assert row["unsupported"] == 0
        assert row["reward"] is None
    assert found.changed == 0
    assert {row["why"] for row in rows} - {""} >= {"held out: what was shown followed no policy"} or all(not row["why"] for row in rows)


def test_mean_weights_are_one_in_every_slot(shelf: Path, tmp_path: Path) -> None:
    """With more exploration the weights differ from 1 and average 1 within 4 standard errors, where everything is supported."""
    own = load_bundle(BUNDLES / "golden")
    other = load_bundle(changed(BUNDLES / "golden", tmp_path / "other", "epsilon: 0.3", "epsilon: 0.6"))
    rows, found = table(shelf, own, other, tmp_path / "other.parquet")
    assert found.changed > 0
    for slot in (1, 2, 3):
        some = [row for row in rows if not row["why"] and row["slot"] == slot]
        weights = np.array([row["target_probability"] / row["logged_probability"] for row in some])
        assert weights.min() < 0.99
        if slot == 1:
            assert abs(weights.mean() - 1) < 4 * weights.std() / len(weights) ** 0.5


def test_what_the_log_could_not_show_is_unsupported(tmp_path: Path) -> None:
    """From a log without exploration, another bundle's exploration is probability on what was never shown, row by row."""
    folder = changed(BUNDLES / "golden", tmp_path / "greedy", "epsilon: 0.3", "epsilon: 0.0")
    own, other = load_bundle(folder), load_bundle(BUNDLES / "golden")
    write_log(tmp_path / "log", own, people=100, rounds=2)
    rows, found = table(tmp_path / "log", own, other, tmp_path / "t.parquet")
    lost = [row["unsupported"] for row in rows if not row["why"]]
    assert found.unsupported_rows > 0
    assert 0 < max(lost) <= 0.3
    assert all(0 <= one <= 1 for one in lost)


def test_the_command_writes_a_table_that_measure_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CSV and Parquet have the same rows, rows without a target say why, and nothing is left behind when it fails."""
    bundle = load_bundle(DEMO / "bundle", DEMO / "models")
    log = tmp_path / "log"
    keep(bundle, log)
    count = write_log(log, bundle, people=200, rounds=3)
    other = changed(DEMO / "bundle", tmp_path / "other", "    value: 7.50\n", "    value: 9.90\n")
    arguments = ["replay", "--log", str(log), "--models", str(DEMO / "models"), "--bundle", str(other), "--json", "--out"]
    for name in ("t.parquet", "t.csv"):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, str(tmp_path / name)])
        assert not ended.value.code
        answer = json.loads(capsys.readouterr().out)
        assert answer["reproduced"] == answer["counterfactual"]["rows"] == count
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert csv.read_csv(tmp_path / "t.csv").num_rows == len(rows) == count
    assert all((row["target_probability"] is None) == bool(row["why"]) for row in rows)
    assert sum(not row["why"] for row in rows) == answer["counterfactual"]["usable"] > count / 2
    assert not list(tmp_path.glob("*.part"))
