"""What scores people tells nobody about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SCORE = """
import numpy as np
from onnx import TensorProto, helper
from {module}
graph = helper.make_graph(
    [helper.make_node("Sigmoid", ["X"], ["Y"])],
    "one",
    [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 1])],
    [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["N", 1])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
assert session.run(None, {{"X": np.zeros((1, 1), np.float32)}})
"""


def _left_by(module: str, home: Path) -> list[str]:
    """Return the files that scoring in a fresh process leaves in its home."""
    home.mkdir()
    # Not the surroundings of the test: where CI or the like is set the runtime keeps quiet by itself, and the control would see nothing.
    around = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    around |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
    # Nobody listens there: what would be sent is not.
    around |= {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", _SCORE.format(module=module)], env=around, check=True, timeout=120)
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def test_the_model_runtime_keeps_no_id_of_the_machine_for_its_maker(tmp_path: Path) -> None:
    """ONNX Runtime as the service loads it makes no id of the machine and no store of events, which it makes before it sends any."""
    assert _left_by("liftgate.adapters.onnx_runtime import ort", tmp_path / "ours") == []


def test_the_control_sees_what_it_would_keep(tmp_path: Path) -> None:
    """Loaded bare, it does: with a build that has nothing to send this would have to go."""
    bare = "types import SimpleNamespace; import onnxruntime as ort"
    assert "deviceid" in _left_by(bare, tmp_path / "bare")
