"""Where a Redis or Valkey is, read from a URL by redis-py, which also builds the TLS context."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis.asyncio.connection import SSLConnection, parse_url


class Address:
    """Where a server is and how it is greeted."""

    __slots__ = ("db", "host", "password", "path", "port", "tls", "username")

    def __init__(self, host: str, port: int, path: str, tls: ssl.SSLContext | None, username: str, password: str, db: int) -> None:
        self.host, self.port, self.path, self.tls = host, port, path, tls
        self.username, self.password, self.db = username, password, db

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a URL. Raises ValueError, without repeating the URL: it may hold a password."""
        try:
            given: dict[str, Any] = dict(parse_url(url))
            kind = given.pop("connection_class", None)
            tls = kind(**given).ssl_context.get() if isinstance(kind, type) and issubclass(kind, SSLConnection) else None
            database = urlsplit(url).path.strip("/")
            # redis-py takes any other path for database 0.
            db = int(database) if database and not given.get("path") else int(given.get("db") or 0)
            port = int(given.get("port") or 6379)
        except (ValueError, TypeError, OSError) as error:
            raise ValueError("wrong Redis URL: want redis://, rediss://, redis+cluster:// HOST:PORT[/DB] or unix:///PATH") from error
        return cls(
            host=str(given.get("host") or "localhost"),
            port=port,
            path=str(given.get("path") or ""),
            tls=tls,
            username=str(given.get("username") or ""),
            password=str(given.get("password") or ""),
            db=db,
        )

    @property
    def where(self) -> str:
        """HOST:PORT, or the path of a unix socket."""
        return self.path or f"{self.host}:{self.port}"

    def at(self, host: str, port: int) -> Address:
        """Return the address of another server of the same Cluster."""
        return Address(host, port, "", self.tls, self.username, self.password, 0)

    def greeting(self) -> list[tuple[str | int, ...]]:
        """Return the commands that a fresh connection sends first."""
        commands: list[tuple[str | int, ...]] = []
        if self.password:
            commands.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        if self.db:
            commands.append(("SELECT", self.db))
        return commands


def address_of(url: str) -> Address:
    """Return the server that a URL names; of a Cluster, the one to begin with. Raises ValueError as `connect` does."""
    return Address.parse(without_cluster(url)[1])


def is_cluster(url: str) -> bool:
    """Say whether a URL asks for a Cluster."""
    return without_cluster(url)[0]


def without_cluster(url: str) -> tuple[bool, str]:
    """Return whether the URL asks for a Cluster, and the URL without that wish."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query)
    asked = dict(query).get("cluster", "0") not in ("0", "false", "no")
    scheme = parts.scheme.removesuffix("+cluster")
    rest = urlencode([pair for pair in query if pair[0] != "cluster"])
    if not asked and scheme == parts.scheme and rest == parts.query:
        return False, url
    return asked or scheme != parts.scheme, urlunsplit((scheme, parts.netloc, parts.path, rest, parts.fragment))
