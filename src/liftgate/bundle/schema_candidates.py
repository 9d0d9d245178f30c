"""Which offers a placement, or an experiment's arm, may show, as a bundle says it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from liftgate.bundle.field_types import Name, Strict


class GroupCandidates(Strict):
    """Every offer of some groups."""

    groups: Annotated[list[Name], Field(min_length=1)] = Field(description="Names in `groups:`.", examples=[["shipping"]])


def _tag(value: Any) -> str | None:
    if isinstance(value, (GroupCandidates, dict)):
        return "by_group"
    if isinstance(value, list):
        return "by_offer"
    return "all" if isinstance(value, str) else None


class _ByShape(Discriminator):
    # `Candidates | None` hashes what annotates it, and the error's words are a mapping.
    __hash__ = object.__hash__


Candidates = Annotated[
    Annotated[Literal["all"], Tag("all")]
    | Annotated[Annotated[list[Name], Field(min_length=1)], Tag("by_offer")]
    | Annotated[GroupCandidates, Tag("by_group")],
    _ByShape(
        _tag,
        custom_error_type="refused",
        custom_error_message="{problem}",
        custom_error_context={
            "problem": "wants a list of offers, `{groups: [...]}` or `all`",
            "mend": "write, for example, `offers: [welcome]`",
        },
    ),
]
