"""The shop's model alone, as a custom runtime of MLServer: rows of numbers in, probabilities out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

# Run by hand, too, it sends its maker nothing.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Propensity(MLModel):
    """One ONNX session, one thread."""

    async def load(self) -> bool:
        """Read the model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        assert self.settings.parameters is not None
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score the rows of a request, or of many that MLServer has put together."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        (scores,) = self._session.run(["probabilities"], {"input": rows})
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[NumpyCodec.encode_output("probabilities", scores)])


def main() -> None:
    """Run as `python -m tests.bench.peers.mlserver_runtime --model FILE --folder DIR --port P`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    settings = {
        "host": "127.0.0.1",
        "grpc_port": args.port,
        "http_port": 0,
        "metrics_endpoint": None,
        "parallel_workers": 0,
        "debug": False,
        "use_structured_logging": False,
    }
    model = {
        "name": "propensity",
        "implementation": "tests.bench.peers.mlserver_runtime.Propensity",
        "parameters": {"uri": str(args.model.resolve())},
        # Its batching across requests, as little delay as it knows.
        "max_batch_size": 64,
        "max_batch_time": 0.001,
    }
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / "settings.json").write_text(json.dumps(settings))
    (args.folder / "model-settings.json").write_text(json.dumps(model))
    os.execv(sys.executable, [sys.executable, "-m", "mlserver.cli.main", "start", str(args.folder)])


if __name__ == "__main__":
    main()
