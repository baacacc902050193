"""The management API: JSON over HTTP, described by an OpenAPI document it serves itself."""

from typing import Final

from fastapi import FastAPI

from entrepot.web.api import accounts, artifacts, operations, projects, storage, tags, trash
from entrepot.web.api.problems import install
from entrepot.web.services import Services

PREFIX: Final = "/api/v1"
PARTS: Final = (accounts, projects, artifacts, tags, operations, trash, storage)


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
        app.include_router(part.router, prefix=PREFIX)
    return app
