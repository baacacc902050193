"""Forms with a file, read as they come: the fields first, then the file, which is never whole in memory.

Only what our own form sends is read: text fields, then one file, which is the last part. Spec: RFC 7578; RFC 2046, 5.1.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from entrepot.errors import InvalidError

MAX_HEAD: Final = 4_096
MAX_FIELD: Final = 16_384
MAX_FIELDS: Final = 20
TYPE: Final = re.compile(
    r'multipart/form-data;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*\Z', re.ASCII | re.IGNORECASE
)
NAME: Final = re.compile(rb'\bname="([^"]*)"', re.IGNORECASE)
FILE: Final = re.compile(rb"\bfilename\*?=", re.IGNORECASE)
UNREADABLE: Final = "the form is not readable: send it from its page"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields before the file, and the bytes of the file, in pieces."""

    fields: dict[str, str]
    file: AsyncIterator[bytes]


async def read_form(content_type: str, body: AsyncIterator[bytes]) -> Form:
    """The form in *body*. Raises InvalidError, also while the file is read: not readable, without a file, too large."""
    match = TYPE.match(content_type)
    if match is None:
        raise InvalidError(UNREADABLE)
    parts = _Parts(body, (match[1] or match[2]).encode("latin-1", "replace"))
    await parts.skip_preamble()
    fields: dict[str, str] = {}
    while len(fields) <= MAX_FIELDS:
        head = await parts.head()
        name = NAME.search(head)
        if name is None:
            raise InvalidError(UNREADABLE)
        if FILE.search(head):
            return Form(fields, parts.last())
        value = bytearray()
        async for piece in parts.value():
            value += piece
            if len(value) > MAX_FIELD:
                raise InvalidError(f"a field has up to {MAX_FIELD} bytes")
        try:
            fields[name[1].decode()] = value.decode()
        except UnicodeDecodeError:
            raise InvalidError(UNREADABLE) from None
        if b"\0" in value:
            raise InvalidError("no NUL is allowed in a form")
    raise InvalidError(f"a form has up to {MAX_FIELDS} fields")


class _Parts:
    """Goes through *body*, from one delimiter to the next; *held*: what was received and is not used yet."""

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes) -> None:
        self.body = body
        self.delimiter = b"\r\n--" + boundary
        self.held = bytearray(b"\r\n")  # the first delimiter stands at the very beginning

    async def skip_preamble(self) -> None:
        """To the first delimiter."""
        size = 0
        async for piece in self.value():
            size += len(piece)
            if size > MAX_HEAD:
                raise InvalidError(UNREADABLE)

    async def head(self) -> bytes:
        """The headers of the part that begins here. Raises InvalidError: there is none."""
        while (end := self.held.find(b"\r\n\r\n")) < 0:
            if len(self.held) > MAX_HEAD or self.held.startswith(b"--"):
                raise InvalidError("choose a file" if self.held.startswith(b"--") else UNREADABLE)
            await self._more()
        head = bytes(self.held[:end])
        if not head.startswith(b"\r\n") or end > MAX_HEAD:
            raise InvalidError("choose a file" if head.startswith(b"--") else UNREADABLE)
        del self.held[: end + 4]
        return head

    async def value(self) -> AsyncIterator[bytes]:
        """What comes before the next delimiter, in pieces; then that one is passed."""
        keep = len(self.delimiter) - 1
        while (end := self.held.find(self.delimiter)) < 0:
            if len(self.held) > keep:
                yield bytes(self.held[:-keep])
                del self.held[:-keep]
            await self._more()
        if end:
            yield bytes(self.held[:end])
        del self.held[: end + len(self.delimiter)]

    async def last(self) -> AsyncIterator[bytes]:
        """The value of the last part; then what is behind it, which is next to nothing, is read too."""
        async for piece in self.value():
            yield piece
        size = 0
        async for piece in self.body:
            size += len(piece)
            if size > MAX_HEAD:
                raise InvalidError("the file is the last part of the form")

    async def _more(self) -> None:
        piece = await anext(self.body, None)
        if piece is None:
            raise InvalidError(UNREADABLE)
        self.held += piece
