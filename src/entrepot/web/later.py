"""An ASGI application that is made when it is first needed, or as soon as there is time.

The framework of the management API takes half a second to load, which a registry that starts need not wait for.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from entrepot.web.asgi import Receive, Scope, Send
from entrepot.web.respond import AsgiApp


@dataclass(slots=True)
class Later:
    """*make* gives the application; it runs once, in a thread."""

    make: Callable[[], AsgiApp]
    _made: AsgiApp | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ready(self) -> AsgiApp:
        """The application, made by the first to ask."""
        if self._made is None:
            async with self._lock:
                if self._made is None:
                    self._made = await asyncio.to_thread(self.make)
        return self._made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request. Spec: ASGI 3.0."""
        await (await self.ready())(scope, receive, send)
