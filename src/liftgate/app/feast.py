"""Features from a Feast online store, as the settings ask for them."""

from __future__ import annotations

from liftgate.adapters.feast_map import FeastMap
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.app.settings import BadSettings, Settings, mention
from liftgate.domain.errors import BadInput
from liftgate.domain.input import InputSchema


def feast_of(settings: Settings, schema: InputSchema) -> tuple[FeastMap | None, RedisClient | None]:
    """Return the map, loaded for a schema, and the client of the store's own server; None: not asked for. Raises BadSettings."""
    if settings.feast is None:
        return None, None
    feast = FeastMap(settings.feast)
    try:
        feast.load(schema)
    except BadInput as err:
        raise BadSettings(f"{mention('feast')}: {err}") from None
    if settings.feast_redis is None:
        return feast, None
    try:
        return feast, connect(settings.feast_redis.get_secret_value(), budget_ms=settings.fetch_budget_ms)
    except ValueError as err:
        raise BadSettings(f"{mention('feast_redis')}: {err}") from None
