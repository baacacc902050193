"""Parameters that an operation does not have are refused, as unknown fields of a body are."""

from typing import Any

from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.requests import Request as HttpRequest

from entrepot.errors import InvalidError
from entrepot.runtime.filters import suggestion


def only_known(request: HttpRequest) -> None:
    """Raises InvalidError for a query with a parameter that the operation does not have."""
    route: Any = request.scope.get("route")
    if not request.scope.get("query_string") or not isinstance(route, APIRoute):
        return
    known = [each.alias for each in get_flat_params(route.dependant) if isinstance(each.field_info, Query)]
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is not None:
        raise InvalidError(f"no such parameter{suggestion(unknown, known)}", "query")
