"""What may not change about a layer while it runs, and what a change of it carries over. One bundle is in force, another is to follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.mistake import Caution, Mistake
from liftgate.domain.layer import Layer

_WITH_ARMS = ("ablation", "experiment")
_FROZEN: Mapping[str, Callable[[Layer], object]] = {
    "kind": lambda layer: layer.kind,
    "unit": lambda layer: layer.unit,
    "salt": lambda layer: layer.salt,
    "from": lambda layer: layer.starts_at_ms,
    "exclusive": lambda layer: layer.exclusive,
    "arms": lambda layer: tuple((arm.name, arm.start, arm.width) for arm in layer.arms) if layer.kind in _WITH_ARMS else (),
    "hypothesis": lambda layer: layer.hypothesis,
    "metric": lambda layer: layer.metric,
    "n_star": lambda layer: layer.n_star,
}
_WHY = {
    "kind": "what it is for",
    "unit": "what is randomised",
    "salt": "the draw: everybody would be drawn afresh, and reports would mix two draws",
    "from": "when it began",
    "exclusive": "whom it shares with other layers",
    "arms": "its arms or their shares: people would move from one arm into another",
    "hypothesis": "what it is to show",
    "metric": "the metric that decides it, after the answers began to come in",
    "n_star": "the size that its analysis is tuned to: its intervals would no longer hold",
}


def started(layer: Layer, now_ms: int) -> bool:
    """Say whether somebody may have been put into an arm by now."""
    first = layer.arms[:1] if layer.kind in ("holdout", "model_control") else layer.arms
    return layer.starts_at_ms <= now_ms and any(arm.used for arm in first)


def refused(old: Bundle, new: Bundle, now_ms: int) -> list[Mistake]:
    """Return every change of what is frozen in a layer that has started and is in the same phase. Asked by publish and by reload."""
    found = []
    for was, layer in _pairs(old, new):
        if was.phase != layer.phase or not started(was, now_ms):
            continue
        for key, of in _FROZEN.items():
            if of(was) != of(layer):
                problem = f"changes {_WHY[key]}, while phase {was.phase} runs"
                mend = f"put it back, or open a new phase: `phase: {was.phase + 1}` draws everybody afresh"
                found.append(_mistake(layer, key, problem, mend))
    return found


def refused_to_publish(old: Bundle, new: Bundle, now_ms: int) -> list[Mistake]:
    """Return `refused`, and what may be undone by a rollback but not be written anew: a ramp down, an earlier phase."""
    found = refused(old, new, now_ms)
    for was, layer in _pairs(old, new):
        if layer.phase < was.phase:
            problem = (
                f"goes back from phase {was.phase} to {layer.phase}: who is in which arm of it is an old draw, with what it did to people"
            )
            found.append(_mistake(layer, "phase", problem, f"write `phase: {was.phase + 1}`; `liftgate bundle rollback` goes back"))
        elif layer.phase == was.phase and started(was, now_ms) and 0 < _size(layer) < _size(was):
            key = "coverage" if layer.kind in _WITH_ARMS else "share"
            problem = f"shrinks from {_size(was):g} to {_size(layer):g} while phase {was.phase} runs: people would fall out"
            mend = f"leave it, stop the layer with `{key}: 0` or `until`, or write `phase: {was.phase + 1}`; a rollback may go back"
            found.append(_mistake(layer, key, problem, mend))
    return sorted(found)


def openings(old: Bundle, new: Bundle) -> list[str]:
    """Return the phases that a bundle opens, in words for the audit chain."""
    return [f"opens phase {layer.phase} of layer {layer.name}" for was, layer in _pairs(old, new) if layer.phase > was.phase]


def carry_over(old: Bundle, new: Bundle, now_ms: int) -> list[Caution]:
    """Return where people come into something new with the memory of something old."""
    found = list(_carried(old, new, now_ms))
    # A layer that is left out stops at once, and its name may come back with another draw that nobody can compare it with.
    names = {layer.name for layer in new.layers} | {was.name for was, _ in _pairs(old, new)}
    for was in old.layers:
        if was.name not in names and started(was, now_ms):
            text = f"layer `{was.name}` is gone: who was in it is like everybody from now on; `until` would say when it ended"
            found.append(Caution("", 0, f"layers.{was.name}", text))
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Running:
    """What a bundle does to the layers that run under the one in force."""

    opens: tuple[str, ...]
    """Phases that it opens."""
    carry_over: tuple[Caution, ...]
    """Where people come into something new with the memory of something old."""
    refused: tuple[Mistake, ...]
    """What publish refuses."""

    @classmethod
    def of(cls, old: Bundle, new: Bundle, now_ms: int) -> Running:
        """Return what the bundle `new` does to the layers of `old` at a moment."""
        return cls(tuple(openings(old, new)), tuple(carry_over(old, new, now_ms)), tuple(refused_to_publish(old, new, now_ms)))


def _carried(old: Bundle, new: Bundle, now_ms: int) -> Iterator[Caution]:
    forms = _forms(old), _forms(new)
    for was, layer in _pairs(old, new):
        if not started(was, now_ms):
            continue
        if layer.phase > was.phase:
            yield _caution(layer, "phase", f"follows phase {was.phase}: people keep what its arms did to them; leave out some days")
            continue
        if layer.kind == "holdout" and layer.share > was.share:
            text = f"grows from {was.share:g} to {layer.share:g}: who is new to it was treated until now"
            yield _caution(layer, "share", text)
        for key in ("placements", "channels", "if"):
            if forms[0].get(was.name, {}).get(key) != forms[1].get(layer.name, {}).get(key):
                yield _caution(
                    layer, key, f"changes whom phase {was.phase} looks at: analyse the time before and after apart, or open a new phase"
                )
        for arm in _changed_arms(forms[0].get(was.name, {}), forms[1].get(layer.name, {})):
            text = f"does something else than it did when phase {was.phase} began: its effect would be a mixture; open a new phase"
            yield _caution(layer, f"arms.{arm}", text)
    known = {was.name: was for was in old.layers}
    for layer in new.layers:
        for was in old.layers:
            if layer.name not in known and was.name != layer.name and _overlap(was, layer) and started(was, now_ms):
                text = f"takes over people that layer `{was.name}` had: they keep what it did to them; leave out some days"
                yield _caution(layer, "exclusive", text)


def _pairs(old: Bundle, new: Bundle) -> Iterator[tuple[Layer, Layer]]:
    """Yield each layer of the new bundle with what it was: by name, or, under another name, by salt."""
    by_name, by_salt = {layer.name: layer for layer in old.layers}, {layer.salt: layer for layer in old.layers}
    for layer in new.layers:
        was = by_name.get(layer.name) or by_salt.get(layer.salt)
        if was is not None:
            yield was, layer


def _size(layer: Layer) -> float:
    """Return the part in use: of every arm's range, or of all units for a layer with a share."""
    return layer.coverage if layer.kind in _WITH_ARMS else layer.share


def _overlap(one: Layer, other: Layer) -> bool:
    a, b = one.exclusive, other.exclusive
    return a is not None and b is not None and a.namespace == b.namespace and max(a.start, b.start) < min(a.end, b.end)


def _forms(bundle: Bundle) -> Mapping[str, Any]:
    if not bundle.canonical_form:
        return {}
    found: Mapping[str, Any] = orjson.loads(bundle.canonical_form)["layers"]
    return found


def _changed_arms(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    before = was.get("arms", {})
    return [arm for arm, form in now.get("arms", {}).items() if arm in before and before[arm] != form]


def _place(layer: Layer) -> tuple[str, int]:
    file, _, line = layer.source.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (layer.source, 0)


def _mistake(layer: Layer, key: str, problem: str, mend: str) -> Mistake:
    return Mistake(*_place(layer), f"layers.{layer.name}.{key}", problem, mend)


def _caution(layer: Layer, key: str, text: str) -> Caution:
    return Caution(*_place(layer), f"layers.{layer.name}.{key}", text)
