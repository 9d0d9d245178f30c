"""Model manifests against the bundle: what each model is fed and gives, as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liftgate.bundle.compiled import ModelInput, ModelSpec
from liftgate.bundle.manifest import Manifest, ManifestInput
from liftgate.bundle.mistake import Mistake, did_you_mean, nearest, one_of
from liftgate.bundle.schema_value import ModelOutput
from liftgate.bundle.sections import Draft
from liftgate.bundle.source import Source, dotted
from liftgate.domain.input import Input, InputSchema, InputType


@dataclass(slots=True)
class ModelFolder:
    """One `models/<name>/<version>/` as read."""

    name: str
    version: int
    directory: Path
    source: Source
    manifest: Manifest | None = None
    mistakes: list[Mistake] = field(default_factory=list)

    def refuse(self, path: tuple[str | int, ...], problem: str, mend: str) -> None:
        """Add a mistake at a path of the manifest."""
        self.mistakes.append(Mistake(self.source.file, self.source.locate(path)[1], dotted(path), problem, mend))


def compared_texts(folders: Mapping[str, ModelFolder]) -> Iterator[tuple[str, str]]:
    """Yield (input name, text) for every string that a model's input is compared with."""
    for folder in folders.values():
        for item in folder.manifest.inputs if folder.manifest else ():
            if isinstance(item.equals, str):
                yield item.input, item.equals


def build_spec(folder: ModelFolder, schema: InputSchema, tainted: frozenset[str]) -> ModelSpec | None:
    """Return the model as columns of the schema; None: its manifest has a mistake, which is noted in the folder."""
    manifest = folder.manifest
    if manifest is None:
        return None
    inputs = [_input(folder, i, item, schema, tainted) for i, item in enumerate(manifest.inputs)]
    if any(item is None for item in inputs):
        return None
    golden_inputs = np.array(manifest.golden.inputs, dtype=np.float64)
    golden_outputs = np.array(manifest.golden.outputs, dtype=np.float64)
    golden_inputs.setflags(write=False)
    golden_outputs.setflags(write=False)
    return ModelSpec(
        name=folder.name,
        version=folder.version,
        directory=folder.directory,
        sha256=manifest.sha256,
        size=manifest.size,
        input_name=manifest.input,
        output_name=manifest.output,
        inputs=tuple(item for item in inputs if item is not None),
        outputs=tuple(output.name for output in manifest.outputs),
        output_columns=tuple(output.column for output in manifest.outputs),
        base_rates=tuple(output.base_rate for output in manifest.outputs),
        golden_inputs=golden_inputs,
        golden_outputs=golden_outputs,
    )


def _input(folder: ModelFolder, i: int, item: ManifestInput, schema: InputSchema, tainted: frozenset[str]) -> ModelInput | None:
    path = ("inputs", i)
    index = schema.index.get(item.input)
    if index is None:
        if item.input not in tainted:
            section = "features" if item.input.startswith("profile.") else "context"
            name = item.input.split(".", 1)[1]
            fields = {known.split(".", 1)[1]: known for known in schema.index if known.split(".")[0] == item.input.split(".")[0]}
            near = nearest(name, fields)
            mend = f"did you mean `{fields[near]}`?" if near else f"define `{name}` in `{section}:`"
            folder.refuse((*path, "input"), f"the bundle has no `{item.input}`", mend)
        return None
    column = schema.inputs[index]
    if item.equals is None:
        if column.type not in (InputType.STRING, InputType.TIMESTAMP):
            return ModelInput(index, None, float(item.missing))
        mend = "add `equals:`, one entry for each value" if column.type is InputType.STRING else "feed a count of days instead"
        folder.refuse((*path, "input"), f"`{item.input}` is a {column.type.value} and has no meaning as a number", mend)
        return None
    return _one_hot(folder, (*path, "equals"), index, column, item)


def _one_hot(folder: ModelFolder, path: tuple[str | int, ...], index: int, column: Input, item: ManifestInput) -> ModelInput | None:
    try:
        number = column.encode(item.equals)
    except ValueError as err:
        wanted = {InputType.STRING: "text", InputType.BOOL: "true or false"}.get(column.type, "a number")
        folder.refuse(path, str(err), f"write {wanted}")
        return None
    if column.type is InputType.STRING and number == -1:
        mend = did_you_mean(str(item.equals), column.values, one_of(column.values))
        folder.refuse(path, f'"{item.equals}" is not among the declared values of `{item.input}`', mend)
        return None
    return ModelInput(index, number, float(item.missing))


def output_index(draft: Draft, path: tuple[str, ...], wanted: ModelOutput | None, folders: Mapping[str, ModelFolder]) -> int:
    """Return the index of the model output that is named at a path; -1: it is None, or a mistake, which is noted."""
    if wanted is None or not draft.refer(path, "models", wanted.model):
        return -1
    folder = folders.get(wanted.model)
    if folder is None or folder.manifest is None:
        return -1
    names = [output.name for output in folder.manifest.outputs]
    if wanted.output is None:
        if len(names) == 1:
            return 0
        mend = f"write `{path[-1]}: {{model: {folder.name}, output: {names[0]}}}` ({one_of(names)})"
        draft.refuse(path, f"model `{folder.name}` has {len(names)} outputs", mend)
        return -1
    if wanted.output not in names:
        problem = f"model `{folder.name}` has no output `{wanted.output}`"
        draft.refuse((*path, "output"), problem, did_you_mean(wanted.output, names, one_of(names)))
        return -1
    return names.index(wanted.output)
