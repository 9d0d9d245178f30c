"""Where the shop's files lie."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
BUNDLE = HERE / "bundle"
"""Folder of YAML."""
MODELS = HERE / "models"
"""`<name>/<version>/{model.onnx,model.yaml}`, written by `make_models.py`."""
