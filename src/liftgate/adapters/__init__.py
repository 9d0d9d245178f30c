"""Implementations of the ports: Redis, ONNX, gRPC, segments, telemetry."""
