"""The key of a log's pseudonyms, for commands that look for known people in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from liftgate.app.cli.say import fail
from liftgate.app.cli.target import WRONG

KeyIfAny = Annotated[
    Path | None,
    typer.Option(
        "--pseudonym-key-file",
        metavar="FILE",
        envvar="LIFTGATE_PSEUDONYM_KEY_FILE",
        help="Key of the log's pseudonyms, by which erased people are known and left out; absent: LIFTGATE_PSEUDONYM_KEY. Needed once "
        "somebody was erased.",
    ),
]


def key_if_any(given: Path | None, as_json: bool) -> bytes | None:
    """Return the key of a file or of LIFTGATE_PSEUDONYM_KEY; None: neither is given. Ends the command where it cannot be read."""
    if given is None and not os.environ.get("LIFTGATE_PSEUDONYM_KEY"):
        return None
    return key_of_log(Path(), given, "without it nobody knows who was erased", as_json)


def key_of_log(log: Path, given: Path | None, without: str, as_json: bool) -> bytes:
    """Return it: of a file, of LIFTGATE_PSEUDONYM_KEY, or where `serve` made it. Ends the command when there is none, saying `without`."""
    from liftgate.app.keys import made_path

    variable = os.environ.get("LIFTGATE_PSEUDONYM_KEY", "").encode()
    path = given or made_path(log)
    try:
        key = variable if variable and given is None else path.read_bytes().strip()
    except OSError as error:
        fail(f"--pseudonym-key-file {path}: {error.strerror}; {without}", WRONG, as_json)
    if len(key) < 16:
        fail(f"--pseudonym-key-file {path}: a pseudonym key needs at least 16 bytes", WRONG, as_json)
    return key
