"""Both transports: health, reflection, ports, TLS and drain."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from liftgate.adapters.transports import GrpcServer, Tls, Transport, resolve
from liftgate.v1.decision_pb2 import DecideResponse
from tests.e2e.front import CHECK, DECIDE, PATIENCE_S, WATCH, Front, front, request

SERVING, NOT_SERVING, UNKNOWN = (
    health_pb2.HealthCheckResponse.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING,
    health_pb2.HealthCheckResponse.SERVICE_UNKNOWN,
)
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@pytest.fixture
async def served(transport: Transport, tmp_path: Path) -> AsyncIterator[Front]:
    """A server with nothing wrong."""
    async with front(transport, tmp_path) as serving:
        yield serving


def _ask(service: str = "") -> bytes:
    return bytes(health_pb2.HealthCheckRequest(service=service).SerializeToString())


async def _status(served: Front, service: str = "") -> int:
    return int(health_pb2.HealthCheckResponse.FromString(await served.call(CHECK, _ask(service))).status)


async def test_a_server_says_not_serving_until_told(transport: Transport) -> None:
    """A server that has just started does not claim to be ready."""
    server = GrpcServer({}, transport=transport)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        raw = await channel.unary_unary(CHECK)(_ask(), timeout=PATIENCE_S)
    await server.stop(0)
    assert health_pb2.HealthCheckResponse.FromString(raw).status == NOT_SERVING


async def test_health_follows_what_it_is_told(served: Front) -> None:
    """The whole server and each of its services have one status; others are NOT_FOUND."""
    for serving, status in ((True, SERVING), (False, NOT_SERVING), (True, SERVING)):
        served.server.health.set_serving(serving)
        assert await _status(served) == status
        assert await _status(served, "liftgate.v1.DecisionService") == status
    assert (await served.failure(CHECK, _ask("liftgate.v1.Nothing"))).code == "NOT_FOUND"


async def test_watchers_hear_of_every_change(served: Front) -> None:
    """Watch sends the status now, and again whenever it changes; an unknown service is said to be unknown."""
    call = served.channel.unary_stream(WATCH)(_ask(), timeout=PATIENCE_S)
    stream = aiter(call)

    async def heard() -> int:
        return int(health_pb2.HealthCheckResponse.FromString(await anext(stream)).status)

    assert await heard() == SERVING
    served.server.health.set_serving(False)
    assert await heard() == NOT_SERVING
    served.server.health.set_serving(False)
    served.server.health.set_serving(True)
    assert await heard() == SERVING
    call.cancel()
    unknown = served.channel.unary_stream(WATCH)(_ask("nothing"), timeout=PATIENCE_S)
    first = await anext(aiter(unknown))
    assert health_pb2.HealthCheckResponse.FromString(first).status == UNKNOWN
    unknown.cancel()


async def test_a_malformed_watch_is_the_callers_mistake(served: Front) -> None:
    """Bytes that are no request end the stream with INVALID_ARGUMENT."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(served.channel.unary_stream(WATCH)(b"\xff", timeout=PATIENCE_S)))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def _reflected(served: Front, asked: reflection_pb2.ServerReflectionRequest) -> reflection_pb2.ServerReflectionResponse:
    method = served.channel.stream_stream(
        REFLECT,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    call = method(iter([asked]), timeout=PATIENCE_S)
    return await anext(aiter(call))


async def test_reflection_is_there_when_asked_for(transport: Transport, tmp_path: Path) -> None:
    """With reflection on, services and their descriptors can be listed, and calls still work."""
    async with front(transport, tmp_path, reflect=True) as served:
        listed = await _reflected(served, reflection_pb2.ServerReflectionRequest(list_services=""))
        names = {service.name for service in listed.list_services_response.service}
        assert {"liftgate.v1.DecisionService", "liftgate.v1.EventService", "grpc.health.v1.Health"} <= names
        described = await _reflected(served, reflection_pb2.ServerReflectionRequest(file_containing_symbol="liftgate.v1.DecideRequest"))
        files = [FileDescriptorProto.FromString(raw) for raw in described.file_descriptor_response.file_descriptor_proto]
        assert "liftgate/v1/decision.proto" in {file.name for file in files}
        await served.call(DECIDE, request())
        assert (await served.failure("/liftgate.v1.DecisionService/Nothing", b"")).code == "UNIMPLEMENTED"


async def test_a_temporary_folder_far_down_is_no_obstacle(transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server starts where the temporary folder's path is longer than a socket's may be, and leaves the folder what it was."""
    far = tmp_path / ("down" * 30)
    far.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(far))
    async with front(transport, tmp_path) as serving:
        serving.server.health.set_serving(True)
        assert await _status(serving) == SERVING
        assert tempfile.gettempdir() == str(far)


async def test_reflection_is_not_there_otherwise(served: Front) -> None:
    """Without the flag nothing is listed."""
    assert (await served.failure(REFLECT, b"")).code == "UNIMPLEMENTED"


async def test_a_drain_lets_calls_finish_and_refuses_new_ones(served: Front) -> None:
    """Stopping answers what is in flight, refuses what is new as UNAVAILABLE, and waits no longer than it must."""
    served.gate.shut()
    watching = asyncio.create_task(_drained(served.channel.unary_stream(WATCH)(_ask())))
    in_flight = [asyncio.create_task(served.call(DECIDE, request(f"p-{i}"))) for i in range(10)]
    while served.watcher.in_flight < 10:
        await asyncio.sleep(0.002)
    loop = asyncio.get_running_loop()
    stopping, began = asyncio.create_task(served.server.stop(PATIENCE_S)), loop.time()
    await asyncio.sleep(0.1)
    assert (await served.failure(DECIDE, request("new"), timeout=PATIENCE_S / 2)).code == "UNAVAILABLE"
    assert not stopping.done()
    served.gate.open()
    answers = [DecideResponse.FromString(raw) for raw in await asyncio.gather(*in_flight)]
    await stopping
    # Neither a watcher nor an idle connection holds it up to the end of its grace.
    assert loop.time() - began < PATIENCE_S
    assert {answer.decision_id for answer in answers} == {record.decision_id for record in served.decisions.decisions}
    assert await watching == [SERVING, NOT_SERVING]


async def _drained(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> list[int]:
    """Return every status heard until the stream ends."""
    heard = []
    try:
        async for raw in call:
            heard.append(int(health_pb2.HealthCheckResponse.FromString(raw).status))
    except grpc.aio.AioRpcError as error:
        raise AssertionError(f"the watch ended with {error.code()}") from error
    return heard


async def test_a_drain_ends_with_its_grace(served: Front) -> None:
    """A call that does not finish within the grace is ended with a code that clients may retry."""
    served.gate.shut()
    stuck = asyncio.create_task(served.failure(DECIDE, request()))
    await served.gate.held()
    await served.server.stop(0.1)
    assert (await stuck).code in {"UNAVAILABLE", "CANCELLED"}
    await served.watcher.until("Decide", "CANCELLED")


async def test_a_taken_port_is_said_to_be_taken(transport: Transport, served: Front) -> None:
    """Without reuse_port a second server on the port does not start."""
    with pytest.raises(OSError, match="cannot listen"):
        await GrpcServer({}, transport=transport).start(port=served.port)


async def test_a_shared_port_serves_both(transport: Transport) -> None:
    """With reuse_port two servers share a port, and either may stop while the other serves on."""
    one, other = (GrpcServer({}, transport=transport, reuse_port=True) for _ in range(2))
    port = await one.start()
    assert await other.start(port=port) == port
    await one.stop(0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.unary_unary(CHECK)(_ask(), timeout=PATIENCE_S)
    await other.stop(0)


async def test_only_contracted_names_can_be_served(transport: Transport) -> None:
    """A service or method that the contract does not have is a mistake of ours, found at start."""
    with pytest.raises(ValueError, match="NoService"):
        GrpcServer({"liftgate.v1.NoService": {}}, transport=transport)


def test_auto_is_native_unless_tls_is_asked_for() -> None:
    """The native transport has no TLS and says so."""
    tls = Tls(b"certificate", b"key")
    assert (resolve("auto", None), resolve("auto", tls), resolve("grpcio", tls)) == ("native", "grpcio", "grpcio")
    with pytest.raises(ValueError, match="no TLS"):
        resolve("native", tls)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed, so there is no certificate to serve with")
async def test_tls(tmp_path: Path) -> None:
    """With a certificate, `auto` answers over TLS and refuses plaintext."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls = Tls(certificate.read_bytes(), key.read_bytes())
    trusted = grpc.ssl_channel_credentials(tls.certificate)
    async with front("auto", tmp_path / "log", tls=tls, channel_credentials=trusted) as served:
        assert served.server.transport == "grpcio"
        await served.call(DECIDE, request())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as plain:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await plain.unary_unary(DECIDE)(request().SerializeToString(), timeout=PATIENCE_S)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
