"""The files that pages bring along: style sheets, scripts, icons. Served from memory, each at an address of its own.

`static/manifest.json` has the SHA-256 of each file and where it comes from; a test compares.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from entrepot.errors import NotFoundError

FOLDER: Final = Path(__file__).parent / "static"
TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
VERSION_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: its bytes, the same with gzip, its media type and the version in its address."""

    body: bytes
    packed: bytes
    media_type: str
    version: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files, by name."""

    files: dict[str, Asset]

    @classmethod
    def read(cls) -> "Assets":
        """What lies in `static/`."""
        found = {}
        for path in sorted(FOLDER.iterdir()):
            if path.suffix in TYPES:
                body = path.read_bytes()
                version = hashlib.sha256(body).hexdigest()[:VERSION_LENGTH]
                found[path.name] = Asset(body, gzip.compress(body, 6, mtime=0), TYPES[path.suffix], version)
        return cls(found)

    def address(self, name: str) -> str:
        """The path of the file *name*: another when its bytes are others, so that browsers may keep it."""
        return f"/static/{name}?v={self.files[name].version}"

    async def serve(self, http: HttpRequest) -> Response:
        """Answers a request for a file. Raises NotFoundError."""
        asset = self.files.get(http.path_params["name"])
        if asset is None:
            raise NotFoundError("there is no such file")
        current = http.query_params.get("v") == asset.version
        headers = {
            "etag": f'"{asset.version}"',
            "vary": "accept-encoding",
            "cache-control": "public, max-age=31536000, immutable" if current else "no-cache",
        }
        if http.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" in http.headers.get("accept-encoding", ""):
            return Response(asset.packed, headers=headers | {"content-encoding": "gzip"}, media_type=asset.media_type)
        return Response(asset.body, headers=headers, media_type=asset.media_type)
