"""How every list is asked for: `filter`, `sort`, `after`, `limit`, `count`. Design: product.md, section 4."""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Query

from entrepot.runtime.filters import MAX_LENGTH, OPS, Kind
from entrepot.runtime.lists import Listing, Wanted
from entrepot.web.api.context import CURSOR, Asked, Limit

MAX_CURSOR: Final = 2_048
COUNT: Final = "Whether to say how many match: `total`."


def asked_for(listing: Listing) -> Callable[..., Wanted]:
    """A dependency that gives the page of *listing* that a request asks for. It raises FilterInvalidError."""
    orders = [each for name in listing.sorts for each in (name, f"-{name}")]

    def wanted(
        asked: Asked,
        where: Annotated[str, Query(alias="filter", max_length=MAX_LENGTH, description=_filter_text(listing))] = "",
        sort: Annotated[str, Query(description=_sort_text(listing), json_schema_extra={"enum": orders})] = (
            listing.default
        ),
        after: Annotated[str, Query(max_length=MAX_CURSOR, description=CURSOR)] = "",
        limit: Limit = 100,
        count: Annotated[bool, Query(description=COUNT)] = False,
    ) -> Wanted:
        return listing.wanted(asked.now, where=where, sort=sort, after=after, limit=limit, total=count)

    return wanted


def _filter_text(listing: Listing) -> str:
    fields = (f"`{name}` ({_kind(listing, name)})" for name in listing.filters)
    words = "comparisons joined by and, or, not and parentheses"
    return f"Such as `{_example(listing)}`: {words}. Fields: {', '.join(fields)}."


def _sort_text(listing: Listing) -> str:
    return f"One of {', '.join(f'`{name}`' for name in listing.sorts)}; with `-` before it the highest come first."


def _kind(listing: Listing, name: str) -> str:
    field = listing.fields[name]
    return "/".join(field.words) if field.kind is Kind.RANKED else field.kind.value


def _example(listing: Listing) -> str:
    name = listing.filters[0]
    sign = OPS[listing.fields[name].kind][-1]
    return f'{name}{sign}"a"'
