"""Scripts in Redis or Valkey: called by their digest, and sent along where a server does not know them yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from time import monotonic
from typing import Any

import hiredis

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_client import Calling, Command, check, code, guarded

_BEFORE: dict[str, tuple[str, ...]] = {
    "count.lua": ("features.lua",),
    "reserve.lua": ("remembered.lua", "judging.lua", "shared_caps.lua"),
} | {f"{name}.lua": ("remembered.lua",) for name in ("look", "confirm", "amend")}
"""Scripts whose functions others use."""


@cache
def _script(name: str) -> tuple[bytes, bytes]:
    """Return a script's body, after what stands before it, and its SHA-1 as EVALSHA wants it."""
    folder = files("liftgate.adapters").joinpath("lua")
    body = b"".join([folder.joinpath(part).read_bytes() for part in (*_BEFORE.get(name, ()), name)])
    return body, sha1(body, usedforsecurity=False).hexdigest().encode()


Ask = Callable[[Calling, Breaker, list[Command], float, bool], Awaitable[list[Any]]]
"""`redis_client.guarded`, or what stands for it."""
ScriptCall = tuple[list[bytes], list[bytes]]
"""Keys and arguments."""


async def run_script(
    name: str,
    calls: Sequence[ScriptCall],
    client: Calling,
    breaker: Breaker,
    budget_s: float,
    hurried: bool = False,
    beside: Sequence[Command] = (),
    before: Sequence[Command] = (),
    ask: Ask = guarded,
) -> list[Any]:
    """Run a script once for each call, in one round trip; where a server does not know it yet, send it along in another.

    `before` and `beside` are sent before and after them in the same round trip; their replies are checked and left out.
    `ask` calls the store.
    """
    body, digest = _script(name)
    scripts: list[Command] = [("EVALSHA", digest, b"%d" % len(keys), *keys, *arguments) for keys, arguments in calls]
    commands = [*before, *scripts, *beside]
    began = monotonic()
    replies = await ask(client, breaker, commands, budget_s, hurried)
    if hiredis.ReplyError in map(type, replies):
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, hiredis.ReplyError) and code(reply) == "NOSCRIPT"]
        if unknown:
            left_s = budget_s - (monotonic() - began)
            again = await ask(client, breaker, [("EVAL", body, *commands[i][2:]) for i in unknown], left_s, hurried)
            for i, reply in zip(unknown, again, strict=True):
                replies[i] = reply
        check(replies)
    return replies[len(before) : len(before) + len(calls)]
