"""A report's page, read as a browser would: its facts, every number that says where it comes from, and what is left of its text."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

_UNREAD = ("style", "code", "title")


@dataclass
class Traced:
    """A number or text that says where it comes from."""

    at: str
    style: str
    value: str | None
    text: str = ""


@dataclass
class PageText(HTMLParser):
    """Feed it the page."""

    traced: list[Traced] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    """Texts that do not say where they come from."""
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    _data: str = ""
    _open: list[tuple[str, Traced | None, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def facts(self) -> dict[str, Any]:
        """The JSON that the page holds."""
        return dict(json.loads(self._data))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag == "meta":
            return
        one = None
        if given.get("data-at"):
            one = Traced(str(given["data-at"]), str(given["data-as"]), given.get("value"))
            self.traced.append(one)
        self._open.append((tag, one, tag in _UNREAD or given.get("class") == "tick"))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "script":
            self._data += data
            return
        traced = next((one for _, one, _ in reversed(self._open) if one is not None), None)
        if traced is not None:
            traced.text += data
        elif not any(unread for *_, unread in self._open):
            self.loose.append(data)
