"""The management API: JSON over HTTP, described by an OpenAPI document it serves itself."""

from typing import Final

from fastapi import Depends, FastAPI

from entrepot.web.api import (
    accounts,
    artifacts,
    operations,
    people,
    projects,
    promotions,
    repositories,
    storage,
    tags,
    trash,
    trees,
)
from entrepot.web.api.description import describe
from entrepot.web.api.parameters import only_known
from entrepot.web.api.problems import install
from entrepot.web.services import Services

PREFIX: Final = "/api/v1"
PARTS: Final = (
    accounts,
    people,
    projects,
    repositories,
    artifacts,
    trees,
    tags,
    promotions,
    operations,
    trash,
    storage,
)


def api_app(services: Services, version: str) -> FastAPI:
    """The application under /api/v1."""
    app = FastAPI(
        title="Entrepot",
        version=version,
        summary="Container images: pushed, scanned, judged, pulled, recorded.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    install(app)
    for part in PARTS:
        app.include_router(part.router, prefix=PREFIX, dependencies=[Depends(only_known)])
    describe(app)
    return app
