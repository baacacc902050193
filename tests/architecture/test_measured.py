"""`benchmarks.web` asks for every page, and for every list of the management API: a new one can't be forgotten."""

from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match, Route

from benchmarks.web.addresses import Places, calls, pages, reading
from entrepot.web.api import app as api
from entrepot.web.pages import app as site
from entrepot.web.pages import sign_in

PLACES = Places(f"sha256:{'0' * 64}", "P", "J", "O")
PAGES = [route for part in site.PARTS if part is not sign_in for route in part.ROUTES]
LISTS = [route for part in api.PARTS for route in part.router.routes]


def gets(routes: list[BaseRoute]) -> Iterator[Route]:
    """Those of *routes* that GET reaches."""
    for route in routes:
        if isinstance(route, Route) and "GET" in (route.methods or ()):
            yield route


def names(needs: Dependant) -> set[str]:
    """The names of a query's fields."""
    return {field.name for field in needs.query_params}.union(*(names(each) for each in needs.dependencies))


def first(routes: list[BaseRoute], path: str) -> BaseRoute | None:
    """The route that answers GET of *path*."""
    scope = {"type": "http", "method": "GET", "path": path.partition("?")[0]}
    return next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)


@pytest.mark.parametrize("route", [*gets(PAGES)], ids=lambda route: route.path)
def test_every_page_is_measured(route: Route) -> None:
    assert any(first(PAGES, path) is route for path in (*pages(PLACES).values(), *reading().values()))


@pytest.mark.parametrize(
    "route",
    [route for route in gets(LISTS) if isinstance(route, APIRoute) and "limit" in names(route.dependant)],
    ids=lambda route: route.path,
)
def test_every_list_is_measured(route: Route) -> None:
    paths = (path.removeprefix("/api/v1") for path in (*calls(PLACES).values(), *reading().values()))

    assert any(first(LISTS, path) is route for path in paths)
