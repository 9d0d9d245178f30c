"""Which offers a placement, or an experiment's arm, may show, as a bundle says it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from liftgate.bundle.field_types import Name, Strict, refuse


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


def _as_list(value: Any) -> Any:
    if value is None:
        return []
    if isinstance(value, list) and not value:
        raise refuse("names no offer", "name an offer, or leave it out")
    return [value] if isinstance(value, str) else value


def _each_once(names: list[str]) -> list[str]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise refuse(f"names `{twice}` twice, and no offer stands twice in an answer", "name another offer, or none, for the later slot")
    return names


DefaultOffers = Annotated[
    list[Name],
    BeforeValidator(_as_list, json_schema_input_type=Name | Annotated[list[Name], Field(min_length=1, max_length=10)] | None),
    AfterValidator(_each_once),
]
"""One offer, or one for each slot from the first on."""
