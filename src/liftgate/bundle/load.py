"""Read a bundle's folder and its models' manifests. The one place of this floor that touches files."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo, available_timezones

from pydantic import ValidationError

from liftgate.bundle.advice import advise
from liftgate.bundle.arm_models import wanted_models
from liftgate.bundle.compile import compile_bundle
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.exploration import Exploration, exploration
from liftgate.bundle.manifest import MAX_MODEL_BYTES, Manifest
from liftgate.bundle.mistake import BundleError, Caution, Mistake, did_you_mean
from liftgate.bundle.model_specs import ModelFolder
from liftgate.bundle.sections import Draft, read
from liftgate.bundle.source import MAX_BYTES, Source, Texts, parse
from liftgate.bundle.wording import explain

MAX_FILES = 256
MAX_TOTAL_BYTES = 8 * 1024 * 1024
"""Of all files that may be read: reading takes tens of seconds a file of 4 MiB, and a reload shares its processor with decisions."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of looking at a bundle."""

    bundle: Bundle | None
    """None exactly when there are mistakes."""
    mistakes: tuple[Mistake, ...]
    """Sorted by file and line."""
    cautions: tuple[Caution, ...]
    exploration: tuple[Exploration, ...]
    """One for each placement, and for each arm that selects otherwise."""
    draft: Draft
    """What the files say, with their lines."""


@cache
def time_zones() -> Mapping[str, ZoneInfo]:
    """Return every time zone of this machine, read once."""
    return MappingProxyType({name: ZoneInfo(name) for name in available_timezones()})


def load_bundle(directory: Path, models: Path | None = None) -> Bundle:
    """Return the compiled bundle of a folder. `models`: see `check_bundle`. Raises BundleError with every mistake."""
    checked = check_bundle(directory, models)
    if checked.bundle is None:
        raise BundleError(checked.mistakes)
    return checked.bundle


def check_bundle(directory: Path, models: Path | None = None, *, weigh: bool = True) -> Checked:
    """Return the bundle or every mistake in it, and cautions. Never raises for what a file holds.

    With `weigh` False model files are not held to their manifests here: whoever loads one does that. `models` holds
    `<name>/<version>/model.yaml`; None: `models` in the folder if it is there, else beside the folder.
    """
    if models is None:
        inside = directory / "models"
        models = inside if inside.is_dir() else directory.parent / "models"
    sources, whole = _sources(directory)
    draft = read(sources, whole)
    folders = _folders(draft, models, weigh)
    return _checked(draft, folders, sources)


def check_texts(texts: Texts, models: Path) -> Checked:
    """Return the bundle of texts that a log kept, or every mistake in them. `models` is where model files would lie: none is read."""
    sources = [parse(name, text.encode()) for name, text in sorted(texts.files.items())]
    draft = read(sources, sources[0].file if sources else "")
    folders = {}
    for key, (name, version, _) in wanted_models(draft).items():
        relative = f"{name}/{version}/model.yaml"
        source = parse(f"models/{relative}", texts.manifests.get(relative, "").encode())
        folders[key] = ModelFolder(name, version, models / name / str(version), source, mistakes=source.mistakes)
        _manifest(folders[key])
    return _checked(draft, folders, sources)


def _checked(draft: Draft, folders: dict[str, ModelFolder], sources: list[Source]) -> Checked:
    _time_zone(draft)
    bundle = compile_bundle(draft, folders, time_zones() if draft.entries["contact_policy"].get("quiet_hours") else {})
    if bundle is not None:
        manifests = {f"{folder.name}/{folder.version}/model.yaml": folder.source.text for folder in folders.values()}
        bundle = replace(bundle, texts=Texts({source.file: source.text for source in sources}, manifests))
    mistakes = {*draft.mistakes, *(mistake for folder in folders.values() for mistake in folder.mistakes)}
    cautions = [*draft.cautions, *(advise(draft, bundle) if bundle else ())]
    return Checked(bundle, tuple(sorted(mistakes)), tuple(sorted(set(cautions))), exploration(bundle) if bundle else (), draft)


