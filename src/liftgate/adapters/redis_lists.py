"""Do-not-contact lists in Redis or Valkey: who is on which, one small value a person, read by `RedisProfiles` with everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from gzip import GzipFile
from importlib.resources import files
from pathlib import Path

import hiredis

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import RedisClient, check, code
from liftgate.domain.errors import BadInput, StoreUnavailable
from liftgate.domain.suppression import membership

ID_BYTES = 256
"""Longest person id that a request may carry."""
_AT_ONCE = 500
_BUDGET_S = 5.0


@cache
def _script() -> bytes:
    return files("liftgate.adapters").joinpath("lua", "lists_change.lua").read_bytes()


@dataclass(slots=True)
class Changed:
    """What became of some people."""

    changed: int = 0
    same: int = 0
    """They were on it, or off it, already."""
    unreadable: list[int] = field(default_factory=list)
    """Positions of those whose stored lists cannot be read; they are held back from everything that any list names, and stay so."""


class RedisLists:
    """Changes and shows memberships."""

    def __init__(self, client: RedisClient, budget_s: float = _BUDGET_S) -> None:
        self._client = client
        self._budget_s = budget_s

    async def change(self, name: str, people: Sequence[str], on: bool) -> Changed:
        """Put people on a list or take them off it, each atomically. Raises StoreUnavailable; then some may have been changed."""
        result = Changed()
        for start in range(0, len(people), _AT_ONCE):
            some = people[start : start + _AT_ONCE]
            replies = await self._client.call(
                [("EVAL", _script(), 1, redis_keys.lists(person), "1" if on else "0", name) for person in some], self._budget_s
            )
            for i, reply in enumerate(replies):
                if isinstance(reply, hiredis.ReplyError) and b"WRONGTYPE" in str(reply).encode():
                    result.unreadable.append(start + i)
                    continue
                check([reply])
                if reply < 0:
                    result.unreadable.append(start + i)
                else:
                    result.changed += reply
                    result.same += 1 - reply
        return result

    async def show(self, person_id: str) -> frozenset[str] | None:
        """Return the lists that a person is on; None: what is stored cannot be read. Raises StoreUnavailable."""
        (reply,) = await self._client.call([("GET", redis_keys.lists(person_id))], self._budget_s)
        if isinstance(reply, hiredis.ReplyError):
            if code(reply) != "WRONGTYPE":
                raise StoreUnavailable(f"redis: error reply {code(reply)}")
            return None
        return membership(reply)


@dataclass(slots=True)
class IdFile:
    """A file with one person id a line; blank lines and an optional gzip around it are fine."""

    path: Path
    rejected: list[tuple[int, str]] = field(default_factory=list)
    """(line, what it wants) of every line that is no id."""

    def ids(self, progress: Callable[[float], None]) -> Iterator[tuple[int, str]]:
        """Yield (line, id), each id once. Raises BadInput when the file cannot be read on."""
        seen: dict[str, int] = {}
        try:
            size = max(self.path.stat().st_size, 1)
            with self.path.open("rb") as whole:
                lines = GzipFile(fileobj=whole) if self.path.suffix == ".gz" else whole
                for number, raw in enumerate(lines, 1):
                    progress(min(whole.tell() / size, 1.0))
                    wants = ""
                    try:
                        person_id = raw.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8")
                    except UnicodeDecodeError:
                        person_id, wants = "", "text in UTF-8"
                    if not wants and not person_id.strip():
                        continue
                    if not wants and len(person_id.encode()) > ID_BYTES:
                        wants = f"an id of at most {ID_BYTES} bytes"
                    if not wants and person_id != person_id.strip():
                        wants = "an id without blanks around it"
                    if not wants and not person_id.isprintable():
                        wants = "an id of printable text"
                    if not wants and person_id in seen:
                        wants = f"each person once; they are in line {seen[person_id]} already"
                    if wants:
                        self.rejected.append((number, wants))
                    else:
                        seen[person_id] = number
                        yield number, person_id
        except (OSError, EOFError) as error:
            raise BadInput(f"{self.path}: cannot be read ({type(error).__name__})") from None
