"""Everything that a store holds: as it dumps it, to put it back, and in the clear."""

from __future__ import annotations

from collections.abc import Mapping

from liftgate.adapters.redis_client import connect


async def everything(url: str) -> dict[bytes, bytes]:
    """Return every key with its value as the server dumps it."""
    client = connect(url, 5000)
    try:
        (keys,) = await client.call([("KEYS", "*")], 5.0)
        return dict(zip(keys, await client.call([("DUMP", key) for key in keys], 5.0), strict=True))
    finally:
        await client.close()


_READ = {b"string": ("GET",), b"list": ("LRANGE", "0", "-1"), b"hash": ("HGETALL",), b"zset": ("ZRANGE", "0", "-1"), b"set": ("SMEMBERS",)}


async def readable(url: str) -> bytes:
    """Return every key and value in the clear: a dump packs long ones."""
    client = connect(url, 5000)
    try:
        (keys,) = await client.call([("KEYS", "*")], 5.0)
        kinds = await client.call([("TYPE", key) for key in keys], 5.0)
        values = await client.call([(_READ[kind][0], key, *_READ[kind][1:]) for key, kind in zip(keys, kinds, strict=True)], 5.0)
        return b"\0".join([*keys, *(b"\0".join(value) if isinstance(value, list) else value for value in values)])
    finally:
        await client.close()


async def own_keys(url: str) -> list[bytes]:
    """Return every key of a person that the store has."""
    client = connect(url, 5000)
    try:
        (names,) = await client.call([("KEYS", "lg:{*}:k")], 5.0)
        return [key for key in await client.call([("GET", name) for name in names], 5.0) if isinstance(key, bytes)]
    finally:
        await client.close()


async def put_back(url: str, backup: Mapping[bytes, bytes]) -> None:
    """Make a store what it was."""
    client = connect(url, 5000)
    try:
        await client.call([("FLUSHALL",), *(("RESTORE", key, 0, value) for key, value in backup.items())], 5.0)
    finally:
        await client.close()
