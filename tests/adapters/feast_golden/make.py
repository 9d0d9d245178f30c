"""Makes golden.json: what the real Feast writes into an online store on Redis, byte for byte. Not run in CI; the file is committed.

    python -m venv feast-env && feast-env/bin/pip install feast==0.67.0 redis
    redis-server --port 7999 --save ''
    feast-env/bin/python tests/adapters/feast_golden/make.py localhost:7999 > tests/adapters/feast_golden/golden.json

The server must be empty. `tests/adapters/test_feast_layout.py` holds the file to a fresh run where feast can be imported: in an environment
with the extra `feast` (`pip install -e '.[dev,embedded,offline,feast]'`).
"""

from __future__ import annotations

import json
import sys
import warnings
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

PROJECT = "shop"
AT = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
EARLIER = datetime(2026, 4, 30, 12, 0, 0, tzinfo=UTC)

STATS: dict[str, dict[str, Any]] = {
    "ada": {
        "age": ("int64_val", 41),
        "visits": ("int32_val", 7),
        "spend": ("double_val", 12.5),
        "score": ("float_val", 0.25),
        "member": ("bool_val", True),
        "country": ("string_val", "FR"),
        "seen": ("unix_timestamp_val", 1_767_225_600),
    },
    "bob": {
        "age": ("int64_val", 0),
        "visits": ("int32_val", -3),
        "spend": ("double_val", float("nan")),
        "score": ("float_val", 0.0),
        "member": ("bool_val", False),
        "country": ("string_val", ""),
        "seen": ("unix_timestamp_val", -1),
    },
    "empty": dict.fromkeys(("age", "visits", "spend", "score", "member", "country", "seen")),
    "héllo wörld 日本語": {"age": ("int64_val", 2**40), "country": ("string_val", "Österreich")},
    "list": {"age": ("int64_list_val", [1, 2]), "country": ("string_val", "DE")},
    "text": {"age": ("string_val", "41"), "country": ("string_val", "DE")},
    "infinite": {"age": ("int64_val", 1), "spend": ("double_val", float("inf"))},
    "half": {"age": ("double_val", 41.0), "visits": ("double_val", 2.5)},
    "null": {"age": ("null_val", 0), "country": ("string_val", "DE")},
}
"""Of the feature view `stats`, by entity; None: a value that Feast knows nothing of."""
LIVE: dict[str, dict[str, Any]] = {"ada": {"views": ("int64_val", 3)}, "only-live": {"views": ("int64_val", 9)}}
"""Of the feature view `live`, a day earlier."""
NUMBERS: dict[int, dict[str, Any]] = {17: {"age": ("int64_val", 17)}, -5: {"age": ("int64_val", 5)}, 2**40: {"age": ("int64_val", 40)}}
"""Entities that are numbers."""


def main(server: str) -> None:
    """Write everything with each version of entity keys, read it back raw, and print it."""
    import redis
    from feast import Entity, FeatureView, Field, FileSource
    from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.types import Int64
    from feast.value_type import ValueType

    warnings.simplefilter("ignore")
    host, port = server.split(":")
    raw: Any = redis.Redis(host=host, port=int(port))
    if raw.dbsize():
        sys.exit("the server is not empty")

    def value(given: Any) -> Any:
        if given is None:
            return Value()
        kind, content = given
        made = Value()
        if kind.endswith("_list_val"):
            getattr(made, kind).val.extend(content)
        else:
            setattr(made, kind, content)
        return made

    source = FileSource(path="unused.parquet", timestamp_field="at")
    fields = [Field(name="age", dtype=Int64)]
    views = {
        name: FeatureView(name=name, entities=[Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)],
                          schema=fields, source=source, ttl=timedelta(days=1))
        for name in ("stats", "live")
    }  # fmt: skip
    found: dict[str, Any] = {"feast": version("feast"), "project": PROJECT, "at_s": AT.timestamp(), "earlier_s": EARLIER.timestamp()}
    for serialization in (3, 2):
        # RepoConfig refuses keys of version 2 by now; the online store still writes them.
        config: Any = SimpleNamespace(
            project=PROJECT,
            entity_key_serialization_version=serialization,
            online_store=RedisOnlineStoreConfig(connection_string=server),
            registry=SimpleNamespace(enable_online_feature_view_versioning=False),
        )

        def write(view: str, kind: str, rows: dict[Any, dict[str, Any]], at: datetime, config: Any = config) -> None:
            data = [
                (
                    EntityKey(join_keys=["customer_id"], entity_values=[Value(**{kind: entity})]),
                    {name: value(each) for name, each in features.items()},
                    at,
                    None,
                )
                for entity, features in rows.items()
            ]
            RedisOnlineStore().online_write_batch(config, views[view], data, None)

        for name, kind, writes in (
            ("string", "string_val", [("stats", STATS, AT), ("live", LIVE, EARLIER)]),
            ("int64", "int64_val", [("stats", NUMBERS, AT)]),
            ("int32", "int32_val", [("stats", {k: v for k, v in NUMBERS.items() if abs(k) < 2**31}, AT)]),
        ):
            for view, rows, at in writes:
                write(view, kind, rows, at)
            found[f"{name}_v{serialization}"] = {
                key.hex(): {field.hex(): content.hex() for field, content in sorted(raw.hgetall(key).items())}
                for key in sorted(raw.keys("*"))
            }
            raw.flushall()
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1])
