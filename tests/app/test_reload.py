"""Reloads of real servers: by call, by signal and by file watch, on every worker, whole or not at all, and audited."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liftgate.adapters.admin_client import AdminClient, CallFailed, is_local
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.operators import token_hash
from liftgate.app.cli.main import make_app
from liftgate.record.audit_verify import read_audit, verify_audit
from tests.app.conftest import Serve, Served

ADA, BEN = "lg_ada", "lg_ben"


@pytest.fixture
def operators(tmp_path: Path) -> Path:
    """An admin and somebody without a role."""
    path = tmp_path / "operators.yaml"
    path.write_text(
        f'operators:\n  ada: {{roles: [admin], token_sha256: "{token_hash(ADA)}"}}\n'
        f'  ben: {{roles: [], token_sha256: "{token_hash(BEN)}"}}\n'
    )
    return path


@pytest.fixture
def valkey() -> Iterator[str]:
    """A store that outlives the servers."""
    with EmbeddedValkey() as running:
        yield running.url


def edit(bundle: Path, title: str) -> None:
    """Change what the bundle means."""
    path = bundle / "offers.yaml"
    text = path.read_text()
    head, _, rest = text.partition("value: ")
    number, _, tail = rest.partition("\n")
    path.write_text(f"{head}value: {float(len(title)) + 0.5}\n{tail}" if number else text)


def client(server: Served, token: str = ADA) -> AdminClient:
    """Return a client of the server."""
    return AdminClient(f"127.0.0.1:{server.port}", token, timeout_s=60)


def run(*arguments: str, token: str = ADA) -> Any:
    """Run a command as a shell would."""
    return CliRunner().invoke(make_app(arguments[0]), list(arguments), env={"LIFTGATE_TOKEN": token})


def test_a_call_reaches_every_worker_and_says_what_each_said(
    serve: Serve, bundle: Path, operators: Path, valkey: str, tmp_path: Path
) -> None:
    """With two workers one Reload swaps both; a broken bundle is refused by both with file and line; each swap is in the audit chain."""
    server = serve(wait="serving_all", workers=2, bundle=bundle, operators=operators, redis=valkey)
    before = json.loads(run("status", "--redis", valkey, "--json").stdout)
    assert (before["agree"], len(before["workers"])) == (True, 2)
    edit(bundle, "one")
    with client(server) as admin:
        outcomes = admin.reload("spring")
        assert [one.result for one in outcomes] == ["swapped", "swapped"]
        assert len({one.worker_id for one in outcomes}) == 2
        (digest,) = {one.digest for one in outcomes}
        assert digest != before["workers"][0]["digest"]
        good = (bundle / "offers.yaml").read_text()
        (bundle / "offers.yaml").write_text(good + "\noffers: [broken\n")
        refused = admin.reload("oops")
        assert {one.result for one in refused} == {"refused"}
        assert {one.digest for one in refused} == {digest}
        assert all(one.mistakes and one.mistakes[0].file == "offers.yaml" and one.mistakes[0].line > 1 for one in refused)
        status = admin.status()
        assert status.worker.last_reload is not None
        assert status.worker.last_reload.result == "refused"
        assert {one.state.digest for one in status.fleet} == {digest}
        assert (status.worker.transport, status.worker.port) == ("native", server.port)
    shown = run("status", "--target", f"127.0.0.1:{server.port}")
    assert (shown.exit_code, shown.stdout.count(digest[:12])) == (0, 2)
    assert server.end() == 0
    assert verify_audit([tmp_path / "log/audit"]).findings == []
    acts = [record for _, record in read_audit(tmp_path / "log/audit")]
    assert [(one.actor, one.role, one.reason, one.digest_after) for one in acts] == [("ada", "admin", "spring", digest)] * 2
    assert len({one.writer_id for one in acts}) == 2
    checked = run("audit", "verify", str(tmp_path / "log"), "--redis", valkey, "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["records"]) == (0, 2)
    gone = json.loads(run("status", "--redis", valkey, "--json").stdout)
    assert (gone["agree"], gone["workers"]) == (False, [])


def test_who_may_not_is_refused_on_a_real_server(serve: Serve, bundle: Path, operators: Path) -> None:
    """No token, a strange one and a missing role are refused, and nothing of a token is logged."""
    server = serve(bundle=bundle, operators=operators)
    for token, code in (("", "UNAUTHENTICATED"), ("lg_strange", "UNAUTHENTICATED"), (BEN, "PERMISSION_DENIED")):
        with client(server, token) as admin, pytest.raises(CallFailed) as failed:
            admin.reload("")
        assert failed.value.code == code
    with client(server, BEN) as admin:
        assert admin.status().worker.digest
    assert server.end() == 0
    assert not [token for token in (ADA, BEN, "lg_strange") if token in server.text]


def test_without_operators_the_answer_says_how_to_have_them(serve: Serve) -> None:
    """FAILED_PRECONDITION, with the flag and the command; the shell gets the words and exit code 2."""
    server = serve()
    found = run("reload", "--target", f"127.0.0.1:{server.port}")
    assert found.exit_code == 2
    assert "--operators FILE" in found.stderr


def test_a_watched_folder_is_read_when_it_rests(serve: Serve, bundle: Path, operators: Path, tmp_path: Path) -> None:
    """A change is taken without a signal, a broken one is refused once with its line, and operators are read again too."""
    server = serve(bundle=bundle, operators=operators, watch="")
    edit(bundle, "one")
    assert server.wait_for("reloaded")["actor"] == "system:watch"
    good = (bundle / "offers.yaml").read_text()
    (bundle / "offers.yaml").write_text(good + "\n\tbroken\n")
    refused = server.wait_for("reload_refused")
    assert any("offers.yaml:" in line for line in refused["mistakes"])
    (bundle / "offers.yaml").write_text(good)
    server.wait_for("reload_unchanged")
    operators.write_text(operators.read_text().replace(token_hash(BEN), token_hash("lg_new")))
    server.wait_for("operators_reloaded")
    with client(server, "lg_new") as admin:
        assert admin.status().worker.last_reload is not None
    assert len(server.lines("reload_refused")) == 1
    assert server.end() == 0
    acts = [(record.actor, record.subject) for _, record in read_audit(tmp_path / "log/audit")]
    assert acts == [("system:watch", "bundle:small"), ("system:watch", "operators")]


def test_a_swapped_link_is_followed_whole(serve: Serve, bundle: Path, tmp_path: Path) -> None:
    """A link to a folder may be led elsewhere under a running server; SIGHUP then takes the new folder."""
    link = tmp_path / "current"
    link.symlink_to(bundle.name)
    server = serve(bundle=link)
    other = tmp_path / "other"
    other.mkdir()
    for path in bundle.iterdir():
        os.rename(path, other / path.name)
    edit(other, "one")
    fresh = tmp_path / "fresh"
    fresh.symlink_to(other.name)
    os.replace(fresh, link)
    server.process.send_signal(signal.SIGHUP)
    assert server.wait_for("reloaded")["actor"] == "system:sighup"
    link.unlink()
    link.symlink_to(link.name)
    server.process.send_signal(signal.SIGHUP)
    assert any("is no folder" in line for line in server.wait_for("reload_refused")["mistakes"])
    assert server.end() == 0


def test_a_worker_that_dies_while_all_reload_is_told_as_unknown(serve: Serve, bundle: Path, operators: Path) -> None:
    """The call ends although one worker was killed, and says of it that nothing is known, or that it was read at its new start."""
    server = serve(wait="serving_all", workers=2, bundle=bundle, operators=operators)
    edit(bundle, "one")
    victim = server.children()[0]
    os.kill(victim, signal.SIGSTOP)
    try:
        import threading

        threading.Timer(1.0, os.kill, (victim, signal.SIGKILL)).start()
        results = []
        for _ in range(20):
            try:
                with client(server) as admin:
                    results = sorted(one.result for one in admin.reload(""))
                break
            except CallFailed:  # the connection went to the worker that stands still
                continue
        assert results in (["swapped", "unknown"], ["swapped", "swapped"], ["unchanged", "unchanged"], ["swapped", "unchanged"])
    finally:
        if Path(f"/proc/{victim}").exists():
            os.kill(victim, signal.SIGKILL)
    server.wait_for("worker_died")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed, so there is no certificate to serve with")
def test_tokens_travel_over_tls_or_stay_at_home(serve: Serve, operators: Path, tmp_path: Path) -> None:
    """With --tls-ca a status comes over TLS; without it a token is sent to no other machine, unless --plaintext says so."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    server = serve(operators=operators, tls_cert=certificate, tls_key=key)
    target = f"localhost:{server.port}"
    found = run("status", "--target", target, "--tls-ca", str(certificate), "--json")
    assert (found.exit_code, json.loads(found.stdout)["workers"][0]["transport"]) == (0, "grpcio")
    assert run("status", "--target", target, "--timeout-s", "5").exit_code == 1
    away = run("status", "--target", "liftgate.invalid:7420")
    assert (away.exit_code, "in the clear" in away.stderr) == (2, True)
    assert "in the clear" not in run("status", "--target", "liftgate.invalid:7420", "--plaintext", "--timeout-s", "1").stderr
    assert run("status", "--target", target, "--tls-ca", str(tmp_path / "none.pem")).exit_code == 2
    assert server.end() == 0


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("127.0.0.1:7420", True),
        ("[::1]:7420", True),
        ("localhost:7420", True),
        ("unix:/run/liftgate.sock", True),
        ("10.0.0.7:7420", False),
        ("localhost.example:7420", False),
        ("127.0.0.1.example:7420", False),
    ],
)
def test_what_counts_as_this_machine(target: str, local: bool) -> None:
    """Loopback and Unix sockets do; names that merely begin like them do not."""
    assert is_local(target) is local
