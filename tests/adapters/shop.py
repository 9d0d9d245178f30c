"""A bundle made by hand for the tests of the gRPC rooms: six offers, one placement of three slots and one of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.domain.errors import ModelFailed
from liftgate.domain.input import Floats, Input, InputSchema, InputType
from liftgate.domain.offer import Cap, Offer, Placement
from liftgate.domain.policy import Policy
from liftgate.pipeline.live import Live

OFFERS = ("welcome", "free-shipping", "ten-percent", "gift", "news", "capped")
DIGEST = "d" * 64
RULES = {
    ("eligible_if", 1): "offers.yaml:11",
    ("suppress_if", 2): "offers.yaml:22",
    ("purposes", 3): "offers.yaml:33",
    ("channels", 4): "offers.yaml:44",
}


def shop(digest: str = DIGEST) -> Bundle:
    """Return the bundle. No rules, no models, no consent needed: everything is allowed."""
    k = len(OFFERS)
    schema = InputSchema(
        (Input("profile.age", InputType.INT),),
        (
            Input("context.channel", InputType.STRING, ("web", "app")),
            Input("context.basket", InputType.FLOAT),
            Input("context.visits", InputType.INT),
            Input("context.seen_at", InputType.TIMESTAMP),
            Input("context.member", InputType.BOOL),
            Input("context.city", InputType.STRING, ("Berlin", "Paris")),
        ),
    )
    offers = tuple(
        Offer(name, "", float(i), f'{{"title":"{name}"}}' if i else "", f"offers.yaml:{10 * i}") for i, name in enumerate(OFFERS)
    )
    hero = Placement("home.hero", np.arange(1, k), 0, 3, Policy("epsilon_greedy", epsilon=0.1), 60_000)
    strip = Placement("strip", np.array([1, 2]), -1, 1, Policy("epsilon_greedy"), 60_000)
    cap = Cap(b"capcapca", "capped: at most 1 decision per 1d", 1, 86_400_000, "decision", 0, np.array([5]), "offers.yaml:55")
    candidates = np.zeros((2, k), dtype=np.bool_)
    candidates[0, 1:] = True
    candidates[1, 1:3] = True
    return Bundle(
        name="shop",
        digest=digest,
        currency="EUR",
        time_zone="UTC",
        schema=schema,
        purposes=("personalization",),
        profile_purpose=-1,
        gpc_denies=np.zeros(1, dtype=np.bool_),
        offers=offers,
        offer_index={name: i for i, name in enumerate(OFFERS)},
        placements=(hero, strip),
        placement_index={"home.hero": 0, "strip": 1},
        candidates=candidates,
        value=np.arange(k, dtype=np.float64),
        needs_purpose=np.zeros((k, 1), dtype=np.bool_),
        channels=(),
        needs_channel=np.zeros(k, dtype=np.bool_),
        on_channel=np.zeros((k, 0), dtype=np.bool_),
        starts_at_ms=np.full(k, -np.inf),
        ends_at_ms=np.full(k, np.inf),
        eligible_if=(),
        applicable_if=(),
        suitable_if=(),
        suppress_if=(),
        rule_source=RULES,
        caps=(cap,),
        cap_ids=np.frombuffer(cap.cap_id, dtype="<u8").astype(np.uint64),
        offer_caps=((), (), (), (), (), (0,)),
        models=(),
        offer_model=np.full(k, -1, dtype=np.intp),
        offer_output=np.zeros(k, dtype=np.intp),
        base_rate=np.ones(k),
        layers=(),
    )


class NoModels:
    """The models of a bundle that pins none."""

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        """Nothing to score."""
        raise ModelFailed(f"{model.name} is not here")


def live(bundle: Bundle | None = None) -> Live:
    """Return the shop in force."""
    return Live(bundle or shop(), NoModels())


class CountingIds:
    """Ids that count, for ports.Ids."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def decision_id(self) -> str:
        """Return the next of 32 hexadecimal digits."""
        self.made.append(f"{len(self.made) + 1:032x}")
        return self.made[-1]

    def decision_ids(self, count: int) -> list[str]:
        """Return the next so many."""
        return [self.decision_id() for _ in range(count)]


def paths(violations: Sequence[object]) -> list[str]:
    """Return the field paths of violations, in order."""
    return [violation.field for violation in violations]  # type: ignore[attr-defined]