def _sources(directory: Path) -> tuple[list[Source], str]:
    """Return every file of the folder, and the name that stands for the folder as a whole."""
    whole = directory.name or str(directory)
    if not directory.is_dir():
        return [_unread(whole, "is no folder", "give the folder that holds the bundle's *.yaml files")], whole
    entries = sorted(entry for entry in directory.iterdir() if not entry.name.startswith("."))
    names = [entry for entry in entries if entry.suffix == ".yaml"]
    sources = [_unread(e.name, "would not be read", "rename it to end in .yaml") for e in entries if e.suffix.lower() in (".yml", ".json")]
    if not names:
        return [*sources, _unread(whole, "holds no *.yaml file", "see docs/bundle.md for a first bundle")], whole
    if len(names) > MAX_FILES:
        return [_unread(whole, f"holds more than {MAX_FILES} files", "join some of them")], whole
    if sum(size for size in map(_size, names) if size <= MAX_BYTES) > MAX_TOTAL_BYTES:
        return [
            _unread(whole, "holds more than 8 MiB of YAML", "keep large texts out of the payloads, or split it into several bundles")
        ], whole
    return [*sources, *(read_source(directory, entry.name) for entry in names)], names[0].name


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # said when it is read
        return 0


def _unread(file: str, problem: str, mend: str) -> Source:
    return Source(file, mistakes=[Mistake(file, 0, "", problem, mend)], broken=True)


def read_source(root: Path, relative: str) -> Source:
    """Return what one file below a folder says, with its lines. Mistakes are in the result, never raised."""
    raw = _read(root, relative, MAX_BYTES)
    return parse(relative, raw) if isinstance(raw, bytes) else raw


def _read(root: Path, relative: str, limit: int) -> bytes | Source:
    """Return a file's bytes, at most one more than `limit`; a Source with the mistake if it may or can not be read."""
    path = root / relative
    try:
        if not path.resolve(strict=True).is_relative_to(root.resolve(strict=True)):
            return _unread(relative, "is a link that leads out of the folder", "put the file itself there")
        # A pipe or device would block or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            return _unread(relative, "is no regular file", "put a file there")
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        return _unread(relative, "is not there", "add the file")
    except (OSError, RuntimeError) as err:
        return _unread(relative, f"cannot be read ({type(err).__name__})", "check its permissions and links")


def _time_zone(draft: Draft) -> None:
    name = draft.head.get("time_zone")
    if name is None:
        return
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        known = available_timezones()
        # Without a time zone database on this machine nothing can be said.
        if known:
            draft.refuse(
                ("time_zone",), f"there is no time zone `{name}`", did_you_mean(name, known, "write an IANA name such as Europe/Berlin")
            )


def _folders(draft: Draft, models: Path, weigh: bool) -> dict[str, ModelFolder]:
    return {key: _folder(draft, models, *wanted, weigh) for key, wanted in wanted_models(draft).items()}


def _folder(draft: Draft, models: Path, name: str, version: int, path: tuple[str | int, ...], weigh: bool) -> ModelFolder:
    relative = f"{name}/{version}/model.yaml"
    shown = f"{models.name or 'models'}/{relative}"
    raw = _read(models, relative, MAX_BYTES)
    source = parse(shown, raw) if isinstance(raw, bytes) else Source(shown)
    folder = ModelFolder(name, version, models / name / str(version), source, mistakes=source.mistakes)
    if isinstance(raw, Source):
        problem = f"`{shown}` {raw.mistakes[0].problem}"
        draft.refuse(path, problem, "add the model's folder, correct the version, or give --models")
        return folder
    manifest = _manifest(folder)
    if manifest is not None and weigh:
        _weigh(folder, models, manifest)
    return folder


def _manifest(folder: ModelFolder) -> Manifest | None:
    """Read the folder's manifest; None: it has a mistake, which is noted."""
    if folder.source.broken:
        return None
    try:
        folder.manifest = Manifest.model_validate(folder.source.value if folder.source.value is not None else {})
    except ValidationError as err:
        for path, problem, mend in explain(err, Manifest, ()):
            folder.refuse(path, problem, mend)
    return folder.manifest


def _weigh(folder: ModelFolder, models: Path, manifest: Manifest) -> None:
    """Hold the manifest's size and digest to the model file. Whoever loads the model hashes what it loads once more."""
    relative = f"{folder.name}/{folder.version}/model.onnx"
    raw = _read(models, relative, MAX_MODEL_BYTES)
    if isinstance(raw, Source):
        folder.refuse((), f"model.onnx beside it {raw.mistakes[0].problem}", "add the model file")
        return
    if len(raw) > MAX_MODEL_BYTES:
        folder.refuse((), "model.onnx beside it is larger than 64 MiB", "export a smaller model")
    elif len(raw) != manifest.size:
        folder.refuse(("size",), f"model.onnx has {len(raw)} bytes", f"write `size: {len(raw)}` if the file is the right one")
    elif (sha256 := hashlib.sha256(raw).hexdigest()) != manifest.sha256:
        folder.refuse(("sha256",), f"model.onnx hashes to {sha256}", "put the right file there, or write its hash")
