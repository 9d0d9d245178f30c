"""What two bundles say differently: entries and their keys, with the text and place of each. Layout and order are no difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, RootModel

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.conditions import canonical
from liftgate.bundle.schema import OfferRule
from liftgate.bundle.sections import HEADS, SECTIONS, Draft

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: a whole entry, or one key or list item of it."""

    section: str
    """`offers`, `groups`, ...; empty: the bundle's head."""
    name: str
    key: str
    """Empty: the whole entry."""
    kind: Kind
    before: str = ""
    """As written, in one line; empty: not written, or a whole entry."""
    after: str = ""
    before_at: str = ""
    """`file:line` in the old bundle."""
    after_at: str = ""
    offers: tuple[str, ...] = ()
    """The offers that a group's change concerns."""


@dataclass(frozen=True, slots=True)
class Written:
    """A good bundle and what its files say."""

    draft: Draft
    bundle: Bundle


def difference(old: Written, new: Written) -> tuple[Change, ...]:
    """Return every difference, by section, name and key."""
    return tuple(_all(old, new))


def flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    text = "" if value is None else str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _all(old: Written, new: Written) -> Iterator[Change]:
    for head in dict.fromkeys((*HEADS, *sorted({*old.draft.head, *new.draft.head}))):
        before, after = old.draft.head.get(head), new.draft.head.get(head)
        if before != after:
            kind: Kind = "changed" if before is not None and after is not None else "added" if before is None else "removed"
            yield Change("", head, "", kind, flow(before), flow(after), *_places(old, new, (head,), before is not None, after is not None))
    for section in SECTIONS:
        mine, theirs = old.draft.entries[section], new.draft.entries[section]
        for name in sorted({*mine, *theirs}):
            path = (section, name)
            concerned = _members(old, name) + _members(new, name) if section == "groups" else ()
            offers = tuple(dict.fromkeys(concerned))
            if name not in theirs:
                yield Change(section, name, "", "removed", before_at=old.draft.where(path), offers=offers)
            elif name not in mine:
                yield Change(section, name, "", "added", after_at=new.draft.where(path), offers=offers)
            else:
                yield from _entry(old, new, path, (mine[name], theirs[name]), offers)
    yield from _models(old, new)


def _entry(
    old: Written, new: Written, path: tuple[str, str], entries: tuple[BaseModel, BaseModel], offers: tuple[str, ...]
) -> Iterator[Change]:
    if any(isinstance(entry, RootModel) for entry in entries):
        if entries[0] != entries[1]:
            whole = [flow(_value(side.draft, path)) for side in (old, new)]
            yield Change(path[0], path[1], "", "changed", whole[0], whole[1], *_places(old, new, path, True, True))
        return
    texts = [_raw(side.draft, path) for side in (old, new)]
    fields = {**type(entries[0]).model_fields, **type(entries[1]).model_fields}
    for field, info in fields.items():
        key = info.alias or field
        before, after = (_plain(key, getattr(entry, field, None)) for entry in entries)
        if before == after:
            continue
        raws = [text.get(key) for text in texts]
        if isinstance(before, list) and isinstance(after, list) and all(isinstance(raw, list) or raw is None for raw in raws):
            yield from _items(old, new, (*path, key), (before, after), (raws[0] or [], raws[1] or []), offers)
            continue
        kind: Kind = "changed" if None not in raws else "added" if raws[0] is None else "removed"
        places = _places(old, new, (*path, key), raws[0] is not None, raws[1] is not None)
        yield Change(path[0], path[1], key, kind, flow(raws[0]), flow(raws[1]), *places, offers)


def _items(
    old: Written,
    new: Written,
    path: tuple[str, str, str],
    plain: tuple[list[Any], list[Any]],
    raws: tuple[list[Any], list[Any]],
    offers: Any,
) -> Iterator[Change]:
    """Yield the difference of two lists whose order means nothing."""
    gone = [i for i, item in enumerate(plain[0]) if item not in plain[1]]
    come = [i for i, item in enumerate(plain[1]) if item not in plain[0]]
    if len(gone) == len(come) == 1:
        i, j = gone[0], come[0]
        places = old.draft.where((*path, i)), new.draft.where((*path, j))
        yield Change(*path, "changed", flow(raws[0][i]), flow(raws[1][j]), *places, offers)
        return
    for i in gone:
        yield Change(*path, "removed", flow(raws[0][i]), before_at=old.draft.where((*path, i)), offers=offers)
    for j in come:
        yield Change(*path, "added", after=flow(raws[1][j]), after_at=new.draft.where((*path, j)), offers=offers)


def _models(old: Written, new: Written) -> Iterator[Change]:
    """Yield models that are pinned as before and are others all the same."""
    before = {(spec.name, spec.version): spec for spec in old.bundle.models}
    for spec in new.bundle.models:
        was = before.get((spec.name, spec.version))
        if was is not None and was.sha256 != spec.sha256:
            places = _places(old, new, ("models", spec.name), True, True)
            yield Change("models", spec.name, "model.onnx", "changed", f"sha256 {was.sha256[:12]}", f"sha256 {spec.sha256[:12]}", *places)


def _members(side: Written, group: str) -> tuple[str, ...]:
    return tuple(name for name, offer in side.draft.section("offers", OfferRule).items() if offer.group == group)


def _value(draft: Draft, path: tuple[str, str]) -> Any:
    source = draft.owner.get(path)
    return source.value[path[0]][path[1]] if source else None


def _raw(draft: Draft, path: tuple[str, str]) -> Mapping[str, Any]:
    value = _value(draft, path)
    return value if isinstance(value, dict) else {}


def _places(old: Written, new: Written, path: Sequence[str | int], there: bool, here: bool) -> tuple[str, str]:
    return old.draft.where(path) if there else "", new.draft.where(path) if here else ""


def _plain(key: str, value: Any) -> Any:
    """Return what a value means: conditions without layout, models as plain data."""
    if isinstance(value, BaseModel):
        found = value.model_dump()
        return found | {"condition": canonical(found["condition"])} if found.get("condition") else found
    if key == "default_offer":
        # By slot: its order means something.
        return tuple(value or ())
    if isinstance(value, (list, tuple)):
        return [_plain(key, item) for item in value]
    if isinstance(value, str) and key.endswith("_if"):
        return canonical(value)
    return value
