"""What every endpoint is given: who asks, and the cursor and length of a page."""

from typing import Annotated, Any, Final

from fastapi import Depends, Query
from starlette.requests import Request as HttpRequest

from entrepot.web.context import Context
from entrepot.web.services import Services

MAX_PAGE: Final = 1_000
KNOWN: Final = "entrepot.context"


async def context_of(request: HttpRequest) -> Context:
    """The context of *request*: who asks is found out once. Raises as `Authn.login`."""
    known: Context | None = request.scope.get(KNOWN)
    if known is None:
        services: Services = request.app.state.services
        own: Any = request.scope["entrepot.request"]
        known = request.scope[KNOWN] = Context(services, await services.authn.login(own, "api"), own)
    return known


Asked = Annotated[Context, Depends(context_of)]
CURSOR: Final = "Cursor: the `next` of the page before."
After = Annotated[str | None, Query(max_length=512, description=CURSOR)]
AfterId = Annotated[str | None, Query(pattern="^[0-9A-HJKMNP-TV-Z]{26}$", description=CURSOR)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most items of a page.")]
