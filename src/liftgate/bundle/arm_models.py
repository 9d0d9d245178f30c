"""Models that arms of experiments put in others' places: which manifests they need, and whose output stands in for whose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from liftgate.bundle.mistake import did_you_mean, one_of
from liftgate.bundle.model_specs import ModelFolder
from liftgate.bundle.schema import ModelPin, OfferRule
from liftgate.bundle.schema_layers import ArmRule, ExperimentRule
from liftgate.bundle.schema_value import ModelOutput
from liftgate.bundle.sections import Draft
from liftgate.bundle.variant import Replacement
from liftgate.domain.offer import Indices

Path = tuple[str | int, ...]


def arms_written(draft: Draft) -> Iterator[tuple[str, str, ExperimentRule, ArmRule]]:
    """Yield (layer, arm, the layer's rule, the arm's rule) of every experiment."""
    for layer, rule in draft.section("layers", ExperimentRule).items():
        for arm, changes in rule.arms.items():
            yield layer, arm, rule, changes


def wanted_models(draft: Draft) -> dict[str, tuple[str, int, Path]]:
    """Return every model that the bundle pins, by key: (name, version, where that is written). A version that arms alone use has the key
    `name@version`."""
    pins = draft.section("models", ModelPin)
    found: dict[str, tuple[str, int, Path]] = {name: (name, pin.version, ("models", name, "version")) for name, pin in pins.items()}
    for layer, arm, _, changes in arms_written(draft):
        for name, instead in changes.models.items():
            if isinstance(instead, int) and name in pins and instead != pins[name].version:
                found.setdefault(f"{name}@{instead}", (name, instead, ("layers", layer, "arms", arm, "models", name)))
    return found


def key_of(name: str, instead: int | str) -> str:
    """Return the key of what scores instead of a model."""
    return instead if isinstance(instead, str) else f"{name}@{instead}"


def check_arm_models(draft: Draft, folders: Mapping[str, ModelFolder]) -> None:
    """Note every mistake in the `models:` of arms."""
    pins = draft.section("models", ModelPin)
    for layer, arm, _, changes in arms_written(draft):
        for name, instead in changes.models.items():
            path: Path = ("layers", layer, "arms", arm, "models", name)
            if not draft.refer(path, "models", name):
                continue
            if isinstance(instead, str) and not draft.refer(path, "models", instead):
                continue
            if instead in (name, pins[name].version):
                draft.refuse(path, "is the model that everybody has", "name another version or model, or remove the line")
                continue
            _outputs(draft, path, name, key_of(name, instead), folders)


def _outputs(draft: Draft, path: Path, name: str, key: str, folders: Mapping[str, ModelFolder]) -> None:
    """Note outputs that offers refer to and the model that is to stand in does not have."""
    by = folders.get(key)
    if by is None or by.manifest is None:
        return
    names = [output.name for output in by.manifest.outputs]
    wanted = {output.output for output in _references(draft) if output.model == name}
    for output in sorted(one for one in wanted if one is not None):
        if output not in names:
            problem = f"version {by.version} of model `{by.name}` has no output `{output}`, which offers rank by"
            draft.refuse(path, problem, did_you_mean(output, names, one_of(names)))
    if None in wanted and len(names) != 1:
        problem = f"version {by.version} of model `{by.name}` has {len(names)} outputs, and offers name none"
        draft.refuse(path, problem, f"name the output in the offers ({one_of(names)}), or choose a model with one")


def _references(draft: Draft) -> Iterator[ModelOutput]:
    for offer in draft.section("offers", OfferRule).values():
        if offer.treated is not None:
            yield offer.treated
        if offer.uplift is not None:
            yield offer.uplift.untreated


def replacements(draft: Draft, folders: Mapping[str, ModelFolder], index: Mapping[str, int]) -> tuple[Replacement, ...]:
    """Return every model that an arm puts in another's place; `index` is by the keys of `wanted_models`."""
    offers = list(draft.section("offers", OfferRule).values())
    pairs = {(name, key_of(name, instead)): None for *_, changes in arms_written(draft) for name, instead in changes.models.items()}
    found = []
    for name, key in pairs:
        manifest = folders[key].manifest
        names = [output.name for output in manifest.outputs] if manifest else []
        treated = _column([one.treated for one in offers], name, names)
        untreated = _column([one.uplift.untreated if one.uplift else None for one in offers], name, names)
        found.append(Replacement(index[name], index[key], treated, untreated))
    return tuple(found)


def _column(outputs: list[ModelOutput | None], model: str, names: list[str]) -> Indices:
    """Return [K] the index of each offer's output of a model among `names`; 0 where it has none of that model."""
    mine = [one.output if one is not None and one.model == model else None for one in outputs]
    column = np.array([0 if one is None else names.index(one) for one in mine], dtype=np.intp)
    column.setflags(write=False)
    return column
