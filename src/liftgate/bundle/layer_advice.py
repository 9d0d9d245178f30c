"""What works about a bundle's layers and is probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.mistake import Caution
from liftgate.bundle.sections import Draft
from liftgate.domain.bucketing import SPACE
from liftgate.domain.layer import Layer


def advise_layers(draft: Draft, bundle: Bundle) -> Iterator[Caution]:
    """Yield every caution about layers."""
    for layer in bundle.layers:
        for key, text in _about(layer):
            yield _caution(draft, layer, key, text)
    for first, then in permutations(bundle.layers, 2):
        a, b = first.exclusive, then.exclusive
        if a is None or b is None or a.namespace != b.namespace or first.ends_at_ms > then.starts_at_ms:
            continue
        if max(a.start, b.start) < min(a.end, b.end):
            text = f"takes over people that layer `{first.name}` had: they keep what it did to them; leave out some days"
            yield _caution(draft, then, "exclusive", text)


def _about(layer: Layer) -> Iterator[tuple[str, str]]:
    if layer.kind == "holdout" and layer.share > 0.5:
        yield "share", f"holds out {layer.share:.0%} of all people"
    if layer.phase > 1:
        yield "phase", f"follows phase {layer.phase - 1}: people keep what its arms did to them; leave out some days"
    if layer.kind == "experiment":
        missing = [key for key in ("hypothesis", "metric", "n_star") if not getattr(layer, key)]
        if missing:
            names = " and ".join(f"`{key}`" for key in missing)
            yield "", f"does not say {names}: what decides it should be frozen before it starts"
        if not any(arm.used for arm in layer.arms):
            yield "coverage", "0 puts nobody into an arm"
    if layer.kind == "ablation" and sum(arm.used for arm in layer.arms[:-1]) > SPACE // 2:
        yield "arms", "leave something out for more than half of all people"


def _caution(draft: Draft, layer: Layer, key: str, text: str) -> Caution:
    path = ("layers", layer.name, key) if key else ("layers", layer.name)
    file, line = draft.place(path)
    return Caution(file, line, ".".join(path), text)
