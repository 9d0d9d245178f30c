"""ONNX Runtime, told before it is loaded to send nothing to its maker."""

from __future__ import annotations

import os

# Its builds for Linux and macOS send usage events over HTTPS from threads of their own, and keep an id of the machine on disk.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__all__ = ["ort"]
