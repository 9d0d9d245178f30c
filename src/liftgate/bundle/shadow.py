"""What runs in shadow: whole guardrails, and single keys of groups and offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from liftgate.bundle.mistake import did_you_mean, one_of
from liftgate.bundle.schema import Group, OfferRule
from liftgate.bundle.schema_suppression import GUARDRAILS, GuardrailMode
from liftgate.bundle.sections import Draft
from liftgate.domain.batch import Bools

_NONE: Mapping[str, Bools] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Shadow:
    """What says what it would deny, and denies nothing."""

    guardrails: frozenset[str] = frozenset()
    """Whole guardrails, by name."""
    inherited: Mapping[str, Bools] = field(default_factory=lambda: _NONE)
    """Key such as `suppress_if` to [K]: the offer has it from its group, and there it runs in shadow. Without keys that nobody shadows."""
    own: Mapping[str, Bools] = field(default_factory=lambda: _NONE)
    """Key to [K]: the offer's own runs in shadow."""

    def __bool__(self) -> bool:
        return bool(self.guardrails or self.inherited or self.own)


def shadow_of(draft: Draft) -> Shadow:
    """Return what runs in shadow in a draft without mistakes."""
    groups, offers = draft.section("groups", Group), draft.section("offers", OfferRule)
    members = {name: np.array([offer.group == name for offer in offers.values()], dtype=np.bool_) for name in groups}
    inherited: dict[str, Bools] = {}
    own: dict[str, Bools] = {}
    nobody = np.zeros(len(offers), dtype=np.bool_)
    for name, group in groups.items():
        for key in group.shadow:
            inherited[key] = inherited.get(key, nobody) | members[name]
    for k, offer in enumerate(offers.values()):
        for key in offer.shadow:
            own[key] = own.get(key, nobody).copy()
            own[key][k] = True
    return Shadow(shadowed_guardrails(draft), MappingProxyType(inherited), MappingProxyType(own))


def shadowed_guardrails(draft: Draft) -> frozenset[str]:
    """Return the guardrails that run in shadow over the whole bundle."""
    return frozenset(name for name, mode in draft.section("guardrails", GuardrailMode).items() if mode.root == "shadow")


def check_shadow(draft: Draft) -> None:
    """Note names that are no guardrails, and keys in shadow that are not there."""
    for name in draft.entries["guardrails"]:
        if name == "kill_switch":
            draft.refuse(("guardrails", name), "the kill switch cannot run in shadow", "remove it")
        elif name not in GUARDRAILS:
            mend = did_you_mean(name, GUARDRAILS, f"remove it ({one_of(GUARDRAILS, 20)})")
            draft.refuse(("guardrails", name), f"there is no guardrail `{name}`", mend)
    for section, kind in (("groups", Group), ("offers", OfferRule)):
        for name, entry in draft.section(section, kind).items():
            for i, key in enumerate(entry.shadow):
                if not getattr(entry, key) and not draft.patched & {(section, name, key)}:
                    draft.refuse(
                        (section, name, "shadow", i), f"`{name}` has no `{key}` of its own", f"write `{key}:` beside it, or remove it"
                    )
    for name in ("consent", "review"):
        if name in shadowed_guardrails(draft):
            text = (
                "runs in shadow: offers are shown WITHOUT the consent"
                if name == "consent"
                else "runs in shadow: offers are shown WITHOUT the approval"
            )
            draft.caution(("guardrails", name), f"{text} that they ask for. Never serve people with this bundle")
