"""What stops a start: each with exit code 2 and words that say what to mend."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.app.conftest import Serve


@pytest.mark.parametrize("flags", [{"transport": "native"}, {"transport": "grpcio"}, {"workers": 2}], ids=str)
def test_a_taken_port_is_a_clear_error(serve: Serve, flags: dict[str, object]) -> None:
    """With another listener on the port no transport and no supervisor starts."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = serve(wait=None, port=port, **flags)
        assert server.process.wait(60) == 2
    assert "liftgate: cannot start:" in server.text
    assert "--port (LIFTGATE_PORT)" in server.text
    assert str(port) in server.text
    assert "Traceback" not in server.text


def test_a_taken_metrics_port_is_a_clear_error(serve: Serve) -> None:
    """/metrics cannot be had quietly by nobody."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = serve(wait=None, metrics_port=other.getsockname()[1])
        assert server.process.wait(60) == 2
    assert "--metrics-port (LIFTGATE_METRICS_PORT)" in server.text


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_bundle_names_file_and_line_once(serve: Serve, bundle: Path, workers: int) -> None:
    """A mistake in the bundle stops the start, named by file and line, once however many workers were asked for."""
    offers = bundle / "offers.yaml"
    offers.write_text(offers.read_text().replace("value: 1.25", "value: minus"))
    server = serve(wait=None, bundle=bundle, workers=workers)
    assert server.process.wait(60) == 2
    said = server.text.partition("cannot start:")[2]
    assert said.count("offers.yaml:") == 1
    assert "Traceback" not in server.text


def test_a_model_that_is_not_its_manifests_stops_the_start(serve: Serve, bundle: Path) -> None:
    """A changed model file is refused by name."""
    (bundle / "models/tiny/1/model.onnx").write_bytes(b"not a model")
    server = serve(wait=None, bundle=bundle)
    assert server.process.wait(60) == 2
    assert "tiny" in server.text.partition("cannot start:")[2]


def test_a_log_directory_that_cannot_be_made_stops_the_start(serve: Serve, tmp_path: Path) -> None:
    """A file where the log directory should be is named."""
    (tmp_path / "taken").write_text("")
    server = serve(wait=None, log=tmp_path / "taken", pseudonym_key="k" * 32)
    assert server.process.wait(60) == 2
    assert "--log (LIFTGATE_LOG)" in server.text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"port": "99999"}, "--port (LIFTGATE_PORT)"),
        ({"bundle": "nowhere"}, "--bundle (LIFTGATE_BUNDLE)"),
        ({"redis": "http://127.0.0.1"}, "--redis (LIFTGATE_REDIS)"),
        ({"tls-cert": "c.pem", "tls-key": "k.pem"}, "--tls-cert (LIFTGATE_TLS_CERT)"),
        ({"pseudonym-key-file": "nowhere"}, "--pseudonym-key-file (LIFTGATE_PSEUDONYM_KEY_FILE)"),
        ({"operators": "far/nowhere.yaml"}, "--operators (LIFTGATE_OPERATORS) far/nowhere.yaml: "),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named_by_flag_and_variable(serve: Serve, flags: dict[str, object], words: str) -> None:
    """The message says which setting, as a flag and as a variable."""
    server = serve(wait=None, **flags)
    assert server.process.wait(60) == 2
    assert words in server.text
    assert "Traceback" not in server.text
