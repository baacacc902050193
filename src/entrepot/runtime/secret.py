"""A text that must not be seen."""

import hmac
from typing import Final

HIDDEN: Final = "(hidden)"


class Secret:
    """A secret text. It prints as `(hidden)` wherever it is formatted, logged or represented.

    There is no `==`: two secrets are compared in constant time, by `matches`. pydantic reads one from a string.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)

    def reveal(self) -> str:
        """The text itself: only for the call that needs it."""
        return self._text

    def matches(self, text: str) -> bool:
        """True if *text* is the secret; takes as long for a near miss as for a far one."""
        return hmac.compare_digest(self._text.encode(), text.encode())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> object:
        """A string in, a Secret out: pydantic calls this by its name, and it alone needs pydantic."""
        from pydantic_core import core_schema  # noqa: PLC0415

        return core_schema.no_info_plain_validator_function(cls._read)

    @classmethod
    def _read(cls, value: object) -> "Secret":
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str):
            raise ValueError("write a text")  # noqa: TRY004  pydantic collects ValueError only
        return cls(value)


NOTHING: Final = Secret("")
"""No secret at all: false where a truth value is asked."""
