"""What may not go together in levers, weights, smoothing and uplift: every mistake at its file and line."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isfinite, prod

from liftgate.bundle.schema import Group, OfferRule, PlacementRule
from liftgate.bundle.schema_layers import ArmRule, ExperimentRule
from liftgate.bundle.schema_value import Lever
from liftgate.bundle.sections import Draft

_SMALLEST, _LARGEST = 1e-200, 1e200
"""Between them worth can be multiplied by a probability and compared without running over or under."""
Owner = tuple[str, str]
Placed = tuple[tuple[str | int, ...], Lever]


def check_worth(draft: Draft) -> None:
    """Note every mistake between the parts of worth."""
    groups = draft.section("groups", Group)
    for name, group in groups.items():
        own = list(_levers(("groups", name), group))
        _names(draft, own)
        _sum(draft, own)
    for name, offer in draft.section("offers", OfferRule).items():
        shared = groups.get(offer.group or "")
        owner = ("offers", name)
        inherited = list(_levers(("groups", str(offer.group)), shared)) if shared is not None else []
        own = list(_levers(owner, offer))
        _names(draft, own, inherited)
        if own:
            _sum(draft, [*inherited, *own], owner)
        _extremes(draft, owner, offer, shared)
        _smoothing(draft, owner, offer, shared)


def _levers(owner: Owner, rule: Group | OfferRule) -> Iterator[Placed]:
    for i, lever in enumerate(rule.levers):
        yield (*owner, "levers", i), lever


def _names(draft: Draft, own: list[Placed], inherited: list[Placed] | None = None) -> None:
    known = {lever.name: draft.where(path) for path, lever in inherited or ()}
    for path, lever in own:
        if lever.name in known:
            problem = f"there is a lever `{lever.name}` already, in {known[lever.name]}, and both would count"
            draft.refuse((*path, "name"), problem, "give each a name of its own, or keep one")
        known.setdefault(lever.name, draft.where(path))


def _sum(draft: Draft, levers: list[Placed], owner: Owner | None = None) -> None:
    """Refuse cuts that hold at the same time and take 100 % or more off together; `owner`: where it is said, absent: anywhere."""
    cuts = [(path, lever, 100.0 * (1.0 - lever.multiple)) for path, lever in levers if lever.multiple < 1.0]
    starts = {-inf if lever.starts_at is None else lever.starts_at for _, lever, _ in cuts}
    for start in sorted(starts):
        live = [cut for cut in cuts if (cut[1].starts_at or -inf) <= start < (inf if cut[1].until is None else cut[1].until)]
        off = sum(percent for _, _, percent in live)
        if len(live) > 1 and off >= 100.0 - 1e-9:
            own = [path for path, _, _ in live if owner is None or path[:2] == owner]
            names = ", ".join(f"`{lever.name}`" for _, lever, _ in live)
            if own:
                problem = f"{names} take {off:g} % off together: added up, nothing would be left, or less, and the worst would rank first"
                draft.refuse(own[-1], problem, "cut less, or give them dates that do not overlap")
                return


def _extremes(draft: Draft, owner: Owner, offer: OfferRule, group: Group | None) -> None:
    rules = [rule for rule in (group, offer) if rule is not None]
    factors = [lever.multiple for rule in rules for lever in rule.levers] + [one.weight for rule in rules for one in rule.context_weight]
    if not factors or draft.patched & {(*owner, "value")}:
        return
    most = offer.value * prod(max(factor, 1.0) for factor in factors)
    least = offer.value * prod(min(factor, 1.0) for factor in factors)
    if not isfinite(most) or most > _LARGEST or least < _SMALLEST:
        draft.refuse((*owner, "value"), "times its levers and weights is too large or too small to reckon with", "bring them closer to 1")


def _smoothing(draft: Draft, owner: Owner, offer: OfferRule, group: Group | None) -> None:
    inherited = group.smoothing if group is not None else None
    if offer.uplift is not None and (offer.smoothing or inherited):
        problem = "is a difference of two models, and `smoothing` starts one"
        draft.refuse((*owner, "uplift"), problem, "rank by `propensity` until there is evidence, or remove `smoothing`")
    elif offer.smoothing is not None and offer.treated is None:
        draft.refuse((*owner, "smoothing"), "has no model to smooth: without `propensity` the response counts as 1", "add `propensity`")
    elif offer.evidence is not None and not (offer.smoothing or inherited) and not _samples(draft):
        problem = "says what was seen, and neither `smoothing` nor a `thompson` policy looks at it"
        draft.refuse((*owner, "evidence"), problem, "add `smoothing`, or remove `evidence`")


def _samples(draft: Draft) -> bool:
    """Say whether Thompson sampling selects anywhere, or may: an arm of any experiment counts."""
    selects = [rule.select for rule in draft.section("placements", PlacementRule).values()]
    selects += [group.select for group in draft.section("groups", Group).values() if group.select is not None]
    for experiment in draft.section("layers", ExperimentRule).values():
        selects += [arm.select for arm in experiment.arms.values() if isinstance(arm, ArmRule) and arm.select is not None]
    return any(select.policy == "thompson" for select in selects)
