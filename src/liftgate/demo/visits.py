"""Who comes when, where and how: the calls that the demo makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.demo.dice import dice
from liftgate.demo.people import People, person_id
from liftgate.domain.request import Context

PLACEMENTS = ("home.hero", "cart.banner", "email.header")
_LOCALE = {"DE": "de-DE", "FR": "fr-FR", "NL": "nl-NL", "AT": "de-AT"}


@dataclass(frozen=True, slots=True)
class Visit:
    """One moment in which the shop may show something."""

    request_id: str
    person: int
    """Index into the people."""
    placement: str
    context: Context
    gpc: bool

    @property
    def person_id(self) -> str:
        """The person's id."""
        return person_id(self.person)


@dataclass(frozen=True, slots=True)
class Moments:
    """M visits as columns, before they are spelled out."""

    person: NDArray[np.intp]
    placement: NDArray[np.intp]
    """[M] index into `PLACEMENTS`."""
    basket_value: NDArray[np.float64]
    """[M] EUR, 0 outside the cart."""
    mobile: NDArray[np.bool_]
    app: NDArray[np.bool_]
    gpc: NDArray[np.bool_]


def moments(people: People, count: int, seed: int) -> Moments:
    """Return `count` visits: everyone comes once (as far as `count` reaches), then keen people come again. A pure function of the seed."""
    throw = dice(seed, 2)
    n = len(people)
    once = throw.permutation(n)[:count]
    keenness = 1.0 + people.traits["views_7d"] ** 1.5
    again = throw.choice(n, size=max(count - n, 0), p=keenness / keenness.sum())
    person = np.concatenate([once, again]).astype(np.intp)
    m = len(person)
    cart = throw.random(m) < np.where(people.traits["cart_value"][person] > 0, 0.55, 0.08)
    mail = ~cart & (throw.random(m) < 0.25)
    app = ~mail & (throw.random(m) < np.where(people.traits["app_installed"][person] > 0, 0.55, 0.0))
    basket = np.maximum(people.traits["cart_value"][person] * throw.uniform(0.6, 1.4, size=m), 5.0)
    return Moments(
        person=person,
        placement=np.where(cart, 1, np.where(mail, 2, 0)).astype(np.intp),
        basket_value=np.where(cart, np.round(basket, 2), 0.0),
        mobile=app | (throw.random(m) < 0.45),
        app=app,
        gpc=~mail & ~app & (throw.random(m) < 0.05),
    )


def visits(people: People, count: int, seed: int) -> list[Visit]:
    """Return the visits as calls to make, in the order in which they come."""
    found = moments(people, count, seed)
    countries = list(_LOCALE)
    return [
        Visit(
            request_id=f"demo-{seed}-{i:06d}",
            person=int(found.person[i]),
            placement=PLACEMENTS[found.placement[i]],
            context=Context(
                channel="email" if found.placement[i] == 2 else "app" if found.app[i] else "web",
                device="mobile" if found.mobile[i] else "desktop",
                locale=_LOCALE[countries[int(people.traits["country"][found.person[i]])]],
                time_zone="Europe/Berlin",
                attributes={"basket_value": float(found.basket_value[i])} if found.placement[i] == 1 else {},
            ),
            gpc=bool(found.gpc[i]),
        )
        for i in range(len(found.person))
    ]
