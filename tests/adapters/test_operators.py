"""Who may make privileged calls."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from liftgate.adapters.grpc_errors import status_of
from liftgate.adapters.operators import ADMIN, Operators, new_token, operators_in, token_hash
from liftgate.bundle.mistake import BundleError
from liftgate.domain.errors import NotAuthenticated, NotPermitted, NotSetUp

ADA, BEN = "lg_ada-token", "lg_ben-token"


def entry(name: str, token: str, roles: str = "[admin]") -> str:
    """Return one operator's lines."""
    return f'  {name}:\n    roles: {roles}\n    token_sha256: "{token_hash(token)}"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of two operators."""
    path = tmp_path / "operators.yaml"
    path.write_text("operators:\n" + entry("ada", ADA, "[admin, compliance]") + entry("ben", BEN, "[]"))
    return path


def bearer(token: str) -> list[tuple[str, str | bytes]]:
    """Return a call's metadata."""
    return [("user-agent", "x"), ("authorization", f"Bearer {token}")]


def test_a_token_says_who_calls(file: Path) -> None:
    """Each operator's token gives their name and roles, and a role that they have is granted."""
    operators = Operators(file)
    ada = operators.authorise(bearer(ADA), ADMIN)
    assert (ada.name, ada.roles) == ("ada", frozenset({"admin", "compliance"}))
    assert operators.authorise(bearer(BEN)).name == "ben"


@pytest.mark.parametrize(
    ("metadata", "role", "error", "code"),
    [
        ([], None, NotAuthenticated, grpc.StatusCode.UNAUTHENTICATED),
        (None, None, NotAuthenticated, grpc.StatusCode.UNAUTHENTICATED),
        (bearer(""), None, NotAuthenticated, grpc.StatusCode.UNAUTHENTICATED),
        (bearer(ADA + "x"), None, NotAuthenticated, grpc.StatusCode.UNAUTHENTICATED),
        (bearer(token_hash(ADA)), None, NotAuthenticated, grpc.StatusCode.UNAUTHENTICATED),
        ([("authorization", ADA)], None, NotAuthenticated, grpc.StatusCode.UNAUTHENTICATED),
        ([("authorization", b"Bearer " + ADA.encode())], None, NotAuthenticated, grpc.StatusCode.UNAUTHENTICATED),
        (bearer(BEN), ADMIN, NotPermitted, grpc.StatusCode.PERMISSION_DENIED),
        (bearer(ADA), "operator", NotPermitted, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_who_may_not_is_told_so(file: Path, metadata: object, role: str | None, error: type[Exception], code: grpc.StatusCode) -> None:
    """No token, a wrong one, a hash instead of one, and a missing role each get their status, and no answer repeats a token."""
    with pytest.raises(error) as raised:
        Operators(file).authorise(metadata, role)  # type: ignore[arg-type]
    status, message, _ = status_of(raised.value)
    assert status is code
    assert ADA not in message
    assert BEN not in message


def test_without_a_file_nobody_may_and_the_answer_says_how_to_set_it_up() -> None:
    """A server without operators answers FAILED_PRECONDITION and names the flag and the command."""
    with pytest.raises(NotSetUp) as raised:
        Operators(None).authorise(bearer(ADA))
    status, message, _ = status_of(raised.value)
    assert status is grpc.StatusCode.FAILED_PRECONDITION
    assert "--operators" in message
    assert "liftgate operators add" in message


def test_a_reload_takes_the_new_list_or_keeps_the_old(file: Path) -> None:
    """A broken file changes nothing; a good one takes effect at once, for who is new and for who is gone."""
    operators = Operators(file)
    file.write_text("operators: [")
    with pytest.raises(BundleError):
        operators.read()
    assert operators.authorise(bearer(ADA)).name == "ada"
    file.write_text("operators:\n" + entry("eve", "lg_eve"))
    operators.take(operators.read())
    assert operators.authorise(bearer("lg_eve")).name == "eve"
    with pytest.raises(NotAuthenticated):
        operators.authorise(bearer(ADA))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "operators.yaml:1"),
        ("people: {}\n", "operators"),
        ("operators: {}\n", "missing or empty"),
        ("operators:\n  Ada Lovelace:\n    roles: []\n    token_sha256: x\n", "operators.yaml:2: operators.Ada Lovelace"),
        ("operators:\n  ada: {roles: admin, token_sha256: x}\n", "is no list of roles"),
        ("operators:\n  ada:\n    roles: [Admin!]\n    token_sha256: x\n", "operators.yaml:3"),
        (
            "operators:\n  ada:\n    roles: []\n    token_sha256: " + "1" * 64 + "\n",
            "yaml:4: operators.ada.token_sha256: is no SHA-256",
        ),
        ("operators:\n  ada:\n    roles: []\n    token: secret\n", "operators.ada.token: is not known"),
        ("operators:\n" + entry("ada", ADA) + entry("ben", ADA), "is another operator's too"),
        ("operators:\n" + entry("ada", ADA) + entry("ada", BEN), "is written twice"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(text: str, said: str) -> None:
    """Each mistake names the file, the line and the mend."""
    with pytest.raises(BundleError) as raised:
        operators_in("operators.yaml", text.encode())
    assert said in str(raised.value)


def test_a_file_that_anyone_may_write_is_refused(file: Path) -> None:
    """Who may write the file could make themselves an operator."""
    file.chmod(0o646)
    with pytest.raises(BundleError, match="chmod"):
        Operators(file)


def test_tokens_are_fresh() -> None:
    """No two tokens are alike, and each has 32 random bytes."""
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 46
