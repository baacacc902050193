"""Page: why a pull of an artifact meets what it meets, and who can do what about it.

`/why/{repository}@{digest}` is stable: what refuses a pull links to it, for as long as the manifest is there.
"""

from typing import Final

from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.oci.errors import DigestInvalidError
from entrepot.policy.model import BASELINE
from entrepot.web.pages.verdicts import address_of, judged, sees_findings
from entrepot.web.pages.visit import Visit, page


async def show_why(visit: Visit) -> Response:
    """Why a pull of a digest meets what it meets, and who can do what about it."""
    name, at, digest = visit.http.path_params["what"].rpartition("@")
    if not at or ":" not in digest:
        raise DigestInvalidError("this page is /why/{repository}@{digest}")
    artifact = await visit.context.artifact(Permission.REPO_READ, name, digest)
    state = await visit.services.scans.state(artifact)
    found = await visit.services.scans.findings(artifact) if await sees_findings(visit, artifact) else []
    return visit.page(
        "why.html",
        address=address_of(artifact.repository, artifact.digest),
        artifact=artifact,
        broken=[each for each in found if BASELINE.breaks(each.finding)],
        **(await judged(visit, artifact, state) | {"why": ""}),
    )


ROUTES: Final = (page("/why/{what:path}", show_why),)
