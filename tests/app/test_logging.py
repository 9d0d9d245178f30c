"""Log lines: JSON, a level, a time, and nothing that a caller or a library may have put a person into."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from liftgate.app.logging import start_logging, where

PERSON = "canary-person@example.org"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Collect log lines, and put the process's own logging back afterwards."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield io.StringIO()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_is_json_with_its_worker_level_and_time(stream: io.StringIO) -> None:
    """Each line parses and says which worker spoke, when, and how badly."""
    start_logging("info", 3, stream).warning("fallback", stage="fetch")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["stage"], line["worker"], line["level"]) == ("fallback", "fetch", 3, "warning")
    assert line["time"].endswith("Z")


def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    """At level warning an info line costs nothing and says nothing."""
    start_logging("warning", None, stream).info("serving")
    assert stream.getvalue() == ""


def test_a_librarys_words_stay_out(stream: io.StringIO) -> None:
    """Of what a library logs, the place and the exception's class are kept; its text may quote a caller and is not."""
    start_logging("info", None, stream)
    try:
        raise ValueError(PERSON)
    except ValueError:
        logging.getLogger("asyncio").exception("task failed for %s", PERSON)
    line = json.loads(stream.getvalue())
    assert line["logger"] == "asyncio"
    assert line["cause"] == "ValueError"
    assert PERSON not in stream.getvalue()


def test_where_names_the_place_and_not_the_text() -> None:
    """What is said of an exception is where it was raised."""
    with pytest.raises(ValueError, match="canary") as caught:
        raise ValueError(PERSON)
    assert "test_logging:" in where(caught.value)
    assert PERSON not in where(caught.value)


def test_nobody_listening_harms_nobody(stream: io.StringIO) -> None:
    """A closed stream swallows lines and raises nothing."""
    stream.close()
    start_logging("info", None, stream).error("failed")
