"""What each process loads: `serve` nothing of the offline tower, the command line next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

OFFLINE = ("pandas", "sklearn", "duckdb", "pyarrow", "lightgbm", "skl2onnx", "onnx", "matplotlib", "scipy")
HEAVY = ("numpy", "redis", "hiredis", "onnxruntime", "grpc", "pygrpc_native", "opentelemetry", "prometheus_client")


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after running the code."""
    script = code + "\nimport sys, json\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_serving_loads_nothing_offline() -> None:
    """Importing everything that `serve` runs, both transports and the embedded store included, brings no offline package."""
    modules = ("server", "supervisor", "service", "worker", "wiring")
    code = "\n".join(f"import liftgate.app.{module}" for module in modules)
    code += "\nimport liftgate.adapters.embedded_valkey, liftgate.adapters.transports, pygrpc_native.aio, uvloop"
    loaded = loaded_by(code)
    assert "numpy" in loaded
    assert not loaded & set(OFFLINE)


def test_the_control_sees_an_offline_package() -> None:
    """The check above would notice pyarrow."""
    pytest.importorskip("pyarrow")
    assert "pyarrow" in loaded_by("import pyarrow")


def test_the_command_line_loads_nothing_heavy() -> None:
    """`liftgate --help` and `liftgate version` start without numpy, Redis, gRPC or a model runtime."""
    assert not loaded_by("import liftgate.app.cli.main") & {*HEAVY, *OFFLINE}
    code = """
import contextlib, io
from liftgate.app.cli.main import main
for arguments in (["--help"], ["version"], *([name, "--help"] for name in ("serve", "decide", "bundle", "profiles", "log"))):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(arguments)
"""
    assert not loaded_by(code) & {*HEAVY, *OFFLINE}


def test_a_supervisor_needs_no_model_runtime() -> None:
    """The parent of several workers stays small: no numpy, Redis, gRPC or ONNX in it."""
    assert not loaded_by("import liftgate.app.supervisor, liftgate.app.service") & {
        "numpy",
        "redis",
        "onnxruntime",
        "grpc",
        "pygrpc_native",
    }
