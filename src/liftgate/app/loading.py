"""Loading: the files that a server decides by, read, checked, compiled and kept beside the log. Blocks; any process may do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from liftgate.adapters.bundle_archive import keep
from liftgate.adapters.onnx_models import ModelsRefused, OnnxModels
from liftgate.adapters.operators import Known
from liftgate.app.fingerprint import Fingerprint, fingerprint
from liftgate.bundle.load import load_bundle
from liftgate.bundle.mistake import BundleError, Mistake
from liftgate.domain.errors import BadInput
from liftgate.pipeline.live import Live

LOOKS = 5
"""How often to begin reading a bundle anew that changes meanwhile."""
Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class Files:
    """What is read at a load, and where it is kept."""

    bundle: Path
    models: Path | None
    """As in the settings."""
    operators: Path | None
    feast: Path | None
    log: Path
    cluster: bool
    """The store is a Redis Cluster."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Files:
        """Read what `plain` gave."""
        values: dict[str, Any] = {name: Path(value) if isinstance(value, str) else value for name, value in said.items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Found(Generic[Loaded]):
    """What came of reading everything, so that all mistakes are said at once."""

    loaded: Loaded | None
    """None: it has mistakes."""
    known: Known | None
    """Operators; None: their file has mistakes."""
    mistakes: tuple[Mistake, ...] = ()


def found(load: Callable[[], Loaded], operators: Callable[[], Known]) -> Found[Loaded]:
    """Read operators and whatever `load` reads. Both may raise BundleError, `load` BadInput too: mistakes of the result, line by line."""
    loaded: Loaded | None = None
    known: Known | None = None
    mistakes: list[Mistake] = []
    try:
        known = operators()
    except BundleError as err:
        mistakes += err.mistakes
    try:
        loaded = load()
    except (BundleError, ModelsRefused) as err:
        mistakes += err.mistakes
    except BadInput as err:
        mistakes += (Mistake("bundle", 0, "", line, "mend it, then reload") for line in str(err).splitlines())
    return Found(loaded, known, tuple(mistakes))


def look(files: Files) -> Fingerprint:
    """Return what tells one state of the files that a load reads from another."""
    others = tuple(path for path in (files.operators, files.feast) if path is not None)
    return fingerprint(_led_to(files.bundle), files.models, *others)


def _led_to(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself is no folder, as the load says
        return path


def load_at_rest(files: Files) -> Live:
    """Load a bundle that does not change while it is read, however it is written or swapped. Raises BadInput.

    A link is followed once: when it is made to lead elsewhere meanwhile, the whole load is of one version all the same.
    """
    return at_rest(files, lambda: load_live(replace(files, bundle=_led_to(files.bundle))))


def at_rest(files: Files, load: Callable[[], Loaded]) -> Loaded:
    """Return what `load` gives once the files have not changed meanwhile. Raises BadInput, and what `load` raises of files at rest."""
    for _ in range(LOOKS):
        before = look(files)
        try:
            loaded = load()
        except BadInput:
            if look(files) == before:
                raise
            continue
        if look(files) == before:
            return loaded
    raise BadInput(f"{files.bundle} went on changing while it was read; reload again once it is written")


def load_live(files: Files) -> Live:
    """Read and compile the bundle, load its models, hold them to their golden vectors, keep it beside the log. Raises BadInput."""
    bundle = load_bundle(files.bundle, files.models)
    live = Live(bundle, OnnxModels.load(bundle))
    if live.caps.one_server and files.cluster:
        # Here: settings, and what reads them, are a fifth of a second of a loader.
        from liftgate.app.settings import mention

        raise BadInput(
            f"{live.caps.one_server} counts over several people, and {mention('redis')} is a Cluster, where one step cannot change what "
            "lies on several servers: name one server, or remove `scope: account` and `scope: total`"
        )
    # Before its first decision: what explains its records outlives its folder.
    keep(bundle, files.log)
    return live
