"""Propensity models on ONNX Runtime: hashed, looked into, warmed and held to their golden vectors before they go live."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextvars import Context, copy_context
from hashlib import sha256
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from liftgate.adapters.onnx_checks import Refused, check
from liftgate.adapters.onnx_runtime import ort
from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.bundle.mistake import Mistake
from liftgate.domain.errors import BadInput, ModelFailed
from liftgate.domain.input import Floats

SIZE_LIMIT = 64 << 20
"""Bytes; a larger model.onnx is refused unread."""
GOLDEN_TOLERANCE = 1e-5
"""Largest absolute deviation from a golden output."""
ROUNDING = 1e-6
"""A probability may lie this far outside 0..1 and is clipped; further out is a failure."""
WARM_UP_ROWS = (1, 32)

_FLOATS = ("tensor(float)", "tensor(double)")
Key = tuple[str, int, str]


class OnnxModels:
    """A `pipeline.ports.Models`: the models of one bundle, loaded and warm. Immutable; `score` may be called from any thread."""

    def __init__(self, loaded: dict[Key, _Loaded]) -> None:
        self._loaded = loaded

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        """Load every model that the bundle pins.

        Raises ModelsRefused with one line for each model that is refused: its name, its file, what is wrong and how to mend it.
        """
        loaded: dict[Key, _Loaded] = {}
        lines, mistakes = [], []
        for spec in bundle.models:
            try:
                loaded[_key(spec)] = _load(spec)
            except Refused as err:
                lines.append(f"model {spec.name} version {spec.version}: {spec.directory / 'model.onnx'}: {err}")
                problem, _, mend = str(err).rpartition("; ")
                mistakes.append(Mistake(f"models/{spec.name}/{spec.version}/model.onnx", 0, f"models.{spec.name}", problem, mend))
        if mistakes:
            raise ModelsRefused("\n".join(lines), mistakes)
        return cls(loaded)

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        """Return [N, len(model.outputs)] probabilities in 0..1 for [N, F] rows, in one run. Raises ModelFailed."""
        try:
            loaded = self._loaded[_key(model)]
        except KeyError:
            raise ModelFailed(f"model {model.name} version {model.version} is not loaded") from None
        return loaded.score(matrix)


class ModelsRefused(BadInput):
    """At least one model is not taken; the message has a line for each."""

    def __init__(self, text: str, mistakes: Sequence[Mistake]) -> None:
        super().__init__(text)
        self.mistakes = tuple(mistakes)


def _key(spec: ModelSpec) -> Key:
    return spec.name, spec.version, spec.sha256


class _Loaded:
    """One session and which of its columns are wanted."""

    __slots__ = ("_columns", "_count", "_features", "_input", "_name", "_outputs", "_run", "_session", "_width")

    def __init__(self, spec: ModelSpec, session: Any) -> None:
        columns = spec.output_columns
        self._name = f"model {spec.name} version {spec.version}"
        self._session = session
        # Past the wrapper, which checks anew at every run what is checked here at load, a fifth of a lone run's time; without one, itself.
        self._run = getattr(session, "_sess", session).run
        self._input = spec.input_name
        self._outputs = [spec.output_name]
        self._features = len(spec.inputs)
        self._count, self._width = len(columns), max(columns) + 1
        one_run = columns == tuple(range(columns[0], columns[0] + len(columns)))
        # A slice is a view; a list of columns is copied by numpy at every call.
        self._columns: slice | list[int] = slice(columns[0], self._width) if one_run else list(columns)

    def score(self, matrix: Floats) -> Floats:
        n = len(matrix)
        if matrix.ndim != 2 or matrix.shape[1] != self._features:
            raise ModelFailed(f"{self._name}: wants {self._features} columns, got shape {matrix.shape}")
        if n == 0:
            return np.empty((0, self._count))
        # What overflows becomes infinite. In a context of its own: entering `np.errstate` costs three times the conversion.
        rows: NDArray[np.float32] = _QUIET.copy().run(matrix.astype, np.float32)
        try:
            raw = self._run(self._outputs, {self._input: rows}, None)[0]
        except Exception as err:  # ONNX Runtime's errors share no other base class.
            raise ModelFailed(f"{self._name}: {type(err).__name__} at a run") from None
        if raw.ndim != 2 or raw.shape[0] != n or raw.shape[1] < self._width:
            raise ModelFailed(f"{self._name}: gave shape {raw.shape} for {n} rows")
        wanted: Floats = raw[:, self._columns].astype(np.float64)
        if False in ((wanted >= _LOWEST) & (wanted <= _HIGHEST)).tobytes():
            # Written so that NaN, which compares false, fails too.
            if not (wanted.min() >= -ROUNDING and wanted.max() <= 1.0 + ROUNDING):
                raise ModelFailed(f"{self._name}: gave values outside 0..1")
            np.clip(wanted, 0.0, 1.0, out=wanted)
        return wanted


def _overflowing() -> Context:
    np.seterr(over="ignore")
    return copy_context()


_QUIET = copy_context().run(_overflowing)
_LOWEST, _HIGHEST = np.array(0.0), np.array(1.0)


def _load(spec: ModelSpec) -> _Loaded:
    """Raises Refused."""
    rows = len(spec.golden_inputs)
    if not rows or spec.golden_inputs.shape != (rows, len(spec.inputs)) or spec.golden_outputs.shape != (rows, len(spec.outputs)):
        raise Refused("its golden vectors are missing or of the wrong shape; write its manifest anew")
    raw = _read(spec)
    check(raw)
    session = _session(raw)
    _check_input(spec, session)
    _check_output(spec, session)
    loaded = _Loaded(spec, session)
    try:
        for rows in WARM_UP_ROWS:
            loaded.score(np.resize(spec.golden_inputs, (rows, len(spec.inputs))))
        found = loaded.score(spec.golden_inputs)
    except ModelFailed as err:
        raise Refused(f"it does not give probabilities for its golden vectors ({err}); export it again") from None
    _check_golden(spec, found)
    return loaded


def _read(spec: ModelSpec) -> bytes:
    """Read the file once; what is hashed is what is loaded."""
    try:
        # Non-blocking: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(spec.directory / "model.onnx", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as err:
        raise Refused(f"cannot be read ({err.strerror}); put the exported model there") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Refused("is no regular file; put the exported model there")
        if status.st_size > SIZE_LIMIT:
            raise Refused(f"has {status.st_size} bytes, more than the {SIZE_LIMIT} that are taken; train a smaller model")
        raw = file.read(SIZE_LIMIT + 1)
    digest = sha256(raw).hexdigest()
    if len(raw) != spec.size or digest != spec.sha256:
        raise Refused(
            f"is not the file that model.yaml names: it has {len(raw)} bytes and sha256 {digest}, "
            f"wanted are {spec.size} and {spec.sha256}; restore the file, or write its manifest anew"
        )
    return raw


def _session(raw: bytes) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without it, bytes that also look like ONNX Runtime's own format would be read as that, past our checks.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        # Names that are no UTF-8 show only when they are asked for.
        [(column.name, column.type, column.shape) for column in (*session.get_inputs(), *session.get_outputs())]
        return session
    except Exception as err:  # ONNX Runtime's errors share no other base class.
        raise Refused(
            f"ONNX Runtime {ort.__version__} does not load it ({type(err).__name__}: {str(err)[:200]}); export it again"
        ) from None


def _check_input(spec: ModelSpec, session: Any) -> None:
    found = session.get_inputs()
    if [column.name for column in found] != [spec.input_name]:
        names = ", ".join(column.name for column in found) or "none"
        raise Refused(f"its inputs are: {names}; model.yaml wants exactly one, {spec.input_name}")
    kind, shape = found[0].type, found[0].shape
    if kind != "tensor(float)":
        raise Refused(f"its input {spec.input_name} is {kind}; export it with one float32 matrix as input")
    if len(shape) != 2 or isinstance(shape[0], int) or shape[1] != len(spec.inputs):
        raise Refused(
            f"its input {spec.input_name} has shape {shape}; wanted is [N, {len(spec.inputs)}]: "
            f"an open count of rows and the {len(spec.inputs)} features that model.yaml lists"
        )


def _check_output(spec: ModelSpec, session: Any) -> None:
    found = {column.name: column for column in session.get_outputs()}
    if spec.output_name not in found:
        raise Refused(f"it has no output {spec.output_name} (it has {', '.join(found)}); name one of these in model.yaml")
    kind, shape = found[spec.output_name].type, found[spec.output_name].shape
    width = max(spec.output_columns) + 1
    if kind not in _FLOATS:
        raise Refused(f"its output {spec.output_name} is {kind}; export probabilities as one matrix (skl2onnx: zipmap=False)")
    if len(shape) != 2 or (isinstance(shape[1], int) and shape[1] < width):
        raise Refused(f"its output {spec.output_name} has shape {shape}; model.yaml needs [N, {width} or more]")


def _check_golden(spec: ModelSpec, found: Floats) -> None:
    deviation = np.abs(found - spec.golden_outputs)
    worst = float(deviation.max())
    if not worst <= GOLDEN_TOLERANCE:
        row, column = (int(i) for i in np.unravel_index(int(deviation.argmax()), deviation.shape))
        raise Refused(
            f"golden vector {row + 1}, output {spec.outputs[column]}: gave {found[row, column]:.7g}, "
            f"wanted {spec.golden_outputs[row, column]:.7g}, off by {worst:.3g} (at most {GOLDEN_TOLERANCE:g}); "
            "the model, its feature order or its golden vectors changed: write all three together"
        )
