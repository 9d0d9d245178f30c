"""`select:` against the offers that it chooses among, and as compiled policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from liftgate.bundle.candidates import candidates
from liftgate.bundle.schema import Group, OfferRule, PlacementRule
from liftgate.bundle.schema_select import Select
from liftgate.bundle.sections import Draft
from liftgate.domain.policy import DEFAULT_EVIDENCE, GroupPolicy, Policy

Path = tuple[str | int, ...]


def check_policies(draft: Draft) -> None:
    """Note every mistake in the `select:` of placements and groups that depends on what they choose among."""
    offers, groups = draft.section("offers", OfferRule), draft.section("groups", Group)
    if draft.broken or draft.refused["offers"]:
        # Who the candidates are is not known.
        return
    for name, rule in draft.section("placements", PlacementRule).items():
        check_select(draft, ("placements", name, "select"), rule.select, candidates(rule, offers))
        if rule.diversity is not None and rule.slots == 1:
            draft.caution(("placements", name, "diversity"), "changes nothing: an answer holds one offer at most (`slots: 1`)")
    for name, group in groups.items():
        if group.select is not None:
            check_select(draft, ("groups", name, "select"), group.select, _members(name, offers))


def check_select(draft: Draft, path: Path, select: Select, among: Sequence[str]) -> None:
    """Note every mistake in one `select:` that chooses among the named offers."""
    if select.floor is not None and among and select.floor * len(among) > 1 + 1e-9:
        problem = f"{len(among)} candidates cannot each have a probability of {select.floor:g} or more"
        draft.refuse((*path, "floor"), problem, f"write at most {_rounded_down(1 / len(among)):g}")
    if select.weights is None:
        return
    for name in select.weights:
        if draft.refer((*path, "weights", name), "offers", name) and name not in among:
            draft.refuse((*path, "weights", name), f"`{name}` is no candidate here", "remove it, or add it to the candidates")
    bare = [name for name in among if name not in select.weights]
    if bare:
        more = f" and {len(bare) - 1} more" if len(bare) > 1 else ""
        draft.refuse((*path, "weights"), f"says nothing of candidate `{bare[0]}`{more}", f"add, for example, `{bare[0]}: 1`")


def policy_of(select: Select, names: Sequence[str]) -> Policy:
    """Return a `select:` without mistakes as a policy; `names` are the bundle's offers, in order."""
    weights = select.weights
    return Policy(
        kind=select.policy,
        epsilon=select.epsilon or 0.0,
        temperature=select.temperature or 0.0,
        relative=select.temperature_unit == "best",
        floor=select.floor or 0.0,
        evidence=select.evidence or DEFAULT_EVIDENCE,
        weights=() if weights is None else tuple(float(weights.get(name, 0.0)) for name in names),
    )


def group_policies(draft: Draft) -> Iterator[GroupPolicy]:
    """Yield the groups that select by themselves."""
    offers = draft.section("offers", OfferRule)
    names = list(offers)
    for name, group in draft.section("groups", Group).items():
        members = _members(name, offers)
        if group.select is not None and members:
            yield GroupPolicy(name, tuple(names.index(member) for member in members), policy_of(group.select, names))


def _members(group: str, offers: Mapping[str, OfferRule]) -> list[str]:
    return [name for name, offer in offers.items() if offer.group == group]


def _rounded_down(share: float) -> float:
    return int(share * 10_000) / 10_000 or share
