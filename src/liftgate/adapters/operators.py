"""Who may run the service: a file of names, roles and hashes of tokens, and the check that privileged calls pass.

    operators:
      ada:
        roles: [admin, reviewer]
        token_sha256: "64 hexadecimal digits"

Tokens are random (`new_token`), so their plain SHA-256 gives nothing away. A token is compared and forgotten: it is in no log and no error.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liftgate.bundle.mistake import BundleError, Mistake, did_you_mean
from liftgate.bundle.source import Source, dotted, parse
from liftgate.domain.errors import NotAuthenticated, NotPermitted, NotSetUp

ADMIN = "admin"
"""Role that may publish and reload."""
OPERATOR = "operator"
"""Role that may stop what is served, and start it again."""
PRIVACY = "privacy"
"""Role that may erase people."""

METADATA_KEY = "authorization"
_SCHEME = "bearer "
_MAX_FILE_BYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_KEYS = ("roles", "token_sha256")

_NO_FILE = (
    "this server knows no operators, so nobody may do this: start it with --operators FILE (LIFTGATE_OPERATORS), "
    "and make an entry with `liftgate operators add NAME --role ROLE`"
)
_UNNAMED = "this call needs the metadata `authorization: Bearer TOKEN`; the command line takes the token from LIFTGATE_TOKEN"
_STRANGER = "no operator of this server has this token; it may have been replaced"


@dataclass(frozen=True, slots=True)
class Operator:
    """Who makes a privileged call."""

    name: str
    roles: frozenset[str]


def new_token() -> str:
    """Return a fresh token: 32 random bytes in letters, digits, `-` and `_`."""
    return "lg_" + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """Return what the file holds of a token: 64 hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Known:
    """What a file said."""

    by_hash: tuple[tuple[str, Operator], ...] = ()
    digest: str = ""
    """SHA-256 of the file, 64 hexadecimal digits; empty: there is none."""


class Operators:
    """The operators of one server. `take` puts a list read anew in force; calls see either the old list or the new one."""

    def __init__(self, path: Path | None) -> None:
        """Read the file; None: nobody is known. Raises BundleError with every mistake, file and line."""
        self._path = path
        self._known = self.read()

    @property
    def set_up(self) -> bool:
        """Whether there is a file."""
        return self._path is not None

    @property
    def known(self) -> Known:
        """What is in force."""
        return self._known

    def read(self) -> Known:
        """Read the file again and change nothing. May run in a thread. Raises BundleError with every mistake."""
        return Known() if self._path is None else _read(self._path)

    def take(self, known: Known) -> None:
        """Put what `read` gave in force."""
        self._known = known

    def authorise(self, metadata: Iterable[tuple[str, str | bytes]] | None, role: str | None = None) -> Operator:
        """Return who holds the token in a call's metadata, if they have the role (None: any operator will do).

        Raises NotSetUp, NotAuthenticated or NotPermitted. Every operator's hash is compared, in constant time each.
        """
        if self._path is None:
            raise NotSetUp(_NO_FILE)
        token = _token(metadata or ())
        if token is None:
            raise NotAuthenticated(_UNNAMED)
        given, found = token_hash(token), None
        for known_hash, operator in self._known.by_hash:
            if hmac.compare_digest(given, known_hash):
                found = operator
        if found is None:
            raise NotAuthenticated(_STRANGER)
        if role is not None and role not in found.roles:
            raise NotPermitted(f"{found.name} lacks the role `{role}`; whoever keeps the operators file may give it")
        return found


def _token(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    for key, value in metadata:
        if key.lower() == METADATA_KEY and isinstance(value, str) and value[: len(_SCHEME)].lower() == _SCHEME:
            return value[len(_SCHEME) :].strip() or None
    return None


def _read(path: Path) -> Known:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise BundleError([Mistake(path.name, 0, "", "is no regular file", "put a file there")])
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1)
    except OSError as err:
        raise BundleError([Mistake(path.name, 0, "", f"cannot be read ({err.strerror})", "check its path and permissions")]) from None
    if mode & stat.S_IWOTH:
        raise BundleError([Mistake(path.name, 0, "", "may be written by anyone", "take the right away: chmod o-w")])
    if len(raw) > _MAX_FILE_BYTES:
        raise BundleError([Mistake(path.name, 0, "", "is larger than 1 MiB", "keep operators only")])
    return Known(operators_in(path.name, raw), hashlib.sha256(raw).hexdigest())


def operators_in(file: str, raw: bytes) -> tuple[tuple[str, Operator], ...]:
    """Return (hash of token, operator) pairs of a file's bytes. Raises BundleError with every mistake in it."""
    source = parse(file, raw)
    found: dict[str, Operator] = {}
    if not source.mistakes:
        for name, entry in _entries(source).items():
            token_sha256, operator = _operator(source, name, entry)
            if token_sha256 in found:
                _wrong(source, ("operators", name, "token_sha256"), "is another operator's too", "give each operator a token of their own")
            found.setdefault(token_sha256, operator)
    if source.mistakes:
        raise BundleError(source.mistakes)
    return tuple(found.items())


def _wrong(source: Source, path: tuple[str | int, ...], problem: str, mend: str) -> None:
    source.mistakes.append(Mistake(source.file, source.locate(path)[1], dotted(path), problem, mend))


def _entries(source: Source) -> dict[str, Any]:
    value = source.value
    if not isinstance(value, dict) or not isinstance(value.get("operators"), dict) or not value["operators"]:
        _wrong(source, ("operators",), "is missing or empty", "begin with `operators:` and make entries with `liftgate operators add NAME`")
        return {}
    for key in value:
        if key != "operators":
            _wrong(source, (key,), "is not known here", "keep `operators` alone")
    entries: dict[str, Any] = value["operators"]
    return entries


def _operator(source: Source, name: str, entry: Any) -> tuple[str, Operator]:
    path = ("operators", name)
    if not is_name(name):
        _wrong(source, path, "is no operator's name", "use 1 to 64 of a-z, 0-9, `.`, `_`, `@`, `-`, a letter or digit first")
    if not isinstance(entry, dict):
        _wrong(source, path, "has no roles and no token_sha256", "make an entry with `liftgate operators add NAME`")
        return "", Operator(name, frozenset())
    for key in entry:
        if key not in _KEYS:
            _wrong(source, (*path, key), "is not known", did_you_mean(key, _KEYS, "keep roles and token_sha256"))
    roles, token_sha256 = entry.get("roles"), entry.get("token_sha256")
    if not isinstance(roles, list) or not all(isinstance(role, str) and is_role(role) for role in roles):
        _wrong(source, (*path, "roles"), "is no list of roles", f"write for example [{ADMIN}]; lower case, 1 to 64 of a-z, 0-9, `_`, `-`")
        roles = []
    if not isinstance(token_sha256, str) or not _HASH.fullmatch(token_sha256):
        _wrong(source, (*path, "token_sha256"), "is no SHA-256", "write 64 lower-case hexadecimal digits in quotes")
        token_sha256 = f"?{name}"
    return token_sha256, Operator(name, frozenset(roles))


def is_name(text: str) -> bool:
    """Say whether a text may be an operator's name."""
    return _NAME.fullmatch(text) is not None


def is_role(text: str) -> bool:
    """Say whether a text may be a role."""
    return _ROLE.fullmatch(text) is not None
