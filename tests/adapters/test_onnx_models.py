"""Good models load, score in one run and agree with plain arithmetic."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.bundle.compiled import Bundle, ModelInput, ModelSpec
from liftgate.domain.errors import ModelFailed
from liftgate.domain.input import Floats

WEIGHTS = np.array([[0.5, -1.0], [0.25, 0.125], [-2.0, 0.75]])
BIAS = np.array([0.1, -0.3])
GOLDEN = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [4.0, -2.0, 1.0]])


def sigmoid(rows: Floats) -> Floats:
    """The wanted outputs, in float64."""
    found: Floats = 1.0 / (1.0 + np.exp(-(rows @ WEIGHTS + BIAS)))
    return found


def logistic(last: str = "Sigmoid") -> bytes:
    """X [N, 3] -> Gemm -> `last` -> probabilities [N, 2]."""
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["X", "W", "B"], ["logit"]), helper.make_node(last, ["logit"], ["probabilities"])],
        "logistic",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])],
        [
            numpy_helper.from_array(WEIGHTS.astype(np.float32), "W"),
            numpy_helper.from_array(BIAS.astype(np.float32), "B"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


Pin = Callable[..., ModelSpec]


@pytest.fixture
def pin(tmp_path: Path) -> Pin:
    """Writes a model and returns its spec."""

    def write(raw: bytes, **changes: Any) -> ModelSpec:
        (tmp_path / "model.onnx").write_bytes(raw)
        spec = ModelSpec(
            name="purchase",
            version=3,
            directory=tmp_path,
            sha256=sha256(raw).hexdigest(),
            size=len(raw),
            input_name="X",
            output_name="probabilities",
            inputs=tuple(ModelInput(i, None, 0.0) for i in range(3)),
            outputs=("bought", "returned"),
            output_columns=(0, 1),
            base_rates=(0.1, 0.1),
            golden_inputs=GOLDEN,
            golden_outputs=sigmoid(GOLDEN),
        )
        return replace(spec, **changes)

    return write


def bundle(*specs: ModelSpec) -> Bundle:
    """All of a bundle that the loader reads."""
    return cast(Bundle, SimpleNamespace(models=specs))


@pytest.mark.parametrize("n", [1, 2, 32, 1000])
def test_scores_are_the_models(pin: Pin, n: int) -> None:
    """A batch of any size is scored as plain arithmetic would, to float32's precision."""
    spec = pin(logistic())
    rows = np.linspace(-5, 5, n * 3).reshape(n, 3)
    found = OnnxModels.load(bundle(spec)).score(spec, rows)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, sigmoid(rows), atol=1e-6)


def test_no_rows_no_scores(pin: Pin) -> None:
    """An empty batch gives an empty answer of the right width."""
    spec = pin(logistic())
    assert OnnxModels.load(bundle(spec)).score(spec, np.empty((0, 3))).shape == (0, 2)


@pytest.mark.parametrize("columns", [(0,), (1,), (1, 0)])
def test_only_named_columns(pin: Pin, columns: tuple[int, ...]) -> None:
    """Columns come back in the order of the spec's outputs, whatever their place in the ONNX output."""
    wanted = sigmoid(GOLDEN)[:, list(columns)]
    spec = pin(
        logistic(),
        outputs=("a", "b")[: len(columns)],
        output_columns=columns,
        base_rates=(0.1,) * len(columns),
        golden_outputs=wanted,
    )
    np.testing.assert_allclose(OnnxModels.load(bundle(spec)).score(spec, GOLDEN), wanted, atol=1e-6)


def test_a_model_of_another_bundle_is_not_known(pin: Pin) -> None:
    """A spec with the same name and version but other bytes is refused, not answered by the model at hand."""
    spec = pin(logistic())
    with pytest.raises(ModelFailed, match="not loaded"):
        OnnxModels.load(bundle(spec)).score(replace(spec, sha256="0" * 64), GOLDEN)


def test_wrong_width_fails(pin: Pin) -> None:
    """A matrix of another width is a failure of the stage, not of the process."""
    spec = pin(logistic())
    with pytest.raises(ModelFailed, match="3 columns"):
        OnnxModels.load(bundle(spec)).score(spec, np.zeros((4, 2)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_score_from_what_is_no_number(pin: Pin, bad: float) -> None:
    """NaN in gives no probability out; infinities give a failure or a finite probability, never anything else."""
    spec = pin(logistic())
    rows = np.vstack([GOLDEN, [[bad, bad, bad]]])
    models = OnnxModels.load(bundle(spec))
    try:
        found = models.score(spec, rows)
    except ModelFailed:
        return
    assert not np.isnan(bad)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 1).all()


def test_what_float32_cannot_hold_warns_nobody(pin: Pin) -> None:
    """A feature beyond float32's range is scored as an infinity, in several threads at once, and numpy warns of nothing."""
    spec = pin(logistic())
    models = OnnxModels.load(bundle(spec))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="overflow"):
            np.array([1e300]).astype(np.float32)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: models.score(spec, np.array([[1e300, 0.0, 0.0]])).tolist(), range(100)))
    assert found == [[[1.0, 0.0]]] * 100


def test_later_nonsense_fails(pin: Pin) -> None:
    """A model that is right on its golden vectors and leaves 0..1 elsewhere fails there instead of answering."""
    rows = GOLDEN * 0.0
    spec = pin(logistic("Identity"), output_columns=(0,), outputs=("a",), golden_inputs=rows, golden_outputs=rows[:, :1] + 0.1)
    models = OnnxModels.load(bundle(spec))
    with pytest.raises(ModelFailed, match=r"outside 0\.\.1"):
        models.score(spec, np.full((2, 3), 100.0))


def test_rounding_is_clipped(pin: Pin) -> None:
    """A value a rounding error outside 0..1 is clipped to it; one further out is a failure."""
    spec = pin(
        logistic("Identity"),
        output_columns=(0,),
        outputs=("a",),
        golden_inputs=np.zeros((1, 3)),
        golden_outputs=np.array([[0.1]]),
    )
    models = OnnxModels.load(bundle(spec))
    at_zero = -0.1 / 0.5
    found = models.score(spec, np.array([[at_zero - 1e-6, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    assert found[0, 0] == 0.0
    with pytest.raises(ModelFailed):
        models.score(spec, np.array([[at_zero - 1e-4, 0.0, 0.0]]))


def test_input_rows_stay_as_they_are(pin: Pin) -> None:
    """Scoring reads the matrix and never writes it: the record shows the inputs as used."""
    spec = pin(logistic())
    rows = GOLDEN.copy()
    OnnxModels.load(bundle(spec)).score(spec, rows)
    np.testing.assert_array_equal(rows, GOLDEN)
