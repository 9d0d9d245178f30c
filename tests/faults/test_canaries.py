"""Promise 22: e-mail addresses, phone numbers and ids, through every call on both transports, are in nothing written or said."""

from __future__ import annotations

import base64
import hashlib
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.operators import token_hash
from tests.app.conftest import Served
from tests.faults import household_bundle
from tests.faults.canary_calls import Canaries, calls, lead, methods
from tests.faults.sealing import seal
from tests.faults.written import around, contents, forms, found

TOKEN = "lg_test-token-of-somebody-with-every-role"
KEY = "k" * 32
ROLES = "[admin, operator, compliance, privacy, reviewer, break-glass]"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[tuple[str, list[bytes]]]:
    """Run an OTLP collector on loopback; give its address and what it was sent."""
    sent: list[bytes] = []

    def export(raw: bytes, _: grpc.ServicerContext) -> bytes:
        ExportTraceServiceRequest.FromString(raw)
        sent.append(raw)
        return ExportTraceServiceResponse().SerializeToString()

    server = grpc.server(ThreadPoolExecutor(2))
    export_method = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("opentelemetry.proto.collector.trace.v1.TraceService", export_method),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", sent
    server.stop(None).wait()


class Caller:
    """Makes calls, and keeps what errors said."""

    def __init__(self, port: int) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.answered: set[str] = set()
        self.refused: set[str] = set()
        self.errors: list[bytes] = []
        self.codes: set[str] = set()

    def __call__(self, method: str, request: bytes, token: str = TOKEN) -> bytes:
        """Call and return the answer, empty for an error, which is kept with everything that came with it."""
        path = f"/liftgate.v1.{method}"
        metadata = (("authorization", f"Bearer {token}"), ("traceparent", TRACE))
        try:
            if methods()[method].client_streaming:
                answer: bytes = self.channel.stream_unary(path)(iter([request]), timeout=60, metadata=metadata)
            else:
                answer = self.channel.unary_unary(path)(request, timeout=60, metadata=metadata)
        except grpc.RpcError as error:
            failed: Any = error
            self.refused.add(method)
            self.codes.add(failed.code().name)
            told = [value if isinstance(value, bytes) else str(value).encode() for _, value in failed.trailing_metadata() or ()]
            self.errors += [str(failed.details()).encode(), *told]
            return b""
        self.answered.add(method)
        return answer


@pytest.mark.parametrize("transport", ["native", "grpcio"])
def test_no_canary_is_written_or_said(transport: str, tmp_path: Path, spans: tuple[str, list[bytes]]) -> None:
    """Two workers' segments, Parquet, audit chains, output, temporary files, metrics, spans and errors hold none of what every call of
    every service was full of: not in the clear, packed, or under a hash that needs no key."""
    operators = tmp_path / "operators.yaml"
    operators.write_text(f'operators:\n  eve:\n    roles: {ROLES}\n    token_sha256: "{token_hash(TOKEN)}"\n')
    home, scratch, canaries = tmp_path / "machine", tmp_path / "scratch", Canaries()
    home.mkdir()
    scratch.mkdir()
    bundle = household_bundle.write(tmp_path / "bundle")
    endpoint, sent = spans
    with EmbeddedValkey() as store:
        flags = {"redis": store.url, "operators": str(operators), "bundle": str(bundle), "log": str(home / "log"), "transport": transport}
        flags |= {"log-level": "debug", "trace-sample-ratio": "1", "otlp-endpoint": endpoint, "workers": "2"}
        server = Served(home, str(scratch), flags, {"LIFTGATE_PSEUDONYM_KEY": KEY})
        try:
            server.wait_for("serving_all")
            callers = [Caller(server.port) for _ in range(4)]
            lead(callers[0], canaries)
            for i, (method, request) in enumerate(calls(canaries)):
                callers[i % 4](method, request)
            for method in methods():
                callers[0](method, b"", token=canaries.fresh(f"{method} token"))
            with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=20) as page:
                said = page.read()
            for caller in callers:
                caller.channel.close()
        finally:
            server.end()
    answered = set.union(*(caller.answered for caller in callers))
    assert methods().keys() - answered <= {
        "ReviewService/Submit",
        "ReviewService/BreakGlass",
        "AdminService/Publish",
        "ControlService/Start",
    }
    assert set.union(*(caller.refused for caller in callers)) >= methods().keys() - {"ControlService/List"}
    assert not set.union(*(caller.codes for caller in callers)) & {"INTERNAL", "UNKNOWN"}
    seal(home / "log")
    assert list((home / "log").glob("decision-*.parquet"))
    assert list((home / "log").glob("event-*.parquet"))
    errors = b"\0".join(error for caller in callers for error in caller.errors)
    written = b"\0".join([contents(home, scratch), said, errors, *sent])
    assert len(sent) >= 1
    for kept in (b"kept-1", b"kept-erase", b"liftgate_decisions_total", b"liftgate.decision_id"):
        assert kept in written, "the control arm: what is kept is where this looks"
    leaks = [f"{canaries.where[value]}: {value} as {how}: {around(value, written)}" for value, how in found(canaries.where, written)]
    assert leaks == [], "\n".join(leaks)


@pytest.mark.parametrize("how", ["text", "file name", "json", "base64", "hexadecimal", "sha256", "sha256 in hexadecimal", "parquet"])
def test_the_search_finds_a_planted_canary(how: str, tmp_path: Path) -> None:
    """The control arm: a canary that is written in any form, in any place, is found."""
    canary = "canary.planted+tag@example.org"
    raw, digest = canary.encode(), hashlib.sha256(canary.encode())
    planted = {
        "text": b"noise " + raw,
        "json": b'{"a": "' + raw + b'"}',
        "base64": base64.b64encode(b"person=" + raw + b";"),
        "hexadecimal": b"x" + raw.hex().encode(),
        "sha256": b"\0\1" + digest.digest(),
        "sha256 in hexadecimal": b"person:" + digest.hexdigest().encode(),
    }
    folder = tmp_path / "log" / "deep"
    folder.mkdir(parents=True)
    assert found([canary], contents(tmp_path)) == []
    if how == "parquet":
        pq.write_table(
            pa.table({"a": [[{"b": f"row {i}, {canary}"}] for i in range(1000)]}),
            folder / "f.parquet",
            compression="zstd",
            write_statistics=False,
            use_dictionary=False,
        )
        assert not [form for form in forms(canary) if form in (folder / "f.parquet").read_bytes()]
    elif how == "file name":
        (folder / f"profile-{canary}.tmp").touch()
    else:
        (folder / "f").write_bytes(planted[how])
    assert [value for value, _ in found([canary], contents(tmp_path))] == [canary]
