"""What people's keys cost a fetch: `python -m tests.bench.person_keys`. Client CPU a person, best of rounds taken in turns."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.person_keys import PersonKeys
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_profile_writer import RedisProfileWriter, StoredPerson
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.pipeline.ports import PersonKey

SCHEMA = InputSchema(tuple(Input(f"profile.f{i}", InputType.FLOAT) for i in range(24)), ())
ROUNDS, CALLS = 15, 60


async def main() -> None:
    """Measure and print."""
    pseudonyms, hashed = Pseudonyms.of_people(b"k" * 32), Pseudonyms("", b"h" * 32)
    with EmbeddedValkey() as server:
        client = connect(server.url, 5_000)
        ids = [f"person-{i:06d}" for i in range(64)]
        await RedisProfileWriter(client, SCHEMA).store([StoredPerson(one, [1.0] * 24, 1, b'{"v":1,"purposes":{}}') for one in ids])
        ring = PersonKeys(pseudonyms, hashed)
        plain, keyed = RedisProfiles(client, budget_ms=5_000), RedisProfiles(client, budget_ms=5_000, keys=ring)
        for size in (1, 8, 32, 64):
            people = [PersonKey(one, False, keyed=True) for one in ids[:size]]
            found = await keyed.fetch(people, SCHEMA)

            async def first(people: list[PersonKey] = people) -> Any:
                for person in people:
                    ring.learn(person.person_id, None)
                return await keyed.fetch(people, SCHEMA)

            def by_id(people: list[PersonKey] = people) -> list[bytes]:
                return [pseudonyms(person.person_id) for person in people]

            def by_own(people: list[PersonKey] = people, keys: Any = found.keys) -> list[Any]:
                return [ring.pseudonym(person.person_id, key) for person, key in zip(people, keys, strict=True)]

            best: dict[str, float] = {}
            for _ in range(ROUNDS):
                for name, call in (
                    ("fetch", lambda people=people: plain.fetch(people, SCHEMA)),
                    ("fetch with keys", lambda people=people: keyed.fetch(people, SCHEMA)),
                    ("not met by this worker", first),
                    ("pseudonym of id", by_id),
                    ("pseudonym with own key", by_own),
                ):
                    start = time.process_time()
                    for _ in range(CALLS):
                        made = call()
                        if asyncio.iscoroutine(made):
                            await made
                    spent = (time.process_time() - start) / CALLS / size * 1e6
                    best[name] = min(best.get(name, spent), spent)
            print(f"batches of {size:2}: " + ", ".join(f"{name} {us:.2f} us" for name, us in best.items()))
        key = redis_keys.person_key(ids[0])
        (size_b,) = await client.call([("MEMORY", "USAGE", key)], 5.0)
        print(f"the key of one person: {size_b} bytes in the store; on the wire {len(key) + 6} there, 22 back")
        await client.close()


if __name__ == "__main__":
    asyncio.run(main())
