"""Named points in a server at which it can be killed: before and after each step of a request.

Nothing of this is in the product: the steps are wrapped here, from outside, before the server starts. What they share
with the test is a file mapped into memory, so that a point costs no system call.
"""

import mmap
import os
import signal
import struct
from collections.abc import Callable
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction, isgeneratorfunction
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from entrepot.audit.recorder import Recorder
from entrepot.audit.spool import Spool
from entrepot.catalog import blobs, manifests, repositories, tags
from entrepot.content import copies, sessions, vfs, writer
from entrepot.registry import deletion, push, uploads
from entrepot.runtime import unit_of_work
from entrepot.web import app

STEPS: Final[tuple[ModuleType | type, ...]] = (
    vfs,
    copies,
    sessions,
    blobs,
    manifests,
    repositories,
    tags,
    writer.FileWriter,
    uploads.Uploads,
    push.PutManifest,
    deletion.Delete,
    unit_of_work.Unit,
    Recorder,
    Spool,
)
"""Modules and classes whose every function is a step."""

SINGLE: Final[tuple[tuple[Any, str], ...]] = ((AsyncConnection, "commit"), (unit_of_work, "enqueue"))
QUIET: Final = {"emit", "rotate"}
"""Steps that are none: `rotate` runs by a clock."""

MEMORY_BYTES: Final = 1 << 20
LISTING: Final = -1


class Points:
    """The countdown to the deadly point, and the names of those that were passed, shared by test and server."""

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(MEMORY_BYTES)
            self._memory = mmap.mmap(file.fileno(), MEMORY_BYTES)

    def arm(self, count: int) -> None:
        """The server dies at point number *count* from now. LISTING: it notes their names instead. 0: neither."""
        struct.pack_into("<qq", self._memory, 0, 0, 0)
        struct.pack_into("<q", self._memory, 0, count)

    def passed(self) -> list[str]:
        """The points that were passed since they were to be listed."""
        used = struct.unpack_from("<q", self._memory, 8)[0]
        return self._memory[16 : 16 + used].decode().splitlines()

    def reach(self, name: str) -> None:
        """This process is at the point *name*."""
        left, used = struct.unpack_from("<qq", self._memory)
        if left == LISTING:
            data = f"{name}\n".encode()
            self._memory[16 + used : 16 + used + len(data)] = data
            struct.pack_into("<q", self._memory, 8, used + len(data))
        elif left > 0:
            struct.pack_into("<q", self._memory, 0, left - 1)
            if left == 1:
                os.killpg(0, signal.SIGKILL)

    def plant(self) -> None:
        """Every step of this process is a point from now on, before and after; so are body and answer."""
        for owner in STEPS:
            for name, step in list(vars(owner).items()):
                is_own = isfunction(step) and step.__module__ == getattr(owner, "__module__", owner.__name__)
                if is_own and (name == "__call__" or not name.startswith("__")) and name not in QUIET:
                    self._wrap(owner, name)
        for owner, name in SINGLE:
            self._wrap(owner, name)
        self._watch_messages()

    def _wrap(self, owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)
        if isgeneratorfunction(real) or isasyncgenfunction(real):
            return
        label = f"{owner.__name__.removeprefix('entrepot.')}.{name}"

        @wraps(real)
        async def awaited(*given: Any, **named: Any) -> Any:
            self.reach(f"before {label}")
            result = await real(*given, **named)
            self.reach(f"after {label}")
            return result

        @wraps(real)
        def called(*given: Any, **named: Any) -> Any:
            self.reach(f"before {label}")
            result = real(*given, **named)
            self.reach(f"after {label}")
            return result

        setattr(owner, name, awaited if iscoroutinefunction(real) else called)

    def _watch_messages(self) -> None:
        real = app.App._http

        async def http(served: app.App, request: Any) -> None:
            receive, send = request.receive, request.send

            async def received() -> Any:
                message = await receive()
                self.reach("after a piece of the body")
                return message

            async def sent(message: Any) -> None:
                self.reach(f"before {message['type']}")
                await send(message)
                self.reach(f"after {message['type']}")

            request.receive, request.send = received, sent
            self.reach("before the request")
            await real(served, request)
            self.reach("after the request")

        app.App._http = http  # type: ignore[assignment,method-assign]
