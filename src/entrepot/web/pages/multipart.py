"""Forms with a file, read as they come: the fields first, then the file, which is never whole in memory.

Only what our own form sends is read: text fields, then one file, which is the last part. Spec: RFC 7578.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from entrepot.errors import InvalidError

MEDIA_TYPE: Final = b"multipart/form-data"
LONGEST_BOUNDARY: Final = 70  # RFC 2046, 5.1.1
MAX_REST: Final = 4_096
MAX_FIELD: Final = 16_384
MAX_FIELDS: Final = 20
UNREADABLE: Final = "the form is not readable: send it from its page"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields before the file, and the bytes of the file, in pieces."""

    fields: dict[str, str]
    file: AsyncIterator[bytes]


async def read_form(content_type: str, body: AsyncIterator[bytes]) -> Form:
    """The form in *body*. Raises InvalidError, also while the file is read: not readable, without a file, too large."""
    media_type, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if media_type != MEDIA_TYPE or not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise InvalidError(UNREADABLE)
    parts = _Parts(boundary)
    async for piece in body:
        parts.take(piece)
        if parts.is_file:
            return Form(parts.fields, _file(parts, body))
        if parts.is_over:
            raise InvalidError("choose a file")
    raise InvalidError(UNREADABLE)


async def _file(parts: "_Parts", body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The file's bytes; then what is behind it, which is next to nothing, is read too."""
    for piece in parts.taken():
        yield piece
    rest = 0
    async for piece in body:
        if parts.is_over:
            rest += len(piece)
            if rest > MAX_REST:
                raise InvalidError("the file is the last part of the form")
            continue
        parts.take(piece)
        for part in parts.taken():
            yield part
    if not parts.is_over:
        raise InvalidError(UNREADABLE)


class _Parts:
    """What the parser has told: the *fields*, whether a file has begun, and whether the form is over."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.is_file = False
        self.is_over = False
        self._begun = 0
        self._header = bytearray()
        self._disposition = bytearray()
        self._name = ""
        self._value = bytearray()
        self._file: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header.clear,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._over,
            },
        )

    def take(self, piece: bytes) -> None:
        """The next bytes of the form. Raises InvalidError."""
        try:
            self._parser.write(piece)
        except FormParserError:
            raise InvalidError(UNREADABLE) from None

    def taken(self) -> list[bytes]:
        """What has come of the file since it was asked last."""
        pieces, self._file = self._file, []
        return pieces

    def _begin(self) -> None:
        if self.is_file:
            raise InvalidError("the file is the last part of the form")
        self._begun += 1
        if self._begun > MAX_FIELDS + 1:  # the file is a part too
            raise InvalidError(f"a form has up to {MAX_FIELDS} fields")
        self._disposition.clear()
        self._value.clear()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition += data[start:end]

    def _headers_end(self) -> None:
        _, options = parse_options_header(bytes(self._disposition))
        if b"name" not in options:
            raise InvalidError(UNREADABLE)
        self.is_file = b"filename" in options
        self._name = options[b"name"].decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self.is_file:
            self._file.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD:
            raise InvalidError(f"a field has up to {MAX_FIELD} bytes")

    def _end(self) -> None:
        if self.is_file:
            return
        try:
            text = self._value.decode()
        except UnicodeDecodeError:
            raise InvalidError(UNREADABLE) from None
        if "\0" in text:
            raise InvalidError("no NUL is allowed in a form")
        self.fields[self._name] = text

    def _over(self) -> None:
        self.is_over = True
